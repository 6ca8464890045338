"""A small vocabulary of charts as inline SVG, for reports and screens: numbers in, text out.

Across, everything stands in percent of the room a page gives; up and down, in pixels. So a chart follows its page's
width while its text keeps its size. Colours are classes that `templates/charts.css` reads from the page's variables.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from pathlib import Path

__all__ = [
    "SHAPES",
    "VERDICT_SHAPES",
    "Axis",
    "Panel",
    "bare_axis",
    "canvas",
    "category_axis",
    "chart_style",
    "figure",
    "label_width",
    "legend",
    "number_axis",
    "plain",
    "row_axis",
    "shorten",
    "text_width",
    "verdict_look",
]

SHAPES: Mapping[str, str] = {
    "circle": "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0",
    "square": "M-5 -5H5V5H-5Z",
    "diamond": "M0 -7L7 0L0 7L-7 0Z",
    "triangle": "M0 -6.5L6.5 5H-6.5Z",
    "cross": "M-5 -5L5 5M5 -5L-5 5",
    "plus": "M0 -6.5V6.5M-6.5 0H6.5",
    "diamond-open": "M0 -7L7 0L0 7L-7 0Z",
}
"""Outlines of marks around their middle, in pixels."""

VERDICT_SHAPES: Mapping[str, str] = {"pass": "circle", "undecided": "diamond-open", "fail": "cross", "": "square"}
"""Shape of a verdict's mark: it tells the verdict where colour does not; the empty one was judged by no rule."""

NAME = 170.0  # pixels; a longer name is cut, and whole where it is pointed at
FONT = 14.0


@cache
def chart_style() -> str:
    """Return the rules of every chart; the page gives the colours as variables."""
    return (Path(__file__).parent / "templates" / "charts.css").read_text(encoding="utf-8")


def plain(text: str) -> str:
    """Return text for HTML as one line without a bare colon, so that Markdown around it reads nothing into it."""
    return escape(text).replace("\r", "").replace("\n", "&#10;").replace(":", "&#58;")


def text_width(text: str, size: float = FONT) -> float:
    """Return about how many pixels a text takes, rather too many than too few; letters of the East are square."""
    return size * sum(1.0 if ord(letter) > 0x2E80 else 0.57 for letter in text)


def shorten(text: str, most: float = NAME) -> str:
    """Return a text that takes no more than so many pixels, cut with an ellipsis."""
    line = " ".join(text.split())
    if text_width(line) <= most:
        return line
    kept = line
    while kept and text_width(kept + "…") > most:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def label_width(labels: Iterable[str]) -> float:
    """Return the pixels that the labels at the left of a plot take with the gap beside it."""
    return 12 + max((text_width(shorten(label)) for label in labels), default=0.0)


def verdict_look(verdict: str) -> tuple[str, str]:
    """Return shape and class of a verdict's mark; an empty one was judged by no rule."""
    return VERDICT_SHAPES[verdict], f"v-{verdict or 'none'}"


@dataclass(frozen=True, slots=True)
class Axis:
    """A straight axis.

    Attributes:
        low: the value at the left or at the foot.
        high: the value at the right or at the top; below `low` where rows are counted downwards.
        ticks: values with their labels.
        title: what is measured, with its unit.
        grid: whether a line goes through each tick.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    title: str = ""
    grid: bool = True

    def share(self, value: float) -> float:
        """Return how far along the axis a value stands, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def number_axis(
    low: float, high: float, title: str = "", *, most: int = 6, percent: bool = False, whole: bool = False
) -> Axis:
    """Return an axis with about `most` ticks at round values (1, 2 or 5 times a power of ten), each told exactly.

    `percent` tells shares as percentages; `whole` keeps to whole numbers.
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(part * power for part in (1, 2, 5, 10) if part * power * most >= (high - low) * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [place * step for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    labels = [f"{value:.{max(0, digits - 2)}%}" if percent else f"{value:,.{digits}f}" for value in values]
    return Axis(low, high, tuple(zip(values, labels, strict=True)), title)


def category_axis(names: Sequence[str], title: str = "", *, most: int = 12, least: int = 3) -> Axis:
    """Return an axis of places 0, 1, …, with no more names than can be read, counted back from the newest.

    `least` places are kept free even where there are fewer, so that few things do not stand far apart.
    """
    every = max(1, -(-len(names) // most))
    kept = range(len(names) - 1, -1, -every)
    ticks = tuple((float(place), names[place]) for place in reversed(kept))
    return Axis(-0.5, max(len(names), least) - 0.5, ticks, title, grid=False)


def bare_axis(axis: Axis) -> Axis:
    """Return an axis with its grid and without words, for a plot beside or above another one that tells them."""
    return replace(axis, ticks=tuple((value, "") for value, _ in axis.ticks if axis.grid), title="")


def row_axis(names: Sequence[str]) -> Axis:
    """Return an axis of rows 0, 1, … downwards, each with its name."""
    rows = max(len(names), 1)
    return Axis(rows - 0.5, -0.5, tuple((float(row), name) for row, name in enumerate(names)), grid=False)


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot; its parts are strings of SVG that `draw` puts together.

    Attributes:
        x: the axis across.
        y: the axis up.
        height: pixels between the ends of `y`.
    """

    x: Axis
    y: Axis
    height: float

    @property
    def left(self) -> float:
        """Return the pixels that the labels of `y` take."""
        return label_width(label for _, label in self.y.ticks)

    def across(self, value: float) -> str:
        """Return where a value of `x` stands, in percent."""
        return f"{100 * self.x.share(value):.3f}%"

    def up(self, value: float) -> float:
        """Return where a value of `y` stands, in pixels from the top."""
        return round(self.height * (1 - self.y.share(value)), 2)

    def mark(self, at: tuple[float, float], look: tuple[str, str], told: str) -> str:
        """Draw a mark of a shape and a class; `told` is said where it is pointed at and by a screen reader."""
        shape, style = look
        place = f'x="{self.across(at[0])}" y="{self.up(at[1])}"'
        return f'<svg class="mark {shape} {style}" {place} role="img"><title>{plain(told)}</title>{_path(shape)}</svg>'

    def line(self, start: tuple[float, float], end: tuple[float, float], style: str, told: str = "") -> str:
        """Draw a straight line."""
        ends = (
            f'x1="{self.across(start[0])}" y1="{self.up(start[1])}" x2="{self.across(end[0])}" y2="{self.up(end[1])}"'
        )
        return f'<line class="{style}" {ends}>{_title(told)}</line>'

    def span(self, start: tuple[float, float], end: tuple[float, float], style: str, *, caps: bool = True) -> str:
        """Draw a level or an upright bar of bounds, with a cap at each end where the ends mean something."""
        drawn = self.line(start, end, f"span {style}")
        if not caps:
            return drawn
        cap = "M0 -5V5" if start[1] == end[1] else "M-5 0H5"
        return drawn + "".join(
            f'<svg class="cap {style}" x="{self.across(x)}" y="{self.up(y)}"><path d="{cap}"/></svg>'
            for x, y in (start, end)
        )

    def box(
        self, low: tuple[float, float], high: tuple[float, float], style: str, told: str = "", fill: str = ""
    ) -> str:
        """Draw a box between two corners; `fill` is a colour in place of the class's."""
        left, right = sorted(100 * self.x.share(corner[0]) for corner in (low, high))
        top, foot = sorted(self.up(corner[1]) for corner in (low, high))
        size = f'x="{left:.3f}%" y="{top}" width="{right - left:.3f}%" height="{foot - top:.2f}"'
        role = ' role="img"' if told else ""
        filled = f' style="fill:{fill}"' if fill else ""
        return f'<rect class="{style}" {size}{role}{filled}>{_title(told)}</rect>'

    def text(self, at: tuple[float, float], words: str, style: str, shift: tuple[float, float] = (0, 4.5)) -> str:
        """Write words at a place, moved by so many pixels."""
        place = f'x="{self.across(at[0])}" y="{self.up(at[1])}" dx="{shift[0]}" dy="{shift[1]}"'
        return f'<text class="{style}" {place}>{plain(words)}</text>'

    def course(self, points: Iterable[tuple[float, float]], style: str, *, closed: bool = False) -> str:
        """Draw a line through points, or the closed area between them."""
        at = " ".join(f"{100 * self.x.share(x):.3f},{100 * (1 - self.y.share(y)):.3f}" for x, y in points)
        name = "polygon" if closed else "polyline"
        return (
            f'<svg class="course" viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="{self.height}">'
            f'<{name} class="{style}" points="{at}"/></svg>'
        )

    def draw(self, parts: Iterable[str], title: str = "") -> str:
        """Return the plot with its grid, ticks and titles below its parts."""
        foot = (24 if self.x.ticks else 4) + (22 if self.x.title else 0)
        head = 32 if title or self.y.title else 10
        size = f"height:{self.height}px;margin:{head}px 0 {foot}px"
        return f'<svg class="panel" style="{size}">{"".join([*self._frame(title), *parts])}</svg>'

    def _frame(self, title: str) -> Iterable[str]:
        for value, label in self.x.ticks:
            x = self.across(value)
            if self.x.grid:
                yield f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{self.height}"/>'
            yield f'<text class="tick x" x="{x}" y="{self.height + 18}">{plain(label)}</text>'
        for value, label in self.y.ticks:
            y = self.up(value)
            if self.y.grid:
                yield f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
            short = shorten(label)
            whole = _title(label) if short != label else ""
            style = "tick y" if self.y.grid else "tick y name"
            yield f'<text class="{style}" x="-10" y="{y}" dy="4.5">{plain(short)}{whole}</text>'
        if self.x.title:
            below = self.height + (40 if self.x.ticks else 18)
            yield f'<text class="axis x" x="50%" y="{below}">{plain(self.x.title)}</text>'
        if title:
            yield f'<text class="title" x="0" y="-14">{plain(title)}</text>'
        if self.y.title and title:
            yield f'<text class="axis y far" x="100%" y="-14">{plain(self.y.title)}</text>'
        elif self.y.title:
            yield f'<text class="axis y" x="0" y="-14">{plain(self.y.title)}</text>'


def canvas(panels: Sequence[str], *, left: float, right: float = 14, columns: int = 1) -> str:
    """Return plots below or beside each other, with room for labels in pixels at both sides."""
    room = f"padding:0 {right:.0f}px 0 {left:.0f}px;grid-template-columns:repeat({columns},minmax(0,1fr))"
    return f'<div class="canvas" style="{room}">{"".join(panels)}</div>'


def legend(items: Iterable[tuple[str, str]]) -> str:
    """Return what signs mean: pairs of a sign and its word.

    A sign is a shape with its class, e.g. `circle v-pass`, or `line`, `upright` or `box` with one, `fill` with a
    colour, or `times`.
    """
    told = "".join(f"<span>{_sign(*sign.partition(' ')[::2])}{plain(word)}</span>" for sign, word in items)
    return f'<div class="legend">{told}</div>'


def figure(body: str, alt: str) -> str:
    """Return a chart whole; `alt` tells a screen reader what it shows."""
    return f'<figure class="chart" role="figure" aria-label="{plain(alt)}">{body}</figure>'


def _sign(kind: str, style: str) -> str:
    if kind == "line":
        drawn = f'<line class="{style}" x1="0" x2="26" y1="8" y2="8"/>'
    elif kind == "upright":
        drawn = f'<line class="{style}" x1="13" x2="13" y1="0" y2="16"/>'
    elif kind == "box":
        drawn = f'<rect class="{style}" x="0" y="2" width="26" height="12"/>'
    elif kind == "fill":
        drawn = f'<rect x="0" y="1" width="26" height="14" style="fill:{style}"/>'
    elif kind == "times":
        drawn = '<text class="mid" x="13" y="14">×</text>'
    else:
        line = f'<line class="curve {style}" x1="0" x2="26" y1="8" y2="8"/>' if "c-" in style else ""
        drawn = f'{line}<svg class="mark {kind} {style}" x="13" y="8">{_path(kind)}</svg>'
    return f'<svg class="sign" width="26" height="16" aria-hidden="true">{drawn}</svg>'


def _path(shape: str) -> str:
    return f'<path d="{SHAPES[shape]}"/>'


def _title(told: str) -> str:
    return f"<title>{plain(told)}</title>" if told else ""
