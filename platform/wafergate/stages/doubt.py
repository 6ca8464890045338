"""Rank the labels that out-of-fold predictions contradict: missed, swapped and badly placed ones."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from wafergate.domain.doubts import LabelScores
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.geometry import Box, iou_matrix
from wafergate.domain.matching import flatten_scene, match
from wafergate.domain.review import Suspected, Suspicion
from wafergate.domain.samples import Sample

__all__ = ["LEAST", "calibrate", "rank_doubts"]

LEAST = 0.2
"""Probability below which a prediction contradicts nothing.

On 100 DeepPCB boards with 33 labels of 674 taken away, given another class or shifted, each, and three folds of 12
epochs (recall 0.62), 0.2 leaves a prediction at 31 of the 33 places where a label was taken away, 0.5 at 8.
"""

_AGREEING = 0.5  # a label's score from which its class or place is not doubted: half of what there is agrees with it
_SAME_PLACE = 0.3


def calibrate(
    truth: Sequence[Truth], detections: Sequence[Detections], classes: Sequence[str], *, iou: float
) -> list[Detections]:
    """Return detections whose scores are probabilities of standing for a label, those below half of `LEAST` left out.

    A detector's score is no probability, least of all after a short training, and cleanlab compares it with fixed
    limits. Within each class the share of detections that found a label, as a function of the score that never falls
    (isotonic regression: B. Zadrozny, C. Elkan, KDD 2002), takes its place; as the models had not learnt from these
    images, the shares are not flattered.

    Args:
        truth: labelled boxes of every image.
        detections: of the same images, out of fold.
        classes: defect classes in the order of their indices.
        iou: intersection over union from which a detection stands for a label.
    """
    scene = flatten_scene(truth, detections, len(classes))
    hits = match(scene, (iou,)).hits[0]
    probability = np.zeros(len(scene.scores))
    for index in range(len(classes)):
        own = np.flatnonzero(scene.detections.classes == index)
        # hits first where scores are equal: they would rise to the last one, and one score has one probability
        order = own[np.lexsort((~hits[own], scene.scores[own]))]
        if len(order):
            probability[order] = isotonic_regression(hits[order].astype(np.float64)).x
    bounds = scene.detections.offsets
    return [
        _likely(item, probability[first:last])
        for item, first, last in zip(detections, bounds[:-1], bounds[1:], strict=True)
    ]


def _likely(item: Detections, probability: NDArray[np.float64]) -> Detections:
    best_first = np.argsort(-probability, kind="stable")
    kept = best_first[probability[best_first] >= LEAST / 2]
    return Detections(item.boxes[kept], probability[kept].astype(np.float32), item.classes[kept])


def rank_doubts(
    samples: Sequence[Sample],
    truth: Sequence[Truth],
    detections: Sequence[Detections],
    scores: Sequence[LabelScores],
    classes: Sequence[str],
    *,
    limit: int,
) -> list[Suspected]:
    """Return what a person should look at, kind by kind, the worst first, at most `limit` of each.

    A label is `swapped` or `badly_placed` where its score is below 0.5, `missed` where a likely prediction overlaps no
    label. Missed and swapped labels are ranked by one less the score times the probability of the prediction that
    contradicts them, badly placed ones by one less the score. On the boards told of at `LEAST`, 15, 8 and 17 of the
    first 20 of each kind were planted, where 1 is expected by chance.

    Args:
        samples: the images, with the labels in the order of `truth`.
        truth: their labels.
        detections: calibrated, out of fold.
        scores: of the labels.
        classes: defect classes in the order of their indices.
        limit: how many of each kind, at most.
    """
    found: dict[Suspicion, list[Suspected]] = {
        Suspicion.MISSED: [],
        Suspicion.SWAPPED: [],
        Suspicion.BADLY_PLACED: [],
    }
    for sample, labels, said, score in zip(samples, truth, detections, scores, strict=True):
        for item in (*_missed(sample, said, score, classes), *_contradicted(sample, labels, said, score, classes)):
            found[item.kind].append(item)
    ranked = []
    for items in found.values():
        items.sort(key=lambda item: (-item.score, item.sample, item.box.as_tuple()))
        ranked += items[:limit]
    return ranked


def _missed(sample: Sample, said: Detections, score: LabelScores, classes: Sequence[str]) -> Iterator[Suspected]:
    """Yield places without a label where a model sees a defect, each place once, under its likeliest class."""
    worth = np.nan_to_num((1 - score.overlooked) * said.scores, nan=-1.0)
    overlap = iou_matrix(said.boxes, said.boxes)
    taken: list[int] = []
    for index in np.argsort(-worth, kind="stable").tolist():
        if worth[index] <= 0 or said.scores[index] < LEAST or (overlap[index, taken] > _SAME_PLACE).any():
            continue
        taken.append(index)
        name = classes[said.classes[index]]
        detail = f"a model sees {name} here (probability {said.scores[index]:.2f}), where no box is drawn"
        box = Box(*(float(value) for value in said.boxes[index]))
        yield Suspected(sample.name, None, name, box, Suspicion.MISSED, float(worth[index]), detail)


def _contradicted(
    sample: Sample, labels: Truth, said: Detections, score: LabelScores, classes: Sequence[str]
) -> Iterator[Suspected]:
    overlap = iou_matrix(labels.boxes, said.boxes)
    likely = said.scores > LEAST
    for place, label in enumerate(sample.boxes):
        own = said.classes == labels.classes[place]
        for kind, value, among in (
            (Suspicion.SWAPPED, score.swapped[place], likely & ~own),
            (Suspicion.BADLY_PLACED, score.badly_placed[place], likely & own),
        ):
            if value >= _AGREEING or not among.any():
                continue
            nearest = int(np.argmax(np.where(among, overlap[place], -1)))
            doubt, probability = 1 - float(value), float(said.scores[nearest])
            name = classes[said.classes[nearest]]
            if kind is Suspicion.SWAPPED:
                doubt *= probability
                detail = f"drawn as {label.defect_class}; a model sees {name} here (probability {probability:.2f})"
            else:
                detail = f"a model's {name} overlaps it by {overlap[place, nearest]:.2f} only (IoU)"
            yield Suspected(sample.name, place, label.raw_label, label.box, kind, doubt, detail)
