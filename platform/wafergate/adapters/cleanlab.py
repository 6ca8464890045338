"""Label scores by ObjectLab as cleanlab computes them (U. Tkachenko, A. Thyagarajan, J. Mueller, 2023)."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from wafergate.domain.doubts import LabelScores
from wafergate.domain.evaluation import Detections, Truth
from wafergate.errors import ConfigError

__all__ = ["CleanlabScorer"]


class CleanlabScorer:
    """`LabelScorer` with cleanlab (Apache-2.0)."""

    def __init__(self) -> None:
        """Make sure that cleanlab is there, before anybody trains for it.

        Raises:
            ConfigError: it is not installed.
        """
        if find_spec("cleanlab") is None:
            message = "doubting labels needs cleanlab, which is not installed; run: pip install 'wafergate[labels]'"
            raise ConfigError(message)

    def __call__(
        self, truth: Sequence[Truth], detections: Sequence[Detections], *, classes: int, least: float
    ) -> list[LabelScores]:
        """See `LabelScorer`."""
        from cleanlab.object_detection import rank

        labels = [{"bboxes": item.boxes, "labels": item.classes} for item in truth]
        predictions = [_by_class(item, classes) for item in detections]
        given: dict[str, Any] = {"labels": labels, "predictions": predictions}
        overlooked = rank.compute_overlooked_box_scores(**given, high_probability_threshold=least)
        swapped = rank.compute_swap_box_scores(**given, high_probability_threshold=least)
        badly_placed = rank.compute_badloc_box_scores(**given, low_probability_threshold=least)
        return [
            LabelScores(_in_own_order(item, scores), swap, place)
            for item, scores, swap, place in zip(detections, overlooked, swapped, badly_placed, strict=True)
        ]


def _by_class(item: Detections, classes: int) -> list[Any]:
    """Return one `(n, 5)` array for each class, as cleanlab reads them: corners and score."""
    rows = np.column_stack([item.boxes, item.scores]).astype(np.float64)
    return [rows[item.classes == index] for index in range(classes)]


def _in_own_order(item: Detections, scores: Any) -> Any:
    """Bring scores that come class by class back into the order of the detections."""
    own = np.empty(len(item), dtype=np.float64)
    own[np.argsort(item.classes, kind="stable")] = scores
    return own
