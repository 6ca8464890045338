"""Charts of the gate's figures, for reports and screens, in the vocabulary of `wafergate.formats.svg`."""

from collections.abc import Sequence
from dataclasses import dataclass

from wafergate.domain.evaluation import ClassFigures
from wafergate.domain.gate import GateDecision, RuleResult
from wafergate.formats import svg
from wafergate.formats.svg import Axis, Panel

__all__ = [
    "Column",
    "Curve",
    "Mark",
    "Row",
    "class_rules",
    "columns",
    "compared_bound",
    "dot_plot",
    "marks",
    "plot",
    "recall_axis",
    "recall_row",
]

ROW = 36.0  # pixels a row: near a finger's height on a tablet
HEIGHT = 130.0
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a dot plot.

    Attributes:
        name: at the left.
        value: the point; None where there is none.
        limit: what the row is judged against; None where no rule judged it.
        verdict: `pass`, `fail`, `undecided` or empty.
        told: written at the right: a figure that stands out, and words.
        span: the interval around the value, or its distance from zero.
        hover: lines said where the mark is pointed at, below the name.
    """

    name: str
    value: float | None
    limit: float | None
    verdict: str
    told: tuple[str, str]
    span: tuple[float, float] | None = None
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a `plot`: its points, and the class of the page's style that colours it."""

    points: Points
    style: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `columns`: a whole, the part of it that stands out, the name below and what is told above."""

    name: str
    whole: int
    part: int
    told: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark of `marks`: the name below it, how high it stands, and `pass`, `fail` or `undecided`."""

    name: str
    value: float
    verdict: str


def class_rules(decision: GateDecision) -> dict[str, RuleResult]:
    """Return for every class the rule that judged its recall: the bound compared and its limit are the rule's own."""
    rules = {rule.subject: rule for rule in decision.rules if rule.rule == "classes_present" and rule.subject}
    return rules | {rule.subject: rule for rule in decision.rules if rule.rule == "recall" and rule.subject}


def compared_bound(figures: ClassFigures, rule: RuleResult | None) -> float:
    """Return the lower bound the gate compared, which may be stricter than the plain one; else the plain one."""
    return figures.recall.lower if rule is None or rule.bound is None else rule.bound


def recall_row(figures: ClassFigures, rule: RuleResult | None, *, told: tuple[str, str], hover: str = "") -> Row:
    """Return the row of a class's recall with its bounds against the limit of the rule that judged it."""
    recall = figures.recall
    return Row(
        name=figures.defect_class,
        value=recall.value,
        limit=rule.limit if rule else None,
        verdict=rule.verdict.value if rule else "",
        told=told,
        span=(compared_bound(figures, rule), recall.upper) if recall.value is not None else None,
        hover=hover,
    )


def recall_axis(rows: Sequence[Row], title: str = "") -> Axis:
    """Return an axis that holds every bound and limit of recalls, up to 1."""
    edges = [edge for row in rows for edge in (row.limit, *(row.span or ())) if edge is not None]
    # A recall lies between 0 and 1; the slivers beyond keep a mark at either end whole.
    return svg.number_axis(max(-0.02, min(edges, default=0.0) - 0.05), 1.02, title, most=8)


def dot_plot(rows: Sequence[Row], axis: Axis, *, ceiling: bool = False, names: Sequence[tuple[str, str]] = ()) -> str:
    """Return rows top to bottom: a span, a mark in the verdict's colour and shape, its limit, and words at the right.

    Args:
        rows: what is drawn.
        axis: of the values.
        ceiling: True where spans are distances from zero that must stay below the limit; False where they are
            intervals that must stay above it.
        names: signs and their words for a legend above.
    """
    panel = Panel(axis, svg.row_axis([row.name for row in rows]), ROW * max(len(rows), 1))
    parts = [part for place, row in enumerate(rows) for part in _row(panel, place, row, ceiling=ceiling)]
    right = max((svg.text_width(" ".join(row.told)) for row in rows), default=0.0) + 28
    key = svg.legend(names) if names else ""
    return key + svg.canvas([panel.draw(parts)], left=panel.left, right=right)


def _row(panel: Panel, place: int, row: Row, *, ceiling: bool) -> list[str]:
    look, parts = svg.verdict_look(row.verdict), []
    if row.limit is not None:  # over the height of the row, so that equal limits join
        wrong = panel.x.high if ceiling else panel.x.low
        parts.append(panel.box((wrong, place - 0.5), (row.limit, place + 0.5), "short"))
        parts.append(panel.line((row.limit, place - 0.5), (row.limit, place + 0.5), "limit", f"{row.limit:g}"))
    if row.value is not None:
        if row.span is not None:
            parts.append(panel.span((row.span[0], place), (row.span[1], place), look[1], caps=not ceiling))
        parts.append(panel.mark((row.value, place), look, "\n".join(filter(None, [row.name, row.hover]))))
    strong, words = (svg.plain(part) for part in row.told)
    told = f'<tspan class="strong">{strong}</tspan><tspan dx="9">{words}</tspan>' if strong else words
    return [*parts, f'<text class="told" x="100%" y="{panel.up(place)}" dx="14" dy="4.5">{told}</text>']


def plot(
    title: str,
    lines: Sequence[Curve],
    *,
    axes: tuple[str, str],
    at: float | None = None,
    mark: tuple[float, float] | None = None,
    top: float | None = None,
) -> str:
    """Return a small plot with x from 0 to 1.

    Args:
        title: above it.
        lines: curves in the plot's units.
        axes: names of x and y.
        at: x of a vertical line, e.g. the frozen threshold.
        mark: a point drawn as a disc.
        top: the highest y; None takes it from the curves.
    """
    highest = top or max((y for line in lines for _, y in line.points), default=1.0) * 1.05 or 1.0
    panel = Panel(svg.number_axis(0, 1, axes[0], most=2), svg.number_axis(0, highest, axes[1], most=3), 110)
    parts = []
    if at is not None:
        x = min(max(at, 0.0), 1.0)
        parts.append(panel.line((x, 0), (x, highest), "limit", f"{at:g}"))
    parts += [panel.course(((x, min(y, highest)) for x, y in line.points), f"curve {line.style}") for line in lines]
    if mark is not None:
        parts.append(panel.mark(mark, svg.verdict_look("pass"), f"{axes[0]} {mark[0]:.3f}, {axes[1]} {mark[1]:.3f}"))
    drawn = svg.canvas([panel.draw(parts, svg.shorten(title, 120))], left=46)
    return svg.figure(drawn, f"{title}, {axes[1]}")


def columns(items: Sequence[Column], *, title: str) -> str:
    """Return a column for each item, the part that stands out at its foot; `title` is read aloud."""
    names = svg.category_axis([item.name for item in items], most=max(len(items), 1), least=7)
    panel = Panel(names, svg.number_axis(0, max([item.whole for item in items] + [1]) * 1.1, most=3), HEIGHT)
    parts = []
    for place, item in enumerate(items):
        for value, style in ((item.whole, "whole"), (item.part, "part")):
            parts.append(panel.box((place - 0.3, 0), (place + 0.3, value), style, f"{item.name}\n{item.told}"))
        parts.append(panel.text((place, item.whole), item.told, "told mid", (0, -6)))
    return svg.figure(svg.canvas([panel.draw(parts)], left=panel.left), title)


def marks(items: Sequence[Mark], *, title: str, limit: float) -> str:
    """Return a mark for each item against a limit that must not be reached; `title` is read aloud."""
    highest = max([item.value for item in items] + [limit]) * 1.2
    panel = Panel(
        svg.category_axis([item.name for item in items], least=7), svg.number_axis(0, highest, most=3), HEIGHT
    )
    low, high = panel.x.low, panel.x.high
    parts = [
        panel.box((low, limit), (high, highest), "short"),
        panel.line((low, limit), (high, limit), "limit", f"{limit:g}"),
    ]
    parts += [
        panel.mark((place, item.value), svg.verdict_look(item.verdict), f"{item.name}\n{item.value:.2f}")
        for place, item in enumerate(items)
    ]
    return svg.figure(svg.canvas([panel.draw(parts)], left=panel.left), title)
