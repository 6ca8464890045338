"""Charts of recall, drift and class counts: pure functions from stored values to SVG; they place and never change."""

from collections.abc import Mapping, Sequence

from dashboards.texts import Text
from wafergate.domain.drift import DriftReport, FeatureDrift
from wafergate.domain.evaluation import ClassFigures, Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.domain.splits import Side, Split
from wafergate.formats import svg
from wafergate.formats.charts import Row, class_rules, compared_bound, dot_plot, recall_axis, recall_row

__all__ = ["counted_bars", "drift_distances", "instance_counts", "recall_intervals", "verdict_signs", "weakest_first"]

ROW = 32.0  # pixels a bar with its gap


def weakest_first(evaluation: Evaluation, decision: GateDecision) -> list[tuple[ClassFigures, RuleResult | None]]:
    """Return every class with its rule, the one with the least room between bound and limit first.

    What was not measured has no room at all.
    """
    rules = class_rules(decision)

    def room(pair: tuple[ClassFigures, RuleResult | None]) -> float:
        figures, rule = pair
        limit = rule.limit if rule and rule.limit is not None else 0.0
        return compared_bound(figures, rule) - limit if figures.recall.trials else float("-inf")

    return sorted(((figures, rules.get(figures.defect_class)) for figures in evaluation.classes), key=room)


def recall_intervals(evaluation: Evaluation, decision: GateDecision, text: Text) -> str:
    """Draw each class's recall with its bounds against the gate's limit, the class with the least room on top."""
    rows = [_recall_row(figures, rule, text) for figures, rule in weakest_first(evaluation, decision)]
    measured = {row.verdict for row in rows if row.value is not None}
    names = [("upright limit", text.word("limit")), *verdict_signs(measured, text)]
    return dot_plot(rows, recall_axis(rows, text.plain("recall_axis")), names=names)


def verdict_signs(verdicts: set[str], text: Text) -> list[tuple[str, str]]:
    """Return for a legend the signs of verdicts with their words; the empty one was judged by no rule."""
    words = {**{verdict.value: text.word(verdict) for verdict in Verdict}, "": text.plain("not_judged")}
    return [(" ".join(svg.verdict_look(verdict)), word) for verdict, word in words.items() if verdict in verdicts]


def drift_distances(report: DriftReport, text: Text) -> str:
    """Draw each feature's distance from the reference against its threshold, the farthest on top."""
    features = sorted(report.features, key=lambda feature: feature.distance / feature.threshold, reverse=True)
    rows = [_drift_row(feature, text) for feature in features]
    words = {"pass": text.word("stable"), "fail": text.word("drifted"), "": text.plain("not_judged")}
    shown = {row.verdict for row in rows}
    names = [("upright limit", text.word("threshold"))]
    names += [(" ".join(svg.verdict_look(verdict)), word) for verdict, word in words.items() if verdict in shown]
    highest = max((max(feature.distance, feature.threshold) for feature in features), default=1.0)
    # A test's p-value threshold is stored in the policy as it is and with each feature as -log10 p.
    title = text.plain("drift_axis_test" if report.policy.tests else "drift_axis", method=report.policy.method)
    return dot_plot(rows, svg.number_axis(0.0, highest * 1.1, title, most=8), ceiling=True, names=names)


def instance_counts(split: Split, classes: Sequence[str], text: Text) -> str:
    """Draw the instances of each class in training, validation and test, each side on its own scale."""
    sides = (Side.TRAIN, Side.VALIDATION, Side.TEST)
    axis = text.plain("counts_axis")
    panels = [
        counted_bars(
            {name: split.counts.get(side, {}).get(name, 0) for name in classes},
            text,
            title=axis,
            # Test judges, so its bars carry the colour; the others are context.
            style="v-pass" if side is Side.TEST else "v-none",
            over=text.title(side),
            named=side is sides[0],
        )
        for side in sides
    ]
    return svg.canvas(panels, left=svg.label_width(classes), columns=len(sides))


def counted_bars(
    counts: Mapping[str, int], text: Text, *, title: str, style: str, over: str = "", named: bool = True
) -> str:
    """Draw a bar for each name, as long as its count, which is told behind it.

    Args:
        counts: in the order of the rows.
        text: the reader's language.
        title: what is counted.
        style: class of the bars.
        over: title of the plot.
        named: whether the names are written at the left.
    """
    highest = max([*counts.values(), 1])
    names = svg.row_axis(list(counts))
    names = names if named else svg.bare_axis(names)
    # Room at the right for the count behind the longest bar.
    panel = svg.Panel(svg.number_axis(0, highest * 1.25, title, most=4, whole=True), names, ROW * max(len(counts), 1))
    parts = []
    for row, (name, count) in enumerate(counts.items()):
        told = f"{name}\n{text.count(count)} {title}"
        parts.append(panel.box((0, row - 0.27), (count, row + 0.27), f"bar {style}", told))
        parts.append(panel.text((count, row), text.count(count), "count", (7, 4.5)))
    return panel.draw(parts, over)


def _recall_row(figures: ClassFigures, rule: RuleResult | None, text: Text) -> Row:
    recall = figures.recall
    if recall.value is None:
        return recall_row(figures, rule, told=("", text.plain("no_instances")))
    lower = text.at_least(compared_bound(figures, rule))
    hover = (
        f"{text.word('recall')} {text.value(recall.value)}, {text.found(recall)}\n"
        f"{text.word('lower_bound')} {lower}, {text.word('upper_bound')} {text.at_most(recall.upper)}"
    )
    return recall_row(figures, rule, told=(text.value(recall.value), text.found(recall)), hover=hover)


def _drift_row(feature: FeatureDrift, text: Text) -> Row:
    means = {"reference": _mean(feature.reference_mean), "current": _mean(feature.current_mean)}
    return Row(
        name=text.feature(feature.feature),
        value=feature.distance,
        limit=feature.threshold,
        verdict=("fail" if feature.drifted else "pass") if feature.judged else "",
        told=("", text.plain("now_mean", **means)),
        span=(0.0, feature.distance),
        hover=f"{text.word('distance')} {feature.distance:.3f}, {text.word('threshold')} {feature.threshold:.3f}",
    )


def _mean(value: float) -> str:
    """Return a mean with three significant digits, whatever its unit, and never as a power of ten."""
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f}"
