"""Where between pixels a sampled curve has its top."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["peak"]


def peak(values: NDArray[np.float32], place: int) -> float:
    """Return where the parabola through a maximum and its two neighbours has its top; the place itself at the border.

    Args:
        values: `(n,)`.
        place: index of the maximum.
    """
    if not 0 < place < len(values) - 1:
        return float(place)
    before, top, after = (float(value) for value in values[place - 1 : place + 2])
    bend = before - 2 * top + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0)
