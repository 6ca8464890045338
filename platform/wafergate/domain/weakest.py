"""How a model that is still in training stands: by its weakest class, as the gate will ask."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.matching import flatten_scene, match
from wafergate.domain.operating import Scores, best_f2
from wafergate.domain.precision import average_precision

__all__ = ["Weakest", "weakest_class"]

_TIE = 1e-3  # of the mean F2: one instance of a thousand weighs as much


@dataclass(frozen=True, slots=True)
class Weakest:
    """How a model stands on validation, its weakest class first.

    Attributes:
        recalls: of each class, as far as at least half of its detections are right; NaN for a class without instances.
        rank: what states of a training are compared by: the lowest of `recalls`, and the mean F2 where two are alike.
        ap50: mean over the classes of the average precision at an IoU of 0.5.
    """

    recalls: tuple[float, ...]
    rank: float
    ap50: float


def weakest_class(truth: Sequence[Truth], detections: Sequence[Detections], classes: int, *, iou: float) -> Weakest:
    """Judge by the weakest class.

    Recall alone can always be bought with false alarms: a state of the first epochs that alarms everywhere misses
    nothing. So every class is read as far down as at least half of its detections are right (recall at a precision of
    0.5), and only between states that are alike there at its score of the largest F2.

    Args:
        truth: labelled boxes of every validation image, at least one in all.
        detections: of the same images in the same order, down to a low score.
        classes: how many there are.
        iou: intersection over union from which a detection counts.

    Raises:
        TrainingError: a score or a box is not a finite number.
    """
    scene = flatten_scene(truth, detections, classes)
    matching = match(scene, (iou, 0.5))
    support = np.bincount(scene.truth.classes, minlength=classes).tolist()
    recalls, values = [], []
    for index, instances in enumerate(support):
        found = matching.found[scene.truth.classes == index]
        idle = ~matching.hits[0] & (scene.detections.classes == index)
        alarms = scene.scores[idle].astype(np.float64)
        found = found[found >= 0]
        recalls.append(_half_right(found, alarms) / instances if instances else math.nan)
        score = best_f2(found, alarms, instances)
        at = math.inf if score is None else score
        hits, false = np.count_nonzero(found >= at), np.count_nonzero(alarms >= at)
        values.append(5 * hits / max(1, 5 * hits + 4 * (instances - hits) + false))
    known = [place for place, instances in enumerate(support) if instances]
    ap = average_precision(matching.hits[1:], matching.rank, scene.detections.classes, support)
    rank = min(recalls[place] for place in known) + _TIE * statistics.mean(values[place] for place in known)
    return Weakest(tuple(recalls), rank, float(np.nanmean(ap)))


def _half_right(found: Scores, false_alarms: Scores) -> int:
    """Return how many instances are found at the lowest score at which at least half of the detections are right."""
    scores = np.sort(found)[::-1]
    hits = np.searchsorted(-scores, -scores, side="right")
    alarms = len(false_alarms) - np.searchsorted(np.sort(false_alarms), scores, side="left")
    return int(np.max(hits[hits >= alarms], initial=0))
