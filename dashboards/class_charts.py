"""Charts of the page Classes: pure functions from stored values to SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboards.charts import verdict_signs
from dashboards.reading.classes import Past
from dashboards.texts import Text
from wafergate.domain.evaluation import Rate
from wafergate.domain.learning_curve import ClassCurve
from wafergate.formats import svg
from wafergate.formats.charts import class_rules, compared_bound

__all__ = ["learning_curve", "rate_history", "recall_history"]

HEIGHT = 220.0
BESIDE = 0.26  # of a version's room: how far its limit reaches to both sides


@dataclass(frozen=True, slots=True)
class _Point:
    """One model version: where its mark stands, how far its bounds reach, and what is said when it is pointed at."""

    version: str
    value: float
    lower: float
    upper: float
    look: tuple[str, str]
    hover: str
    limit: float | None = None


def recall_history(past: Sequence[Past], defect_class: str, text: Text) -> str:
    """Draw one class's recall with its bounds over the model versions, against the gate's limit of each time.

    Args:
        past: judged model versions, the oldest first.
        defect_class: the class.
        text: language.
    """
    points = [point for item in past if (point := _recall_point(item, defect_class, text))]
    edges = [edge for point in points for edge in (point.lower, point.limit) if edge is not None]
    scale = svg.number_axis(max(-0.02, min(edges, default=0.0) - 0.05), 1.02, text.plain("recall_axis"))
    panel = svg.Panel(_versions(points, text), scale, HEIGHT)
    names = [("line limit dash", text.word("limit"))]
    verdicts = {point.look[1].removeprefix("v-").removeprefix("none") for point in points}
    drawn = panel.draw(part for place, point in enumerate(points) for part in _point(panel, place, point, text))
    return svg.legend([*names, *verdict_signs(verdicts, text)]) + svg.canvas([drawn], left=panel.left)


def rate_history(past: Sequence[Past], text: Text) -> str:
    """Draw escape and overkill rate with their bounds over the model versions, side by side; lower is better."""
    told = (
        ("escape_rate", ("diamond", "v-fail"), [item.evaluation.escapes for item in past]),
        ("overkill_rate", ("circle", "v-pass"), [item.evaluation.overkill for item in past]),
    )
    highest = max((rate.upper for *_, rates in told for rate in rates if rate.value is not None), default=1.0)
    scale = svg.number_axis(0, highest * 1.08, text.plain("rates_axis"))
    panels, left = [], 0.0
    for term, look, rates in told:
        points = [_rate_point(item, rate, term, look, text) for item, rate in zip(past, rates, strict=True)]
        panel = svg.Panel(_versions(points, text), scale, HEIGHT)
        measured = any(rate.value is not None for rate in rates)
        title = text.title(term) + ("" if measured else f": {text.plain('no_images')}")
        parts = [
            part
            for place, (point, rate) in enumerate(zip(points, rates, strict=True))
            if rate.value is not None
            for part in _point(panel, place, point, text)
        ]
        panels.append(panel.draw(parts, title))
        left, scale = left or panel.left, svg.bare_axis(scale)
    return svg.canvas(panels, left=left, columns=2)


def learning_curve(curve: ClassCurve, text: Text) -> str:
    """Draw what was measured of one class by number of images, the law through it and its bounds."""
    measured = [point for point in curve.points if point.recall.value is not None]
    most = max([value.images for value in curve.line] + [point.images for point in curve.points] + [curve.images, 1])
    scale = svg.number_axis(-0.02, 1.03, text.title("recall"))
    panel = svg.Panel(svg.number_axis(0, most * 1.03, text.plain("curve_axis"), most=8, whole=True), scale, HEIGHT)
    parts, names = [], []
    if curve.line:
        upper = [(float(value.images), value.upper) for value in curve.line]
        lower = [(float(value.images), value.lower) for value in reversed(curve.line)]
        parts.append(panel.course(upper + lower, "band", closed=True))
        parts.append(panel.course([(float(value.images), value.recall) for value in curve.line], "curve c-ink"))
        names = [("box band", text.plain("curve_bounds")), ("line curve c-ink", text.plain("curve_law"))]
    parts.append(panel.line((curve.images, scale.low), (curve.images, scale.high), "now"))
    for point in measured:
        told = f"{text.count(point.images)} {text.plain('curve_axis')}\n"
        told += f"{text.word('recall')} {text.value(point.recall.value)}, {text.found(point.recall)}"
        parts.append(panel.mark((point.images, point.recall.value or 0.0), ("circle", "v-pass"), told))
    names.append(("circle v-pass", text.plain("curve_measured")))
    return svg.legend(names) + svg.canvas([panel.draw(parts)], left=panel.left)


def _recall_point(item: Past, defect_class: str, text: Text) -> _Point | None:
    figures = item.evaluation.by_class().get(defect_class)
    if figures is None or figures.recall.value is None:
        return None
    rule = class_rules(item.decision).get(defect_class)
    lower = compared_bound(figures, rule)
    hover = (
        f"{text.word('recall')} {text.value(figures.recall.value)}, {text.found(figures.recall)}"
        f"\n{text.word('lower_bound')} {text.at_least(lower)}\n{text.when(item.decision.created_at)}"
    )
    look = svg.verdict_look(rule.verdict.value if rule else "")
    limit = rule.limit if rule else None
    return _Point(f"v{item.model.number}", figures.recall.value, lower, figures.recall.upper, look, hover, limit)


def _rate_point(item: Past, rate: Rate, term: str, look: tuple[str, str], text: Text) -> _Point:
    hover = f"{text.word(term)} {text.value(rate.value)}, {text.found(rate)}"
    upper = f"\n{text.word('upper_bound')} {text.at_most(rate.upper)}"
    return _Point(f"v{item.model.number}", rate.value or 0.0, rate.lower, rate.upper, look, hover + upper)


def _versions(points: Sequence[_Point], text: Text) -> svg.Axis:
    return svg.category_axis([point.version for point in points], text.plain("versions_axis"))


def _point(panel: svg.Panel, place: int, point: _Point, text: Text) -> Iterator[str]:
    if point.limit is not None:
        told = f"{text.word('limit')} {text.limit(point.limit)}"
        yield panel.line((place - BESIDE, point.limit), (place + BESIDE, point.limit), "limit dash", told)
    yield panel.span((place, point.lower), (place, point.upper), point.look[1])
    yield panel.mark((place, point.value), point.look, f"{point.version}\n{point.hover}")
