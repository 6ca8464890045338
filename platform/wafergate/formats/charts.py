"""Charts of a report as inline SVG: numbers in, text out; every text is escaped, every colour a class of the page."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bar", "Column", "Curve", "Mark", "columns", "intervals", "marks", "plot"]

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One class's recall in `intervals`.

    Attributes:
        name: the class.
        value: the point; None where there is none.
        lower: lower bound, 0..1.
        upper: upper bound, 0..1.
        limit: what the lower bound must reach; None where no rule judged it.
        verdict: `pass`, `fail`, `undecided` or empty.
        told: written at the right.
    """

    name: str
    value: float | None
    lower: float
    upper: float
    limit: float | None
    verdict: str
    told: str


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


@dataclass(frozen=True, slots=True)
class _Frame:
    """A plot's area in the units of its SVG, and the data it shows."""

    left: float
    top: float
    width: float
    height: float
    low: tuple[float, float]
    high: tuple[float, float]

    def x(self, value: float) -> float:
        return round(self.left + self.width * (value - self.low[0]) / (self.high[0] - self.low[0]), 1)

    def y(self, value: float) -> float:
        return round(self.top + self.height * (self.high[1] - value) / (self.high[1] - self.low[1]), 1)


_ROW = 34


def intervals(bars: Sequence[Bar], *, title: str = "recall by class with bounds") -> str:
    """Return recall with its bounds against the limit, a row for each class, from below the lowest figure to 1.

    `title` is read aloud instead of the picture.
    """
    edges = [bar.lower for bar in bars] + [bar.limit for bar in bars if bar.limit is not None]
    low = max(0.0, math.floor(min(edges, default=0.0) * 10 - 0.3) / 10)
    frame = _Frame(150, 6, 440, len(bars) * _ROW, (low, 0.0), (1.0, float(len(bars))))
    bottom = frame.top + frame.height
    step = 0.1 if low < 0.75 else 0.05
    parts = [f'<svg class="wide" viewBox="0 0 760 {bottom + 30}" role="img" aria-label="{escape(title)}">']
    for tick in range(round((1 - low) / step) + 1):
        at = frame.x(low + tick * step)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{frame.top}" y2="{bottom}"/>')
        parts.append(f'<text class="tick mid" x="{at}" y="{bottom + 20}">{low + tick * step:.2f}</text>')
    for place, bar in enumerate(bars):
        parts += _bar(bar, frame, frame.top + (place + 0.5) * _ROW)
    return "".join([*parts, "</svg>"])


def _bar(bar: Bar, frame: _Frame, y: float) -> Iterator[str]:
    yield f'<text class="name end" x="{frame.left - 12}" y="{y + 4}">{escape(bar.name)}</text>'
    yield f'<text class="told" x="{frame.left + frame.width + 14}" y="{y + 4}">{escape(bar.told)}</text>'
    if bar.limit is not None:
        at, half = frame.x(bar.limit), _ROW / 2
        yield f'<rect class="short" x="{frame.left}" y="{y - half}" width="{at - frame.left:.1f}" height="{_ROW}"/>'
        yield f'<line class="limit" x1="{at}" x2="{at}" y1="{y - half}" y2="{y + half}"/>'
    if bar.value is None:
        return
    low, high, style = frame.x(bar.lower), frame.x(bar.upper), f"v-{bar.verdict or 'none'}"
    yield f'<path class="span {style}" d="M{low} {y}H{high}M{low} {y - 5}V{y + 5}M{high} {y - 5}V{y + 5}"/>'
    yield _mark(bar.verdict, frame.x(bar.value), y)


def _mark(verdict: str, x: float, y: float) -> str:
    """Draw a disc for pass, a cross for fail and an open diamond for the rest: shape tells what colour tells."""
    if verdict == "pass":
        return f'<circle class="mark v-pass" cx="{x}" cy="{y}" r="6"/>'
    if verdict == "fail":
        return f'<path class="cross v-fail" d="M{x - 5} {y - 5}l10 10m0 -10l-10 10"/>'
    return f'<path class="open v-{verdict or "none"}" d="M{x} {y - 7}l7 7l-7 7l-7 -7z"/>'


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
    highest = top or _ceiling(max((y for line in lines for _, y in line.points), default=1.0))
    frame = _Frame(46, 26, 180, 110, (0.0, 0.0), (1.0, highest))
    bottom = frame.top + frame.height
    parts = [f'<svg class="small" viewBox="0 0 240 176" role="img" aria-label="{escape(title)}, {escape(axes[1])}">']
    parts.append(f'<text class="name" x="{frame.left}" y="15">{escape(title)}</text>')
    parts.append(f'<text class="tick end" x="{frame.left + frame.width}" y="15">{escape(axes[1])}</text>')
    for part in (0.0, 0.5, 1.0):
        x, y = frame.x(part), frame.y(part * highest)
        parts.append(f'<line class="grid" x1="{frame.left}" x2="{frame.left + frame.width}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick end" x="{frame.left - 6}" y="{y + 4}">{_tick(part * highest)}</text>')
        parts.append(f'<text class="tick mid" x="{x}" y="{bottom + 15}">{part:.1f}</text>')
    if at is not None:
        x = frame.x(min(max(at, 0.0), 1.0))
        parts.append(f'<line class="limit" x1="{x}" x2="{x}" y1="{frame.top}" y2="{bottom}"/>')
    for line in lines:
        told = " ".join(f"{frame.x(x)},{frame.y(min(y, highest))}" for x, y in line.points)
        parts.append(f'<polyline class="curve {line.style}" points="{told}"/>')
    if mark is not None:
        parts.append(f'<circle class="mark v-pass" cx="{frame.x(mark[0])}" cy="{frame.y(mark[1])}" r="5"/>')
    middle = frame.left + frame.width / 2
    parts.append(f'<text class="tick mid" x="{middle}" y="{bottom + 33}">{escape(axes[0])}</text>')
    return "".join([*parts, "</svg>"])


def columns(items: Sequence[Column], *, title: str) -> str:
    """Return a column for each item, the part that stands out at its foot; `title` is read aloud."""
    highest = _ceiling(float(max((item.whole for item in items), default=1)))
    frame = _Frame(56, 24, 680, 130, (0.0, 0.0), (float(max(len(items), 1)), highest))
    parts = _canvas(frame, title)
    width = min(64.0, frame.width / max(len(items), 1) * 0.6)
    for place, item in enumerate(items):
        middle, foot = frame.x(place + 0.5), frame.top + frame.height
        for value, style in ((item.whole, "whole"), (item.part, "part")):
            top = frame.y(value)
            at = f'x="{middle - width / 2:.1f}" y="{top}" width="{width:.1f}" height="{foot - top:.1f}"'
            parts.append(f'<rect class="{style}" {at}/>')
        parts.append(f'<text class="told mid" x="{middle}" y="{frame.y(item.whole) - 6}">{escape(item.told)}</text>')
        parts.append(f'<text class="tick mid" x="{middle}" y="{foot + 18}">{escape(item.name)}</text>')
    return "".join([*parts, "</svg>"])


def marks(items: Sequence[Mark], *, title: str, limit: float) -> str:
    """Return a mark for each item against a limit that must not be reached; `title` is read aloud."""
    highest = _ceiling(max([item.value for item in items] + [limit * 1.2]))
    frame = _Frame(56, 24, 680, 130, (0.0, 0.0), (float(max(len(items), 1)), highest))
    parts, at = _canvas(frame, title), frame.y(limit)
    parts.append(
        f'<rect class="short" x="{frame.left}" y="{frame.top}" width="{frame.width}" height="{at - frame.top}"/>'
    )
    parts.append(f'<line class="limit" x1="{frame.left}" x2="{frame.left + frame.width}" y1="{at}" y2="{at}"/>')
    for place, item in enumerate(items):
        middle = frame.x(place + 0.5)
        parts.append(_mark(item.verdict, middle, frame.y(item.value)))
        parts.append(
            f'<text class="tick mid" x="{middle}" y="{frame.top + frame.height + 18}">{escape(item.name)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _canvas(frame: _Frame, title: str) -> list[str]:
    """Return the start of a wide picture with three lines from zero to the highest value."""
    parts = [
        f'<svg class="wide" viewBox="0 0 760 {frame.top + frame.height + 28}" role="img" aria-label="{escape(title)}">'
    ]
    for share in (0.0, 0.5, 1.0):
        y = frame.y(share * frame.high[1])
        parts.append(f'<line class="grid" x1="{frame.left}" x2="{frame.left + frame.width}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick end" x="{frame.left - 8}" y="{y + 4}">{_tick(share * frame.high[1])}</text>')
    return parts


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ceiling(value: float) -> float:
    """Return the next of 1, 2, 5, 10 … at or above a value, of any power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value * (1 - 1e-9))
