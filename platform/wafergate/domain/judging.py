"""A set of predictions at its operating thresholds: what was found, what was not, and what each mistake is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections, ErrorKind, Truth
from wafergate.domain.matching import NEAR, Matching, Pairs, Scene, flatten_scene, greedy, match
from wafergate.domain.precision import COCO_IOUS

__all__ = [
    "ALARM_KINDS",
    "MISS_KINDS",
    "ErrorKinds",
    "Judged",
    "Mistakes",
    "error_kinds",
    "image_weights",
    "judge",
    "mistakes",
]

_ROUNDS, _MET, _UNMET = 200, 1e-9, 0.01  # most have what they need after ten rounds

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A set of predictions matched with the truth at the operating thresholds.

    Attributes:
        classes: in the order of their indices.
        thresholds: `(classes,)` operating scores.
        scene: every instance and every detection, down to the lowest score.
        matching: who found whom, at every score.
        kept: `(detections,)` whether a detection reaches its class's threshold.
        found: `(instances,)` whether an instance was found at the thresholds.
    """

    classes: tuple[str, ...]
    thresholds: NDArray[np.float64]
    scene: Scene
    matching: Matching
    kept: Mask
    found: Mask

    @property
    def right(self) -> Mask:
        """`(detections,)` whether a detection counts and found an instance of its class."""
        right: Mask = self.kept & self.matching.hits[0]
        return right


def judge(
    truth: Sequence[Truth],
    detections: Sequence[Detections],
    classes: Sequence[str],
    *,
    thresholds: Mapping[str, float],
    iou: float,
) -> Judged:
    """Match the detections of a set of images with its truth.

    Args:
        truth: labelled boxes of every image.
        detections: of the same images in the same order, down to the lowest score.
        classes: defect classes in the order of their indices.
        thresholds: operating score of every class, frozen on validation.
        iou: intersection over union from which a detection counts.

    Raises:
        TrainingError: a score or a box is not a finite number: the model is broken.
        ValueError: the sequences differ in length, a class has no threshold, or an index is no class.
    """
    missing = [name for name in classes if name not in thresholds]
    if missing:
        message = f"every class needs a threshold, found none for {', '.join(missing)}"
        raise ValueError(message)
    scene = flatten_scene(truth, detections, len(classes))
    matching = match(scene, (iou, *COCO_IOUS))
    limits = np.array([thresholds[name] for name in classes], dtype=np.float64)
    kept = scene.scores >= limits[scene.detections.classes]
    found = (matching.found >= 0) & (matching.found >= limits[scene.truth.classes])
    return Judged(tuple(classes), limits, scene, matching, kept, found)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorKinds:
    """The kind of every miss and every false alarm.

    Attributes:
        missed: `(m,)` instances not found.
        miss_kinds: `(m,)` places in `MISS_KINDS`.
        alarms: `(a,)` detections that count and found nothing.
        alarm_kinds: `(a,)` places in `ALARM_KINDS`.
        confused: pairs of a false alarm and the miss of another class it stands for.
    """

    missed: Counts
    miss_kinds: Counts
    alarms: Counts
    alarm_kinds: Counts
    confused: Pairs


MISS_KINDS = (ErrorKind.WRONG_CLASS, ErrorKind.BADLY_PLACED, ErrorKind.MISSED)
ALARM_KINDS = (ErrorKind.DOUBLE, ErrorKind.WRONG_CLASS, ErrorKind.BADLY_PLACED, ErrorKind.BACKGROUND)


def error_kinds(judged: Judged) -> ErrorKinds:
    """Name the kind of every miss and every false alarm.

    A miss is `wrong_class` when a false alarm of another class overlaps it at the line's IoU (each false alarm stands
    for one miss, best score first), else `badly_placed` when a detection of its class lies near, else `missed`. A
    false alarm is `double` when it overlaps an instance of its class at the line's IoU (another detection found that),
    else `wrong_class` when it overlaps one of another class so, else `badly_placed` when it lies near one of its
    class, else `background`. Near means an IoU of at least 0.1 (after D. Bolya et al., 'TIDE', ECCV 2020).
    """
    matching, truth, iou = judged.matching, judged.scene.truth, judged.matching.ious[0]
    alarm = judged.kept & ~matching.hits[0]
    crossings = matching.crossings
    left = crossings.where(alarm[crossings.detections] & ~judged.found[crossings.instances])
    confused = greedy(matching.rank, left)
    taken = np.zeros(len(truth.classes), dtype=np.bool_)
    taken[confused.instances] = True
    near = (matching.near >= 0) & (matching.near >= judged.thresholds[truth.classes])
    of_miss = np.select([taken, near], [0, 1], default=2)
    of_alarm = np.select([matching.same >= iou, matching.other >= iou, matching.same >= NEAR], [0, 1, 2], default=3)
    missed, alarms = np.flatnonzero(~judged.found), np.flatnonzero(alarm)
    return ErrorKinds(missed, of_miss[missed], alarms, of_alarm[alarms], confused)


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What went wrong, class by class.

    Attributes:
        misses: for every class, instances not found by `ErrorKind`.
        false_alarms: for every class, detections that found nothing by `ErrorKind`.
        confusion: `(classes + 1)` rows of as many: truth by what was said, background last.
    """

    misses: tuple[dict[str, int], ...]
    false_alarms: tuple[dict[str, int], ...]
    confusion: tuple[tuple[int, ...], ...]


def mistakes(judged: Judged) -> Mistakes:
    """Count the mistakes of every class by their kind, and who was taken for whom."""
    kinds, size = error_kinds(judged), len(judged.classes)
    truth, said = judged.scene.truth.classes, judged.scene.detections.classes
    return Mistakes(
        _tally(truth[kinds.missed], kinds.miss_kinds, MISS_KINDS, size),
        _tally(said[kinds.alarms], kinds.alarm_kinds, ALARM_KINDS, size),
        _confusion(judged, kinds),
    )


def _confusion(judged: Judged, kinds: ErrorKinds) -> tuple[tuple[int, ...], ...]:
    truth, said, background = judged.scene.truth, judged.scene.detections, len(judged.classes)
    confused = kinds.confused
    spoken = np.where(judged.found, truth.classes, background)
    spoken[confused.instances] = said.classes[confused.detections]
    alone = np.zeros(len(said.classes), dtype=np.bool_)
    alone[kinds.alarms] = True
    alone[confused.detections] = False
    table = np.zeros((background + 1, background + 1), dtype=np.int64)
    np.add.at(table, (truth.classes, spoken), 1)
    table[background, :background] = np.bincount(said.classes[alone], minlength=background)
    return tuple(tuple(row) for row in table.tolist())


def _tally(classes: Counts, kinds: Counts, names: Sequence[ErrorKind], size: int) -> tuple[dict[str, int], ...]:
    cells = classes * len(names) + kinds
    table = np.bincount(cells, minlength=size * len(names)).reshape(size, len(names))
    return tuple({kind.value: count for kind, count in zip(names, row, strict=True)} for row in table.tolist())


def image_weights(judged: Judged, prevalence: Mapping[str, float]) -> NDArray[np.float64] | None:
    """Weigh images so that every class and the normal images appear at the line's real rates (rule M15).

    An image that shows several classes counts for each of them, so the weights are raked: class by class they are
    scaled to its rate, until all fit (W. E. Deming and F. F. Stephan, Ann. Math. Statist. 11, 1940). The rest of the
    line's parts are normal.

    Args:
        judged: the matched predictions.
        prevalence: share of the line's parts that show each class, 0..1.

    Returns:
        `(images,)` weights, 1 in all; None where the set lacks images of a class, or normal images, that the line has,
        or where no weights of its images give every class its rate.
    """
    truth = judged.scene.truth
    rates = np.array([prevalence.get(name, 0.0) for name in judged.classes])
    showing = [np.unique(truth.images[truth.classes == index]) for index in np.flatnonzero(rates)]
    rates = rates[rates > 0]
    if any(not len(images) for images in showing):
        return None
    weights = _raked(showing, rates, len(truth.offsets) - 1)
    normal = np.diff(truth.offsets) == 0
    normal_rate = max(0.0, 1.0 - float(weights.sum()))
    shares = np.array([weights[images].sum() for images in showing])
    if np.any(np.abs(shares - rates) > _UNMET * rates) or (normal_rate > 0 and not normal.any()):
        return None
    return np.where(normal, normal_rate / max(1, int(np.count_nonzero(normal))), weights)


def _raked(showing: Sequence[Counts], rates: NDArray[np.float64], images: int) -> NDArray[np.float64]:
    """Return weights of images by which each class has its rate, starting from equal ones; 0 for images of no class."""
    weights = np.zeros(images)
    for shown in showing:
        weights[shown] = rates.sum() / sum(map(len, showing))
    for _ in range(_ROUNDS):
        met = True
        for shown, rate in zip(showing, rates.tolist(), strict=True):
            share = float(weights[shown].sum())
            met = met and abs(share - rate) <= _MET * rate
            weights[shown] *= rate / share
        if met:
            break
    return weights
