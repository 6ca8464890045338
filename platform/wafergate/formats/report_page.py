"""Write the report of a gate decision as one self-contained HTML page.

Style, charts and pictures stand inside; no script, no font and no picture comes from elsewhere. Jinja2 escapes every
text that is filled in; what is marked safe is made of numbers, or escaped by `wafergate.formats.svg`.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from wafergate.domain.evaluation import ClassFigures, Comparison, Evaluation, Rate, SliceFigures
from wafergate.domain.gate import GateDecision, RuleResult
from wafergate.domain.judging import ALARM_KINDS, MISS_KINDS
from wafergate.domain.matching import NEAR
from wafergate.domain.report import Certificate, ClassCurves
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import Split
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats import svg
from wafergate.formats.charts import Curve, Row, class_rules, compared_bound, dot_plot, plot, recall_axis, recall_row
from wafergate.formats.pages import render_page, summary_sentence
from wafergate.formats.verdicts import code_licence, rule_bound
from wafergate.formats.words import Words

__all__ = ["Picture", "ReportContent", "write_report"]

_MOST_SLICES = 24
_WORDS = Words("en")


@dataclass(frozen=True, slots=True)
class Picture:
    """One mistake as a PNG, with what is written below it."""

    png: bytes
    title: str
    note: str


@dataclass(frozen=True, slots=True)
class ReportContent:
    """All that a page tells.

    Attributes:
        product: what is made on the line.
        decision: the verdict with its rules.
        evaluation: the test figures.
        model: what was judged.
        split: what it was judged on.
        dataset: where that comes from.
        curves: of every class on the test set.
        certificate: the model as an attribute measurement system.
        misses: pictures of instances that were not found.
        alarms: pictures of false alarms.
        comparison: with the champion; None where there was none.
        prevalence: share of the line's parts that show each class; empty where it is not stated.
        cost_unit: unit of the costs; None where the line gives none.
    """

    product: str
    decision: GateDecision
    evaluation: Evaluation
    model: ModelVersion
    split: Split
    dataset: DatasetVersion
    curves: Sequence[ClassCurves]
    certificate: Certificate
    misses: Sequence[Picture] = ()
    alarms: Sequence[Picture] = ()
    comparison: Comparison | None = None
    prevalence: Mapping[str, float] | None = None
    cost_unit: str | None = None


def write_report(content: ReportContent) -> bytes:
    """Return the page as UTF-8; the same content gives the same bytes."""
    evaluation, decision = content.evaluation, content.decision
    rules = class_rules(decision)
    filters: dict[str, Callable[..., object]] = {
        "share": _share,
        "least": _WORDS.at_least,
        "most": _WORDS.at_most,
        "limit": _WORDS.limit,
        "bound": partial(rule_bound, words=_WORDS),
        "figure": _figure,
        "rate": _rate,
        "picture": _picture,
        "sentence": summary_sentence,
    }
    return render_page(
        "report.html.j2",
        filters,
        content=content,
        decision=decision,
        evaluation=evaluation,
        code_licence=code_licence(decision, content.model),
        classes=[_judged(figures, rules.get(figures.defect_class)) for figures in evaluation.classes],
        intervals=Markup(_intervals(evaluation, rules)),  # noqa: S704 - escaped by charts
        precision_recall=[Markup(_precision_recall(item)) for item in content.curves],  # noqa: S704
        cost_curves=[Markup(_cost(item, content.cost_unit)) for item in content.curves],  # noqa: S704
        confusion=_confusion(evaluation),
        slices=_weakest(evaluation.slices),
        slice_count=len(evaluation.slices),
        most_slices=_MOST_SLICES,
        miss_kinds=[kind.value for kind in reversed(MISS_KINDS)],
        alarm_kinds=[kind.value for kind in reversed(ALARM_KINDS)],
        near=NEAR,
        operating={point.defect_class: point for point in content.model.operating},
    )


def _judged(figures: ClassFigures, rule: RuleResult | None) -> tuple[ClassFigures, RuleResult | None, float]:
    """Return a class with its rule and the lower bound that the gate compared."""
    return figures, rule, compared_bound(figures, rule)


def _intervals(evaluation: Evaluation, rules: Mapping[str, RuleResult]) -> str:
    rows = [_row(item, rules.get(item.defect_class)) for item in evaluation.classes]
    return svg.figure(dot_plot(rows, recall_axis(rows)), "recall by class with bounds")


def _row(figures: ClassFigures, rule: RuleResult | None) -> Row:
    recall = figures.recall
    told = f"{recall.hits} of {recall.trials} found" if recall.trials else "no instance"
    return recall_row(figures, rule, told=("", told), hover=f"{_share(recall.value)}, {told}")


def _precision_recall(item: ClassCurves) -> str:
    lines = [Curve(item.precision_recall, "c-main")]
    return plot(item.defect_class, lines, axes=("recall", "precision"), mark=item.operating, top=1.0)


def _cost(item: ClassCurves, unit: str | None) -> str:
    if unit is not None and item.cost:
        return plot(item.defect_class, [Curve(item.cost, "c-main")], axes=("threshold", unit), at=item.threshold)
    lines = [Curve(item.missed, "c-main"), Curve(item.alarmed, "c-other")]
    return plot(item.defect_class, lines, axes=("threshold", "share"), at=item.threshold, top=1.0)


def _confusion(evaluation: Evaluation) -> list[tuple[str, list[tuple[int, str]]]]:
    """Return rows of (class, cells); a cell is its count and a shade 0 to 9 by its share of the row."""
    names = [*(item.defect_class for item in evaluation.classes), "background"]
    rows = []
    for name, counts in zip(names, evaluation.confusion, strict=False):
        total = sum(counts) or 1
        rows.append((name, [(count, f"{0.75 * count / total:.2f}") for count in counts]))
    return rows


def _weakest(slices: Sequence[SliceFigures]) -> list[SliceFigures]:
    """Return the parts of the set with misses, the lowest recall first, of equal ones those with more instances."""
    told = [item for item in slices if item.recall.hits < item.recall.trials]
    return sorted(told, key=lambda item: (item.recall.hits / item.recall.trials, -item.recall.trials))[:_MOST_SLICES]


def _share(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _figure(value: float | None) -> str:
    """Write a value of any rule: a count or a whole limit without decimals, milliseconds and MiB with one."""
    if value is not None and abs(value) > 1 and value == int(value):
        return f"{int(value):,}"
    return _share(value, 3 if value is None or abs(value) < 10 else 1)


def _rate(rate: Rate) -> str:
    return f"{rate.hits} of {rate.trials}"


def _picture(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
