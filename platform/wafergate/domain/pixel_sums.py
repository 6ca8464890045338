"""What a grey image's pixels add up to, in one walk over them, compiled by Numba.

A library's call for each sum reads the image again and writes another between; and threads that make many short calls
wait for each other. One compiled walk keeps three rows in the core's nearest cache and holds no lock. It is exact: 16
bits hold every second difference of bytes, 32 bits every sum over `_COLUMNS` of them. Places are unsigned, because a
place that may be negative would be checked at every pixel.
"""

from typing import NamedTuple, cast

import numpy as np
from numba import types
from numpy import int16, int32, int64, uint8, uint32, uint64
from numpy.typing import NDArray

from wafergate.domain.compiled import compiled

__all__ = ["PixelSums", "sum_pixels"]

_ZERO, _ONE, _TWO, _COLUMNS = (cast("int", uint64(value)) for value in (0, 1, 2, 2048))
# A Laplacian's square is 1020 * 1020 at most: 2048 of them stay below 2 ** 31.

_Levels = NDArray[np.uint8]
_Bends = NDArray[np.int16]


class PixelSums(NamedTuple):
    """Whole numbers over the pixels of a grey image.

    Attributes:
        levels: sum of the grey levels.
        squares: sum of their squares.
        saturated: how many are exactly 0 or 255.
        laplacian: sum of the squared Laplacian of four neighbours, the border repeated.
        noise: sum of the absolute second difference across of the second difference down, inside the border.
    """

    levels: int
    squares: int
    saturated: int
    laplacian: int
    noise: int


@compiled()
def _light(grey: _Levels, start: int, count: int) -> tuple[uint32, uint32, uint32]:
    levels = squares = saturated = uint32(0)
    for x in range(count):
        level = uint32(grey[start + x])
        levels = uint32(levels + level)
        squares = uint32(squares + level * level)
        saturated = uint32(saturated + uint32(uint8(grey[start + x] + uint8(1)) < uint8(2)))
    return levels, squares, saturated


@compiled()
def _bend(grey: _Levels, before: int, here: int, after: int, out: _Bends, start: int, count: int) -> None:
    """Write the second difference of three runs of pixels."""
    for x in range(count):
        out[start + x] = int16(grey[before + x]) + int16(grey[after + x]) - int16(2) * int16(grey[here + x])


@compiled()
def _squares(down: _Bends, across: _Bends, start: int, count: int) -> int32:
    total = int32(0)
    for x in range(count):
        laplacian = int16(down[start + x] + across[start + x])
        total = int32(total + int32(int32(laplacian) * int32(laplacian)))
    return total


@compiled()
def _twice_bent(down: _Bends, start: int, count: int) -> int32:
    total = int32(0)
    for x in range(count):
        here = start + x
        total = int32(total + int32(abs(int16(down[here - _ONE] + down[here + _ONE] - int16(2) * down[here]))))
    return total


@compiled(types.UniTuple(types.int64, 5)(types.Array(types.uint8, 1, "C", readonly=True), types.uint64, types.uint64))
def _walk(grey: _Levels, height: int, width: int) -> tuple[int64, int64, int64, int64, int64]:
    down, across = np.zeros(width, np.int16), np.zeros(width, np.int16)
    levels = squares = saturated = laplacian = noise = int64(0)
    for y in range(height):
        here, inside = y * width, y > _ZERO and y + _ONE < height
        above = here - width if y > _ZERO else here
        below = here + width if y + _ONE < height else here
        _bend(grey, above, here, below, down, _ZERO, width)
        if width > _ONE:
            last = here + width - _ONE
            _bend(grey, here, here + _ONE, here + _TWO, across, _ONE, width - _TWO)
            across[_ZERO] = int16(grey[here + _ONE]) - int16(grey[here])
            across[width - _ONE] = int16(grey[last - _ONE]) - int16(grey[last])
        for start in range(_ZERO, width, _COLUMNS):
            count = min(_COLUMNS, width - start)
            light = _light(grey, here + start, count)
            levels, squares, saturated = levels + light[0], squares + light[1], saturated + light[2]
            laplacian += _squares(down, across, start, count)
            first, end = max(start, _ONE), min(start + count, width - _ONE)
            if inside and first < end:
                noise += _twice_bent(down, first, end - first)
    return levels, squares, saturated, laplacian, noise


def sum_pixels(grey: NDArray[np.uint8]) -> PixelSums:
    """Return the sums over `(h, w)` grey levels."""
    return PixelSums(*map(int, _walk(grey.reshape(-1), *grey.shape)))
