"""Draw plausible interconnect patterns: the die as it was designed, before any defect."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Product:
    """How the dies of one product look.

    Attributes:
        name: product name, used in nothing but messages.
        draw: paints the metal of one die into an empty canvas.
        dielectric: grey level between the traces, 0 to 255.
        metal: grey level of a trace, 0 to 255.
        via: grey level of a via plug, 0 to 255.
    """

    name: str
    draw: Callable[[NDArray[np.uint8], np.random.Generator], None]
    dielectric: float
    metal: float
    via: float


@dataclass(frozen=True, slots=True)
class Die:
    """One die without a defect.

    Attributes:
        product: whose pattern it is.
        metal: (size, size), true where metal lies.
        grey: (size, size), noise-free grey level, 0 to 255.
    """

    product: Product
    metal: Mask
    grey: Grey


def _buses(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Parallel traces of one direction, some with a jog."""
    size = canvas.shape[0]
    width, gap = int(rng.integers(9, 14)), int(rng.integers(9, 14))
    start = -int(rng.integers(0, width + gap))
    for left in range(start, size, width + gap):
        if rng.random() < 0.35:
            jog, turn = int(rng.integers(3, max(4, gap - 4))), int(rng.integers(size // 4, 3 * size // 4))
            canvas[:turn, max(left, 0) : max(left + width, 0)] = 1
            canvas[turn:, max(left - jog, 0) : max(left + width - jog, 0)] = 1
            canvas[turn : turn + width, max(left - jog, 0) : max(left + width, 0)] = 1
        else:
            canvas[:, max(left, 0) : max(left + width, 0)] = 1


def _pads(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """A grid of pads joined along one direction."""
    size = canvas.shape[0]
    side, gap = int(rng.integers(20, 29)), int(rng.integers(9, 15))
    trace = int(rng.integers(8, 12))
    top, left = -int(rng.integers(0, side)), -int(rng.integers(0, side))
    for y in range(top, size, side + gap):
        for x in range(left, size, side + gap):
            canvas[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)] = 1
            if rng.random() < 0.5:
                middle = y + (side - trace) // 2
                canvas[max(middle, 0) : max(middle + trace, 0), max(x, 0) : max(x + side + gap, 0)] = 1


def _combs(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Two interdigitated combs, the classic structure for finding shorts."""
    size = canvas.shape[0]
    width, gap, rail = int(rng.integers(9, 13)), int(rng.integers(9, 13)), int(rng.integers(12, 19))
    canvas[:, :rail] = 1
    canvas[:, size - rail :] = 1
    start = -int(rng.integers(0, width + gap))
    for number, top in enumerate(range(start, size, width + gap)):
        rows = slice(max(top, 0), max(top + width, 0))
        if number % 2:
            canvas[rows, : size - rail - gap] = 1
        else:
            canvas[rows, rail + gap :] = 1


def _serpentine(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """One trace that runs to and fro, the classic structure for finding opens."""
    size = canvas.shape[0]
    width, gap = int(rng.integers(10, 15)), int(rng.integers(10, 15))
    inset = int(rng.integers(4, 12))
    start = -int(rng.integers(0, width + gap))
    for number, left in enumerate(range(start, size, width + gap)):
        canvas[inset : size - inset, max(left, 0) : max(left + width, 0)] = 1
        turn = slice(inset, inset + width) if number % 2 else slice(size - inset - width, size - inset)
        canvas[turn, max(left, 0) : max(left + width + gap, 0)] = 1


PRODUCTS = (
    Product("buses", _buses, dielectric=66.0, metal=152.0, via=112.0),
    Product("pads", _pads, dielectric=78.0, metal=164.0, via=124.0),
    Product("combs", _combs, dielectric=58.0, metal=140.0, via=104.0),
    Product("serpentine", _serpentine, dielectric=86.0, metal=170.0, via=130.0),
)


def draw_die(product: Product, *, size: int, rng: np.random.Generator) -> Die:
    """Draw one die of a product, each with its own pitch, widths, direction and vias.

    Args:
        product: whose pattern to draw.
        size: side of the square image, in pixels.
        rng: the only source of chance.
    """
    canvas = np.zeros((size, size), np.uint8)
    product.draw(canvas, rng)
    if rng.random() < 0.5:
        canvas = np.ascontiguousarray(canvas.T)
    metal = canvas.astype(bool)
    grey = np.where(metal, product.metal, product.dielectric).astype(np.float32)
    _drop_vias(grey, canvas, product, rng)
    return Die(product, metal, grey)


def _drop_vias(grey: Grey, canvas: NDArray[np.uint8], product: Product, rng: np.random.Generator) -> None:
    """Paint a few via plugs where metal is wide enough to hold one."""
    depth = cv2.distanceTransform(canvas, cv2.DIST_L2, 3)
    ys, xs = np.nonzero(depth >= 4.0)
    if not len(ys):
        return
    for index in rng.choice(len(ys), size=min(len(ys), int(rng.integers(4, 11))), replace=False):
        cv2.circle(grey, (int(xs[index]), int(ys[index])), 2, product.via, -1)
