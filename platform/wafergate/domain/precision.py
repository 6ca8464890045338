"""Average precision as COCO defines it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["COCO_IOUS", "average_precision"]

COCO_IOUS = tuple(float(value) for value in np.linspace(0.5, 0.95, 10))
"""The ten overlaps over which AP50-95 is a mean."""

_RECALLS = np.linspace(0.0, 1.0, 101)
_TINY = float(np.spacing(1))


def average_precision(
    hits: NDArray[np.bool_], rank: NDArray[np.int64], classes: NDArray[np.int64], support: Sequence[int]
) -> NDArray[np.float64]:
    """Return the average precision of every class at every IoU: the mean of 101 interpolated precisions.

    Args:
        hits: `(ious, n)` whether detection n found an instance of its class.
        rank: `(n,)` place of every detection by score, 0 for the best, each place once.
        classes: `(n,)` class indices.
        support: instances of every class.

    Returns:
        `(ious, classes)` values in 0..1; NaN for a class without instances.
    """
    best_first = np.empty_like(rank)
    best_first[rank] = np.arange(len(rank))
    # NumPy sorts 16-bit integers in linear time; more than 65,536 classes there are not.
    order = best_first[np.argsort(classes[best_first].astype(np.uint16), kind="stable")]
    edges = np.concatenate([[0], np.cumsum(np.bincount(classes, minlength=len(support)))])
    place = np.empty_like(rank)
    place[order] = np.arange(len(rank))
    result = np.full((len(hits), len(support)), np.nan)
    for row, found in enumerate(hits):
        places = np.sort(place[found])
        parts = np.searchsorted(places, edges)
        for index, instances in enumerate(support):
            if instances:
                ranks = places[parts[index] : parts[index + 1]] - edges[index] + 1
                result[row, index] = _interpolated(ranks, instances)
    return result


def _interpolated(ranks: NDArray[np.int64], instances: int) -> float:
    """Return AP from the 1-based ranks of the hits: between two hits precision only falls, so no other rank matters."""
    if not len(ranks):
        return 0.0
    hits = np.arange(1, len(ranks) + 1, dtype=np.float64)
    precision = np.maximum.accumulate((hits / (ranks + _TINY))[::-1])[::-1]
    needed = np.searchsorted(hits / instances, _RECALLS, side="left")
    return float(precision[needed[needed < len(hits)]].sum() / len(_RECALLS))
