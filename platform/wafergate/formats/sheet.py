"""Pictures of mistakes: a crop around each with its boxes drawn, one by one and as a sheet."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wafergate.domain.geometry import Box

__all__ = ["FOUND_COLOUR", "LABELLED_COLOUR", "Tile", "picture_sheet", "tile_png"]

Pixels = NDArray[np.uint8]

LABELLED_COLOUR = "#0068AD"
FOUND_COLOUR = "#C8450B"
"""Blue and vermilion stay apart for every kind of colour blindness; a solid and a dashed line tell them as well."""

_SIDE = 216  # of a tile, pixels
_CONTEXT = 3.0  # times the longer side of the box in the middle
_LEAST = 48.0  # pixels of the image a tile shows at least: a smaller crop shows no surroundings
_MARGIN, _CAPTION, _HEAD = 14, 42, 62


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One mistake to be drawn.

    Attributes:
        pixels: `(h, w, 3)` uint8, blue, green, red: the whole image.
        focus: the box in the middle.
        labelled: every labelled box of the image.
        found: every box the model found there at its operating thresholds.
        title: what it is, e.g. `spur: missed`.
        note: where it is from.
    """

    pixels: Pixels
    focus: Box
    labelled: Sequence[Box]
    found: Sequence[Box]
    title: str
    note: str


def tile_png(tile: Tile) -> bytes:
    """Return one mistake as a PNG of 216 x 216 pixels: labelled boxes solid, found boxes dashed."""
    return _png(_crop(tile))


def picture_sheet(tiles: Sequence[Tile], title: str) -> bytes:
    """Return mistakes side by side as one PNG, with a legend; at least one tile."""
    columns = min(4, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    width = max(columns, 2) * (_SIDE + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, _HEAD + rows * (_SIDE + _CAPTION + _MARGIN)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 12), _fitted(title, 17, width - 2 * _MARGIN), "#1B2430", font=_font(17))
    _legend(draw)
    for place, tile in enumerate(tiles):
        left = _MARGIN + (place % columns) * (_SIDE + _MARGIN)
        top = _HEAD + (place // columns) * (_SIDE + _CAPTION + _MARGIN)
        sheet.paste(_crop(tile), (left, top))
        draw.text((left, top + _SIDE + 4), _fitted(tile.title, 14, _SIDE), "#1B2430", font=_font(14))
        draw.text((left, top + _SIDE + 22), _fitted(tile.note, 12, _SIDE), "#4A5564", font=_font(12))
    return _png(sheet)


def _legend(draw: ImageDraw.ImageDraw) -> None:
    draw.line((_MARGIN, 46, _MARGIN + 26, 46), fill=LABELLED_COLOUR, width=3)
    draw.text((_MARGIN + 34, 38), "labelled", "#4A5564", font=_font(13))
    for start in range(0, 26, 9):
        draw.line((_MARGIN + 106 + start, 46, _MARGIN + 110 + start, 46), fill=FOUND_COLOUR, width=3)
    draw.text((_MARGIN + 140, 38), "found by the model", "#4A5564", font=_font(13))


def _crop(tile: Tile) -> Image.Image:
    height, width = tile.pixels.shape[:2]
    x1, y1, x2, y2 = _window(tile.focus, width, height)
    scale = _SIDE / max(x2 - x1, y2 - y1)
    size = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
    part = Image.fromarray(np.ascontiguousarray(tile.pixels[y1:y2, x1:x2, ::-1]))
    made = Image.new("RGB", (_SIDE, _SIDE), "#EBEEF2")
    made.paste(part.resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.BICUBIC), (0, 0))
    draw = ImageDraw.Draw(made)
    for boxes, colour, dashed in ((tile.labelled, LABELLED_COLOUR, False), (tile.found, FOUND_COLOUR, True)):
        grown = 2.0 if dashed else 0.0  # boxes that agree lie beside each other instead of on each other
        for box in boxes:
            corners = [(value - offset) * scale for value, offset in zip(box.as_tuple(), (x1, y1, x1, y1), strict=True)]
            _outline(draw, corners, colour, grown=grown, dashed=dashed)
    return made


def _window(focus: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of the image that a tile shows: the box in the middle, moved inside the image."""
    side = round(max(_LEAST, _CONTEXT * max(focus.width, focus.height)))
    across, down = min(side, width), min(side, height)
    left = round(min(max((focus.x1 + focus.x2 - across) / 2, 0), width - across))
    top = round(min(max((focus.y1 + focus.y2 - down) / 2, 0), height - down))
    return left, top, left + across, top + down


def _outline(draw: ImageDraw.ImageDraw, corners: Sequence[float], colour: str, *, grown: float, dashed: bool) -> None:
    x1, y1, x2, y2 = corners[0] - grown, corners[1] - grown, corners[2] + grown, corners[3] + grown
    for ends in ((x1, y1, x2, y1), (x2, y1, x2, y2), (x2, y2, x1, y2), (x1, y2, x1, y1)):
        pieces = list(_dashes(*ends)) if dashed else [ends]
        for piece in pieces:
            draw.line(piece, fill="white", width=5)  # a rim tells the line from black and from white patterns
        for piece in pieces:
            draw.line(piece, fill=colour, width=3)


def _dashes(x1: float, y1: float, x2: float, y2: float) -> Iterator[tuple[float, float, float, float]]:
    length = math.hypot(x2 - x1, y2 - y1)
    for start in np.arange(0.0, length, 10.0):
        a, b = start / length, min(1.0, (start + 6.0) / length)
        yield x1 + (x2 - x1) * a, y1 + (y2 - y1) * a, x1 + (x2 - x1) * b, y1 + (y2 - y1) * b


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitted(text: str, size: int, width: int) -> str:
    """Cut a text in its middle until it fits: a path tells most by its end, and a class by its beginning."""
    font = _font(size)
    kept = len(text)
    while font.getlength(shown := _shortened(text, kept)) > width and kept > 2:
        kept -= 1
    return shown


def _shortened(text: str, kept: int) -> str:
    return text if kept >= len(text) else f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def _png(image: Image.Image) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG", optimize=True)
    return sink.getvalue()
