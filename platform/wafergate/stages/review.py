"""Boxes that validation finds grossly wrong, as suspicions for the review list; none is ever moved (rule M4)."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wafergate.domain.geometry import Box
from wafergate.domain.review import Suspected, Suspicion
from wafergate.domain.validation import Check

__all__ = ["suspect"]

_SUSPICIONS: Mapping[str, tuple[Suspicion, str]] = {
    "box_has_area": (Suspicion.NO_AREA, "its width or height is {value:.6g} px"),
    "box_inside_image": (Suspicion.OUTSIDE, "it lies {value:.6g} px outside its image"),
    "box_whole_image": (Suspicion.WHOLE_IMAGE, "it covers {value:.0%} of its image"),
    "box_duplicate": (Suspicion.DUPLICATE, "it overlaps another box of its class by {value:.2f} IoU"),
    "box_size_outlier": (
        Suspicion.SIZE_OUTLIER,
        "its size is {value:.1f} robust deviations from its class's usual one",
    ),
    "box_aspect": (Suspicion.ASPECT, "it is {value:.1f} times longer than wide"),
    "box_side": (Suspicion.SMALL, "its shorter side is {value:.6g} px"),
}


def suspect(boxes: pd.DataFrame, checks: Iterable[Check]) -> list[Suspected]:
    """Return every box that breaks a check about its own shape or place.

    Args:
        boxes: as `stages.validate.box_table` returns it.
        checks: of the suite; those about anything else are passed over.

    Returns:
        The worst suspicion first (the order of `Suspicion`), within one the highest score. The score is the measured
        figure itself, or its negative where small is bad.
    """
    found = []
    for check in checks:
        if check.name in _SUSPICIONS:
            values = boxes[check.column].to_numpy(dtype=np.float64)
            found += [
                _suspected(boxes, row, values[row], check) for row in np.flatnonzero(_broken(values, check)).tolist()
            ]
    order = list(Suspicion)
    found.sort(key=lambda item: (order.index(item.kind), -item.score, item.sample, item.box_index))
    return found


def _broken(values: NDArray[np.float64], check: Check) -> NDArray[np.bool_]:
    # comparisons with a missing value are false: it is not checked
    wrong = np.zeros(len(values), dtype=bool)
    if check.low is not None:
        wrong |= values <= check.low if check.strict else values < check.low
    if check.high is not None:
        wrong |= values >= check.high if check.strict else values > check.high
    return wrong


def _suspected(boxes: pd.DataFrame, row: int, value: float, check: Check) -> Suspected:
    kind, sentence = _SUSPICIONS[check.name]
    at = boxes.iloc[row]
    return Suspected(
        sample=str(at["name"]),
        box_index=int(at["box_index"]),
        label=str(at["raw_label"]),
        box=Box(float(at["x1"]), float(at["y1"]), float(at["x2"]), float(at["y2"])),
        kind=kind,
        score=float(-value if check.low is not None else value),
        detail=sentence.format(value=value),
    )
