"""Read a chart back from its SVG: positions become values by the ticks that a reader would read them by."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

__all__ = ["Drawn", "Seen", "read_chart", "signs"]

NUMBER = re.compile(r"[−-]?[\d,]*\.?\d+%?")


@dataclass(frozen=True)
class Seen:
    """A sign on a plot: where it stands by its axes, its classes, and what is told of it."""

    x: float
    y: float
    style: tuple[str, ...]
    told: str

    @property
    def name(self) -> str:
        """Return the first line of what is told."""
        return self.told.split("\n")[0]


class Drawn:
    """One plot."""

    def __init__(self, panel: Element) -> None:
        self.panel = panel
        self.columns = [(_number(tick.get("x")), _words(tick)) for tick in self._texts("tick", "x")]
        self.rows = [(_number(tick.get("y")), _words(tick)) for tick in self._texts("tick", "y")]
        self.axes = [_words(text) for text in self._texts("axis")]
        self.titles = [_words(text) for text in self._texts("title")]

    def x(self, at: str | None) -> float:
        """Return the value, or the place, of a position across."""
        return _value(_number(at), self.columns)

    def y(self, at: str | None) -> float:
        """Return the value, or the place, of a position up or down."""
        return _value(_number(at), self.rows)

    def marks(self) -> list[Seen]:
        """Return every mark."""
        return [
            Seen(self.x(mark.get("x")), self.y(mark.get("y")), _classes(mark), mark.findtext("title") or "")
            for mark in self.panel.iter("svg")
            if "mark" in _classes(mark)
        ]

    def lines(self, style: str) -> list[tuple[float, float, float, float]]:
        """Return x and y of both ends of every straight line of a class."""
        return [
            (self.x(line.get("x1")), self.y(line.get("y1")), self.x(line.get("x2")), self.y(line.get("y2")))
            for line in self.panel.iter("line")
            if style in _classes(line)
        ]

    def boxes(self, style: str) -> list[tuple[float, float, float, float, str]]:
        """Return left, top, right, foot and what is told of every box of a class."""
        return [
            (
                self.x(box.get("x")),
                self.y(box.get("y")),
                self.x(str(_number(box.get("x")) + _number(box.get("width")))),
                self.y(str(_number(box.get("y")) + _number(box.get("height")))),
                box.findtext("title") or "",
            )
            for box in self.panel.iter("rect")
            if style in _classes(box)
        ]

    def courses(self) -> list[tuple[tuple[str, ...], list[tuple[float, float]]]]:
        """Return the classes and points of every line through points and every area."""
        height = _number(re.search(r"height:([\d.]+)", self.panel.get("style") or "")[1])  # type: ignore[index]
        return [
            (
                _classes(line),
                [
                    (self.x(point.split(",")[0]), self.y(str(float(point.split(",")[1]) * height / 100)))
                    for point in (line.get("points") or "").split()
                ],
            )
            for kind in ("polyline", "polygon")
            for line in self.panel.iter(kind)
        ]

    def crosses(self) -> list[float]:
        """Return the row of every cross in a heat map."""
        return [self.y(text.get("y")) for text in self._texts("hot")]

    def told(self) -> list[str]:
        """Return what is written beside each row."""
        return [_words(text) for text in self._texts("told")]

    def _texts(self, *styles: str) -> Iterator[Element]:
        return (text for text in self.panel.iter("text") if {*styles} <= {*_classes(text)})


def read_chart(chart: str) -> list[Drawn]:
    """Return the plots of a chart in their order; text that is not escaped does not parse."""
    root = _parsed(chart)
    return [Drawn(panel) for panel in root.iter("svg") if "panel" in _classes(panel)]


def signs(chart: str) -> dict[str, tuple[str, ...]]:
    """Return the legend: each word with the classes of its sign."""
    root = _parsed(chart)
    return {
        _words(item): tuple(style for part in item.iter() for style in _classes(part))
        for legend in root.iter("div")
        if legend.get("class") == "legend"
        for item in legend.iter("span")
    }


def _parsed(chart: str) -> Element:
    return ET.fromstring(f"<div>{chart}</div>")  # noqa: S314 - drawn by ourselves


def _classes(element: Element) -> tuple[str, ...]:
    return tuple((element.get("class") or "").split())


def _number(text: str | None) -> float:
    return float((text or "").removesuffix("%"))


def _words(text: Element) -> str:
    """Return what is told whole: a shortened label has its full words in a title."""
    return text.findtext("title") or "".join(text.itertext())


def _value(at: float, ticks: Sequence[tuple[float, str]]) -> float:
    """Return the value of a position between two ticks; names count as places from 0."""
    if not ticks:  # told on a plot beside this one
        return at
    if len(ticks) == 1:  # one row: half of it lies above
        return at / ticks[0][0] / 2 - 0.5
    told = [_told(label) for _, label in ticks]
    values = [float(place) for place in range(len(ticks))] if None in told else told
    (first, low), (last, high) = (ticks[0][0], values[0]), (ticks[-1][0], values[-1])
    assert low is not None
    assert high is not None
    return round(low + (at - first) * (high - low) / (last - first), 4)


def _told(label: str) -> float | None:
    if not NUMBER.fullmatch(label):
        return None
    number = float(label.replace(",", "").replace("−", "-").removesuffix("%"))
    return number / 100 if label.endswith("%") else number
