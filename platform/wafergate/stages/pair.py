"""Two models on the same instances: what only one of them finds, so that no class gets worse unseen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.bounds import grouped_change
from wafergate.domain.evaluation import Detections, Paired, Truth
from wafergate.domain.judging import Judged, judge

__all__ = ["Contender", "pair"]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model as it was run.

    Attributes:
        classes: in the order of its indices.
        thresholds: its own operating scores.
        detections: of every image, down to the lowest score.
    """

    classes: tuple[str, ...]
    thresholds: Mapping[str, float]
    detections: Sequence[Detections]

    def judged(self, truth: Sequence[Truth], shared: Sequence[str], *, iou: float) -> Judged:
        """Match what it says of the classes in `shared`, whose order the truth is in."""
        said = [_restricted(item, self.classes, shared) for item in self.detections]
        return judge(truth, said, shared, thresholds=self.thresholds, iou=iou)


def pair(
    truth: Sequence[Truth],
    champion: Contender,
    challenger: Contender,
    *,
    shared: Sequence[str],
    iou: float,
    confidence: float,
    groups: Sequence[str] | None = None,
) -> tuple[Paired, ...]:
    """Compare two models instance by instance, each at its own operating thresholds.

    Args:
        truth: labelled boxes of every image, of the shared classes alone and in their order.
        champion: what judges the line now.
        challenger: what wants to.
        shared: classes that both detect.
        iou: overlap from which a detection counts.
        confidence: of the bound by groups.
        groups: what each image belongs to; adds the bound by bootstrap over groups.

    Raises:
        ValueError: the sequences differ in length.
    """
    old, new = (model.judged(truth, shared, iou=iou) for model in (champion, challenger))
    group = None if groups is None else np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)[1]
    classes, images = old.scene.truth.classes, old.scene.truth.images
    result = []
    for index, name in enumerate(shared):
        own = classes == index
        a, b = old.found[own], new.found[own]
        both, lost, gained, neither = (int(np.count_nonzero(part)) for part in (a & b, a & ~b, ~a & b, ~a & ~b))
        upper = None if group is None else _change_upper(group[images[own]], a, b, confidence)
        result.append(Paired(name, both, lost, gained, neither, upper))
    return tuple(result)


def _change_upper(group: NDArray[np.int64], old: NDArray[np.bool_], new: NDArray[np.bool_], confidence: float) -> float:
    size = int(group.max()) + 1 if len(group) else 0
    gained, lost = (np.bincount(group[part], minlength=size) for part in (new & ~old, old & ~new))
    return grouped_change(gained, lost, np.bincount(group, minlength=size), confidence)


def _restricted(said: Detections, classes: Sequence[str], shared: Sequence[str]) -> Detections:
    place = {name: index for index, name in enumerate(shared)}
    moved = np.array([place.get(name, -1) for name in classes], dtype=np.int64)[said.classes]
    keep = moved >= 0
    return Detections(said.boxes[keep], said.scores[keep], moved[keep])
