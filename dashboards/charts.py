"""Figures: pure functions from stored values to Plotly figures; they place values and never change one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.palette import SYMBOLS, Palette
from dashboards.texts import Text
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import ClassFigures, Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.domain.splits import Side, Split

__all__ = [
    "class_rules",
    "compared_bound",
    "dress",
    "drift_distances",
    "instance_counts",
    "recall_intervals",
    "shown",
    "ticks",
    "weakest_first",
]

ROW = 38  # pixels a row: a finger's height on a tablet
HEAD = 96  # pixels for the legend above and the axis below
MARK = 13
# The page's own font, then the systems' Korean ones: a label must not fall back to a serif.
FONT = '"Source Sans", "Noto Sans KR", "Noto Sans CJK KR", "Apple SD Gothic Neo", "Malgun Gothic", sans-serif'


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a dot plot: where its mark and limit stand, and what is written beside it."""

    name: str
    value: float | None
    limit: float | None
    verdict: Verdict | None
    label: str
    span: tuple[float, float] | None = None
    hover: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a dot plot is read.

    Attributes:
        names: the words of the verdicts in the legend; `None` names marks that no rule judged.
        limit: the word of the limit.
        axis: the lowest and highest value shown.
        intervals: True when spans are intervals that must stay above the limit; False when they are distances from
            zero that must stay below it.
    """

    names: Mapping[Verdict | None, str]
    limit: str
    axis: tuple[float, float]
    intervals: bool


def class_rules(decision: GateDecision) -> dict[str, RuleResult]:
    """Return for every class the rule that judged its recall: the bound compared and its limit are the rule's own."""
    rules = {rule.subject: rule for rule in decision.rules if rule.rule == "classes_present" and rule.subject}
    return rules | {rule.subject: rule for rule in decision.rules if rule.rule == "recall" and rule.subject}


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


def compared_bound(figures: ClassFigures, rule: RuleResult | None) -> float:
    """Return the lower bound the gate compared, which may be stricter than the plain one; else the plain one."""
    return figures.recall.lower if rule is None or rule.bound is None else rule.bound


def recall_intervals(evaluation: Evaluation, decision: GateDecision, text: Text, palette: Palette) -> go.Figure:
    """Draw each class's recall with its bounds against the gate's limit, the class with the least room on top."""
    rows = [_recall_row(figures, rule, text) for figures, rule in weakest_first(evaluation, decision)]
    names: dict[Verdict | None, str] = {verdict: text.word(verdict) for verdict in Verdict}
    lowest = min((edge for row in rows for edge in (row.limit, *(row.span or ())) if edge is not None), default=0.0)
    # A recall lies between 0 and 1; the slivers beyond keep a mark at either end whole.
    axis = (max(-0.02, lowest - 0.05), 1.02)
    reading = _Reading(names | {None: text.plain("not_judged")}, text.word("limit"), axis, intervals=True)
    figure = _dot_plot(rows, reading, palette)
    return figure.update_xaxes(title_text=text.plain("recall_axis"), tickformat=".2f")


def drift_distances(report: DriftReport, text: Text, palette: Palette) -> go.Figure:
    """Draw each feature's distance from the reference against its threshold, the farthest on top."""
    features = sorted(report.features, key=lambda feature: feature.distance / feature.threshold, reverse=True)
    rows = [
        _Row(
            name=text.feature(feature.feature),
            value=feature.distance,
            limit=feature.threshold,
            verdict=(Verdict.FAIL if feature.drifted else Verdict.PASS) if feature.judged else None,
            label=text.plain("now_mean", reference=_mean(feature.reference_mean), current=_mean(feature.current_mean)),
            span=(0.0, feature.distance),
            hover=f"{text.word('distance')} {feature.distance:.3f}, {text.word('threshold')} {feature.threshold:.3f}",
        )
        for feature in features
    ]
    names: dict[Verdict | None, str] = {Verdict.PASS: text.word("stable"), Verdict.FAIL: text.word("drifted")}
    names[None] = text.plain("not_judged")
    highest = max((max(feature.distance, feature.threshold) for feature in features), default=1.0)
    reading = _Reading(names, text.word("threshold"), (0.0, highest * 1.1), intervals=False)
    figure = _dot_plot(rows, reading, palette)
    # A test's p-value threshold is stored in the policy as it is and with each feature as -log10 p.
    tested = report.policy.tests
    key = "drift_axis_test" if tested else "drift_axis"
    return figure.update_xaxes(title_text=text.plain(key, method=report.policy.method))


def instance_counts(split: Split, classes: Sequence[str], text: Text, palette: Palette) -> go.Figure:
    """Draw the instances of each class in training, validation and test, each side on its own scale."""
    sides = (Side.TRAIN, Side.VALIDATION, Side.TEST)
    titles = [text.title(side) for side in sides]
    figure = make_subplots(rows=1, cols=len(sides), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.06)
    for column, side in enumerate(sides, start=1):
        counts = [split.counts.get(side, {}).get(name, 0) for name in classes]
        figure.add_bar(
            x=counts,
            y=ticks(classes),
            orientation="h",
            text=[text.count(count) for count in counts],
            textposition="outside",
            textfont={"color": palette.text},
            cliponaxis=False,
            # Test judges, so its bars carry the colour; the others are context.
            marker_color=palette.verdicts[Verdict.PASS] if side is Side.TEST else palette.soft,
            hovertemplate=f"%{{y}}: %{{x}} {text.plain('counts_axis')}<extra>{text.title(side)}</extra>",
            row=1,
            col=column,
        )
        figure.update_xaxes(range=[0, max([*counts, 1]) * 1.3], row=1, col=column)
    dress(figure, len(classes), palette)
    figure.update_layout(showlegend=False, bargap=0.45, margin={"l": 8, "r": 24, "t": 40, "b": 56})
    figure.update_annotations(font={"color": palette.text, "size": 14})
    figure.update_xaxes(title_text=text.plain("counts_axis"), nticks=4)
    figure.update_yaxes(autorange="reversed", showgrid=False, ticklabelstandoff=8)
    return figure


def _recall_row(figures: ClassFigures, rule: RuleResult | None, text: Text) -> _Row:
    recall = figures.recall
    measured = recall.value is not None
    label = f"<b>{text.value(recall.value)}</b>  {text.found(recall)}" if measured else text.plain("no_instances")
    lower = compared_bound(figures, rule)
    bounds = f"{text.word('lower_bound')} {text.at_least(lower)}, {text.word('upper_bound')} "
    return _Row(
        name=figures.defect_class,
        value=recall.value,
        limit=rule.limit if rule else None,
        verdict=rule.verdict if rule else None,
        label=label,
        span=(lower, recall.upper) if measured else None,
        hover=f"{text.word('recall')} {text.value(recall.value)}<br>{bounds}{text.at_most(recall.upper)}",
    )


def _dot_plot(rows: Sequence[_Row], reading: _Reading, palette: Palette) -> go.Figure:
    """Lay out rows top to bottom: span, mark in the verdict's colour and shape, limit, label at the right."""
    figure = go.Figure()
    _add_limits(figure, rows, reading, palette)
    for verdict in (*Verdict, None):
        group = [(place, row) for place, row in enumerate(rows) if row.verdict is verdict and row.value is not None]
        if group:
            colour = palette.verdicts[verdict] if verdict else palette.soft
            _add_spans(figure, group, colour, caps=reading.intervals)
            _add_marks(
                figure, group, colour, symbol=SYMBOLS[verdict] if verdict else "square", name=reading.names[verdict]
            )
    for place, row in enumerate(rows):
        figure.add_annotation(
            {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 12, "y": place, "showarrow": False},
            text=row.label,
            align="left",
        )
    dress(figure, len(rows), palette)
    figure.update_xaxes(range=reading.axis, nticks=8)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=ticks(row.name for row in rows),
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
        ticklabelstandoff=8,
    )
    return figure


def _add_marks(figure: go.Figure, group: Sequence[tuple[int, _Row]], colour: str, *, symbol: str, name: str) -> None:
    """Draw the marks of a group: an open one keeps a stroke that can be seen, a full one needs none."""
    figure.add_scatter(
        x=[row.value for _, row in group],
        y=[place for place, _ in group],
        mode="markers",
        name=name,
        cliponaxis=False,
        marker={
            "symbol": symbol,
            "size": MARK,
            "color": colour,
            "line": {"width": 2.5 if symbol.endswith("-open") else 0, "color": colour},
        },
        customdata=[[shown(row.name), row.hover] for _, row in group],
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
    )


def _add_spans(figure: go.Figure, group: Sequence[tuple[int, _Row]], colour: str, *, caps: bool) -> None:
    """Draw the bars of a group as one trace, broken by gaps, with a cap at each end where the ends mean something."""
    spans = [(place, row.span) for place, row in group if row.span is not None]
    figure.add_scatter(
        x=[value for _, (low, high) in spans for value in (low, high, None)],
        y=[value for place, _ in spans for value in (place, place, None)],
        mode="lines+markers" if caps else "lines",
        line={"color": colour, "width": 3},
        marker={"symbol": "line-ns-open", "size": 12, "color": colour, "line": {"width": 3}},
        showlegend=False,
        hoverinfo="skip",
    )


def _add_limits(figure: go.Figure, rows: Sequence[_Row], reading: _Reading, palette: Palette) -> None:
    """Draw each row's limit over the height of its row, so that equal limits join, and shade its wrong side."""
    limited = [(place, row.limit) for place, row in enumerate(rows) if row.limit is not None]
    for place, limit in limited:
        figure.add_shape(
            {"type": "rect", "x1": limit, "y0": place - 0.5, "y1": place + 0.5, "line_width": 0, "layer": "below"},
            x0=reading.axis[0 if reading.intervals else 1],
            fillcolor=palette.soft,
            opacity=0.13,
        )
    figure.add_scatter(
        x=[value for _, limit in limited for value in (limit, limit, None)],
        y=[value for place, _ in limited for value in (place - 0.5, place + 0.5, None)],
        mode="lines",
        name=reading.limit,
        line={"color": palette.text, "width": 2},
        hovertemplate=f"{reading.limit} %{{x:.3~f}}<extra></extra>",
    )


def dress(figure: go.Figure, rows: int, palette: Palette) -> None:
    """Give a figure the page's colours, a height by its rows, and no frame."""
    figure.update_layout(
        height=HEAD + 36 + ROW * max(rows, 1),
        margin={"l": 8, "r": 150, "t": 44, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": palette.text, "size": 15, "family": FONT},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
        hoverlabel={"bgcolor": palette.background, "font": {"color": palette.text}, "bordercolor": palette.soft},
        dragmode=False,
    )
    axis = {"color": palette.text, "gridcolor": palette.faint, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(**axis, title_font={"size": 13}, tickfont={"size": 13})
    figure.update_yaxes(**axis, automargin=True, title_standoff=14)


def ticks(names: Iterable[str]) -> list[str]:
    """Return names as the ticks of an axis."""
    return [shown(name) for name in names]


def shown(name: str) -> str:
    """Return a name as Plotly shows it to the letter: it reads a small HTML of its own in labels."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mean(value: float) -> str:
    """Return a mean with three significant digits, whatever its unit, and never as a power of ten."""
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f}"
