"""Paint defects of four classes into a die and keep the exact pixels that each one touched."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.sample.layout import Die, Grey, Mask

Box = tuple[int, int, int, int]
Paint = Callable[[Die, np.random.Generator], tuple[Mask, Grey] | None]

_MARGIN = 3  # pixels kept free at the border, so that a box is never cut by it
_SMALLEST_SIDE = 7  # pixels; below it one pixel of disagreement about the edge already halves the overlap
_TRIES = 400


def _blob(size: int, *, radius: tuple[float, float], rng: np.random.Generator) -> Mask:
    """Return a ragged ellipse of the given half axes (pixels) at a random place."""
    reach = max(radius) * 1.25 + _MARGIN
    centre = rng.uniform(reach, size - reach, 2)
    turn = rng.uniform(0, np.pi)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ragged = 1.0 + 0.16 * rng.standard_normal(24)
    ragged = np.clip((ragged + np.roll(ragged, 1)) / 2, 0.75, 1.25)
    x, y = radius[0] * ragged * np.cos(angles), radius[1] * ragged * np.sin(angles)
    points = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1) + centre
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], 1)
    return canvas.astype(bool)


def _particle(die: Die, rng: np.random.Generator) -> tuple[Mask, Grey] | None:
    """Lay a bright grain on the surface, whatever lies below it."""
    size = die.grey.shape[0]
    long = rng.uniform(4.5, 10.0)
    mask = _blob(size, radius=(long, long * rng.uniform(0.7, 1.0)), rng=rng)
    texture = cv2.GaussianBlur(rng.normal(0, 18, (size, size)).astype(np.float32), (0, 0), 1.2)
    return mask, np.where(mask, rng.uniform(222, 242) + texture, die.grey).astype(np.float32)


def _scratch(die: Die, rng: np.random.Generator) -> tuple[Mask, Grey] | None:
    """Drag a thin dark groove over traces and gaps alike."""
    size = die.grey.shape[0]
    start = rng.uniform(_MARGIN, size - _MARGIN, 2)
    # askew to the traces: along them the box is a sliver, whose overlap one pixel of disagreement ruins
    angle = np.pi / 2 * int(rng.integers(4)) + np.radians(rng.uniform(25, 65))
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    steps = np.linspace(0, 1, 16)[:, None]
    bow = rng.uniform(-0.12, 0.12)
    length = rng.uniform(20, 40)
    points = start + length * (steps * along + bow * 4 * steps * (1 - steps) * across)
    if points.min() < _MARGIN or points.max() > size - 1 - _MARGIN:
        return None
    canvas = np.zeros((size, size), np.uint8)
    cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 1, thickness=int(rng.integers(3, 5)))
    mask = canvas.astype(bool)
    return mask, np.where(mask, rng.uniform(14, 30), die.grey).astype(np.float32)


def _bridge(die: Die, rng: np.random.Generator) -> tuple[Mask, Grey] | None:
    """Join two neighbouring traces with metal that should not be there: a short."""
    size = die.grey.shape[0]
    metal = die.metal.T if rng.random() < 0.5 else die.metal
    row, column = (int(v) for v in rng.integers(_MARGIN, size - _MARGIN, 2))
    if metal[row, column]:
        return None
    left, right = np.flatnonzero(metal[row, :column]), np.flatnonzero(metal[row, column:])
    if not len(left) or not len(right):
        return None
    first, last = int(left[-1]) + 1, column + int(right[0]) - 1
    half = rng.uniform(4.0, 9.0)
    if not 7 <= last - first + 1 <= 16 or row - half - 2 < _MARGIN or row + half + 2 > size - _MARGIN:
        return None
    mask = np.zeros_like(metal)
    wobble = rng.uniform(-1.5, 1.5, (2, last - first + 1))
    for offset, x in enumerate(range(first, last + 1)):
        top, bottom = round(row - half + wobble[0, offset]), round(row + half + wobble[1, offset])
        mask[top : bottom + 1, x] = True
    if (mask & metal).any():
        return None  # the gap is not straight here: the patch would paint metal on metal
    mask = np.ascontiguousarray(mask.T) if metal is not die.metal else mask
    return mask, np.where(mask, die.product.metal, die.grey).astype(np.float32)


def _void(die: Die, rng: np.random.Generator) -> tuple[Mask, Grey] | None:
    """Take metal away from a trace: a bite or a hole, down to the dielectric."""
    size = die.grey.shape[0]
    blob = _blob(size, radius=(rng.uniform(4.5, 8.5), rng.uniform(4.5, 8.5)), rng=rng)
    mask = blob & die.metal
    if mask.sum() < 0.6 * blob.sum():
        return None
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    if parts != 2:
        return None
    return mask, np.where(mask, die.product.dielectric, die.grey).astype(np.float32)


PAINTERS: dict[str, Paint] = {"particle": _particle, "scratch": _scratch, "bridge": _bridge, "void": _void}


def paint_defect(die: Die, defect_class: str, *, taken: Mask, rng: np.random.Generator) -> tuple[Grey, Mask] | None:
    """Paint one defect where nothing else lies, or return None when the die has no room for it.

    Args:
        die: the die to damage; `die.grey` is not changed.
        defect_class: one of `PAINTERS`.
        taken: (size, size), true where an earlier defect lies; kept clear by a few pixels.
        rng: the only source of chance.

    Returns:
        The damaged grey image and the painted pixels.
    """
    keep_clear = cv2.dilate(taken.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    for _ in range(_TRIES):
        painted = PAINTERS[defect_class](die, rng)
        if painted is None or (painted[0] & keep_clear).any():
            continue
        mask, grey = painted
        _, _, width, height = tight_box(mask)
        if min(width, height) >= _SMALLEST_SIDE:
            return grey, mask
    return None


def tight_box(mask: Mask) -> Box:
    """Return x, y, width, height of the smallest box that holds every painted pixel.

    >>> painted = np.zeros((8, 8), bool)
    >>> painted[2:4, 3:7] = True
    >>> tight_box(painted)
    (3, 2, 4, 2)
    """
    rows: NDArray[np.intp] = np.flatnonzero(mask.any(axis=1))
    columns: NDArray[np.intp] = np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
