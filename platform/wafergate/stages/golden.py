"""Is an answer the known one? Boxes are paired by overlap, and every pair and every box left over is looked at."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from wafergate.domain.geometry import iou_matrix
from wafergate.domain.golden import DifferenceKind, GoldenDifference, GoldenPart
from wafergate.domain.inspection import FoundBox
from wafergate.domain.samples import LabelledBox

__all__ = ["compare_answers", "labelled_answers"]

_TOUCHES: Final = 0.1  # boxes that overlap less are two findings, not one that moved


def labelled_answers(boxes: Sequence[LabelledBox]) -> tuple[FoundBox, ...]:
    """Return labels as answers, which a model that answers right gives at any score."""
    return tuple((item.defect_class, 1.0, item.box.x1, item.box.y1, item.box.x2, item.box.y2) for item in boxes)


def compare_answers(
    part: GoldenPart, expected: Sequence[FoundBox], found: Sequence[FoundBox], *, iou: float, score: float
) -> list[GoldenDifference]:
    """Return every difference of what was found on a part from what was expected; none where the answer is the same.

    The pairing is the one with the largest sum of overlaps, whatever the classes: a box of another class in the same
    place is one difference of class, not a missing and an extra one.

    Args:
        part: whose answers they are.
        expected: the known answer.
        found: the answer to be judged.
        iou: least overlap of two boxes that are the same.
        score: largest difference of their scores.
    """
    pairs = _pair(expected, found)
    differences = []
    for own, other in pairs:
        kind, detail = _differs(expected[own], found[other], iou, score)
        if kind is not None:
            differences.append(GoldenDifference(kind, part.name, part.image, expected[own], found[other], detail))
    kept, used = {own for own, _ in pairs}, {other for _, other in pairs}
    for place, box in enumerate(expected):
        if place not in kept:
            detail = f"{box[0]} is not found any more"
            differences.append(GoldenDifference(DifferenceKind.MISSING, part.name, part.image, box, None, detail))
    for place, box in enumerate(found):
        if place not in used:
            detail = f"{box[0]} found at {box[1]:.2f}, where nothing was"
            differences.append(GoldenDifference(DifferenceKind.EXTRA, part.name, part.image, None, box, detail))
    return differences


def _pair(expected: Sequence[FoundBox], found: Sequence[FoundBox]) -> list[tuple[int, int]]:
    if not expected or not found:
        return []
    overlaps = iou_matrix(np.array([box[2:] for box in expected]), np.array([box[2:] for box in found]))
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    return [
        (int(row), int(column)) for row, column in zip(rows, columns, strict=True) if overlaps[row, column] >= _TOUCHES
    ]


def _differs(expected: FoundBox, found: FoundBox, iou: float, score: float) -> tuple[DifferenceKind | None, str]:
    overlap = float(iou_matrix(np.array([expected[2:]]), np.array([found[2:]]))[0, 0])
    if expected[0] != found[0]:
        return DifferenceKind.CLASS, f"{expected[0]} is called {found[0]}"
    if overlap < iou:
        return DifferenceKind.BOX, f"{expected[0]} overlaps its sealed box by {overlap:.2f}, required {iou:.2f}"
    if abs(expected[1] - found[1]) > score:
        return (
            DifferenceKind.SCORE,
            f"{expected[0]} scores {found[1]:.3f}, sealed {expected[1]:.3f}, allowed difference {score:.3f}",
        )
    return None, ""
