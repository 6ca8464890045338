"""What out-of-fold predictions say of the labels they contradict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelScores"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """How well the labels of one image agree with its predictions; 1 is agreement, 0 contradiction.

    Attributes:
        overlooked: `(predictions,)` for each prediction that overlaps no label; NaN for the others.
        swapped: `(labels,)` whether the class is right.
        badly_placed: `(labels,)` whether the place is right.
    """

    overlooked: NDArray[np.float64]
    swapped: NDArray[np.float64]
    badly_placed: NDArray[np.float64]
