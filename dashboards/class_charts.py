"""Figures of the page Classes: pure functions from stored values to Plotly figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.charts import class_rules, compared_bound, dress
from dashboards.palette import SYMBOLS, Palette
from dashboards.reading.classes import Past
from dashboards.texts import Text
from wafergate.domain.evaluation import Rate
from wafergate.domain.gate import Verdict
from wafergate.domain.learning_curve import ClassCurve

__all__ = ["learning_curve", "rate_history", "recall_history"]

HEIGHT = 320
MARK = 12


@dataclass(frozen=True, slots=True)
class _Point:
    """One model version: where its mark stands, how far its bounds reach, and what is said when it is pointed at."""

    version: str
    value: float
    lower: float
    upper: float
    verdict: Verdict | None
    hover: str


def recall_history(past: Sequence[Past], defect_class: str, text: Text, palette: Palette) -> go.Figure:
    """Draw one class's recall with its bounds over the model versions, against the gate's limit of each time.

    Args:
        past: judged model versions, the oldest first.
        defect_class: the class.
        text: language.
        palette: colours.
    """
    points, limits = [], []
    for item in past:
        figures = item.evaluation.by_class().get(defect_class)
        if figures is None or figures.recall.value is None:
            continue
        rule = class_rules(item.decision).get(defect_class)
        lower = compared_bound(figures, rule)
        hover = (
            f"{text.word('recall')} {text.value(figures.recall.value)}, {text.found(figures.recall)}"
            f"<br>{text.word('lower_bound')} {text.at_least(lower)}<br>{text.when(item.decision.created_at)}"
        )
        verdict = rule.verdict if rule else None
        points.append(
            _Point(f"v{item.model.number}", figures.recall.value, lower, figures.recall.upper, verdict, hover)
        )
        limits.append(rule.limit if rule else None)
    figure = go.Figure()
    versions = [point.version for point in points]
    figure.add_scatter(
        x=versions,
        y=limits,
        mode="lines+markers",  # a mark of its own, as a line through one version cannot be seen
        name=text.word("limit"),
        line={"color": palette.text, "width": 2, "shape": "hvh", "dash": "dash"},
        marker={"symbol": "line-ew-open", "size": 28, "color": palette.text, "line": {"width": 2}},
        hovertemplate=f"{text.word('limit')} %{{y:.3~f}}<extra></extra>",
    )
    for verdict in (*Verdict, None):
        group = [point for point in points if point.verdict is verdict]
        colour = palette.verdicts[verdict] if verdict else palette.soft
        name = text.word(verdict) if verdict else text.plain("not_judged")
        _add_points(figure, group, colour, symbol=SYMBOLS[verdict] if verdict else "square", name=name)
    _over_versions(figure, versions, text, palette)
    axis = text.plain("recall_axis")
    return figure.update_yaxes(title_text=axis, title_font={"size": 13}, tickformat=".2f", nticks=6)


def rate_history(past: Sequence[Past], text: Text, palette: Palette) -> go.Figure:
    """Draw escape and overkill rate with their bounds over the model versions, side by side; lower is better."""
    told = (
        ("escape_rate", palette.verdicts[Verdict.FAIL], "diamond", [item.evaluation.escapes for item in past]),
        ("overkill_rate", palette.verdicts[Verdict.PASS], "circle", [item.evaluation.overkill for item in past]),
    )
    measured = [[rate for rate in rates if rate.value is not None] for *_, rates in told]
    titles = [
        text.title(term) + ("" if seen else f": {text.plain('no_images')}")
        for (term, *_), seen in zip(told, measured, strict=True)
    ]
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.06)
    versions = [f"v{item.model.number}" for item in past]
    for column, (term, colour, symbol, rates) in enumerate(told, start=1):
        pairs = zip(versions, rates, strict=True)
        points = [_rate_point(version, rate, term, text) for version, rate in pairs if rate.value is not None]
        _add_points(figure, points, colour, symbol=symbol, name=text.word(term), column=column)
    highest = max((rate.upper for rates in measured for rate in rates), default=1.0)
    _over_versions(figure, versions, text, palette)
    figure.update_layout(showlegend=False)
    figure.update_annotations(font={"color": palette.text, "size": 14})
    figure.update_yaxes(title_text=text.plain("rates_axis"), title_font={"size": 13}, row=1, col=1)
    return figure.update_yaxes(range=[0, highest * 1.08], tickformat=".2f", nticks=6)


def learning_curve(curve: ClassCurve, text: Text, palette: Palette) -> go.Figure:
    """Draw what was measured of one class by number of images, the law through it and its bounds."""
    figure = go.Figure()
    grown = [value.images for value in curve.line]
    if curve.line:
        figure.add_scatter(
            x=[*grown, *reversed(grown)],
            y=[value.upper for value in curve.line] + [value.lower for value in reversed(curve.line)],
            fill="toself",
            mode="none",
            name=text.plain("curve_bounds"),
            fillcolor=palette.soft,
            opacity=0.3,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=grown,
            y=[value.recall for value in curve.line],
            mode="lines",
            name=text.plain("curve_law"),
            line={"color": palette.text, "width": 2},
            hovertemplate=f"%{{x:,}} {text.plain('curve_axis')}: %{{y:.3f}}<extra></extra>",
        )
    measured = [point for point in curve.points if point.recall.value is not None]
    figure.add_scatter(
        x=[point.images for point in measured],
        y=[point.recall.value for point in measured],
        mode="markers",
        name=text.plain("curve_measured"),
        marker={"size": MARK - 2, "color": palette.verdicts[Verdict.PASS]},
        customdata=[text.found(point.recall) for point in measured],
        hovertemplate=f"%{{x:,}} {text.plain('curve_axis')}: %{{y:.3f}} (%{{customdata}})<extra></extra>",
    )
    figure.add_vline(x=curve.images, line={"color": palette.soft, "width": 2, "dash": "dot"})
    dress(figure, 0, palette)
    figure.update_layout(height=HEIGHT, margin={"l": 8, "r": 16, "t": 44, "b": 56})
    figure.update_xaxes(title_text=text.plain("curve_axis"), rangemode="tozero", nticks=8)
    return figure.update_yaxes(title_text=text.title("recall"), range=[-0.02, 1.03], title_font={"size": 13})


def _rate_point(version: str, rate: Rate, term: str, text: Text) -> _Point:
    hover = f"{text.word(term)} {text.value(rate.value)}, {text.found(rate)}"
    upper = f"<br>{text.word('upper_bound')} {text.at_most(rate.upper)}"
    return _Point(version, rate.value or 0.0, rate.lower, rate.upper, None, hover + upper)


def _add_points(
    figure: go.Figure, points: Sequence[_Point], colour: str, *, symbol: str, name: str, column: int | None = None
) -> None:
    if not points:
        return
    figure.add_scatter(
        x=[point.version for point in points],
        y=[point.value for point in points],
        mode="markers",
        name=name,
        marker={
            "symbol": symbol,
            "size": MARK,
            "color": colour,
            "line": {"width": 2.5 if symbol.endswith("-open") else 0, "color": colour},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [max(point.upper - point.value, 0.0) for point in points],
            "arrayminus": [max(point.value - point.lower, 0.0) for point in points],
            "color": colour,
            "thickness": 2,
            "width": 6,
        },
        customdata=[[point.version, point.hover] for point in points],
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
        row=1 if column else None,
        col=column,
    )


def _over_versions(figure: go.Figure, versions: Sequence[str], text: Text, palette: Palette) -> None:
    dress(figure, 0, palette)
    figure.update_layout(height=HEIGHT, margin={"l": 8, "r": 16, "t": 44, "b": 56})
    figure.update_xaxes(
        title_text=text.plain("versions_axis"),
        type="category",
        categoryorder="array",
        categoryarray=list(versions),
        range=[-0.6, max(len(versions), 3) - 0.4],
        showgrid=False,
    )
