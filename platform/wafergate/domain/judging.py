"""A set of predictions at its operating thresholds: what was found, what was not, and what each mistake is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections, ErrorKind, Truth
from wafergate.domain.matching import NEAR, Matching, Pairs, Scene, flatten_scene, greedy, match
from wafergate.domain.precision import COCO_IOUS

__all__ = ["Judged", "Mistakes", "image_weights", "judge", "mistakes"]

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
    """Name the kind of every miss and every false alarm.

    A miss is `wrong_class` when a false alarm of another class overlaps it at the line's IoU (each false alarm stands
    for one miss, best score first), else `badly_placed` when a detection of its class lies near, else `missed`. A
    false alarm is `double` when it overlaps an instance of its class at the line's IoU (another detection found that),
    else `wrong_class` when it overlaps one of another class so, else `badly_placed` when it lies near one of its
    class, else `background`. Near means an IoU of at least 0.1 (after D. Bolya et al., 'TIDE', ECCV 2020).
    """
    alarm = judged.kept & ~judged.matching.hits[0]
    crossings = judged.matching.crossings
    left = crossings.where(alarm[crossings.detections] & ~judged.found[crossings.instances])
    confused = greedy(judged.matching.rank, left)
    return Mistakes(
        _miss_kinds(judged, confused.instances),
        _alarm_kinds(judged, alarm),
        _confusion(judged, alarm, confused),
    )


def _confusion(judged: Judged, alarm: Mask, confused: Pairs) -> tuple[tuple[int, ...], ...]:
    truth, said, background = judged.scene.truth, judged.scene.detections, len(judged.classes)
    spoken = np.where(judged.found, truth.classes, background)
    spoken[confused.instances] = said.classes[confused.detections]
    alone = alarm.copy()
    alone[confused.detections] = False
    table = np.zeros((background + 1, background + 1), dtype=np.int64)
    np.add.at(table, (truth.classes, spoken), 1)
    table[background, :background] = np.bincount(said.classes[alone], minlength=background)
    return tuple(tuple(row) for row in table.tolist())


def _miss_kinds(judged: Judged, confused_instances: Counts) -> tuple[dict[str, int], ...]:
    truth = judged.scene.truth
    confused = np.zeros(len(truth.classes), dtype=np.bool_)
    confused[confused_instances] = True
    near = (judged.matching.near >= 0) & (judged.matching.near >= judged.thresholds[truth.classes])
    kinds = np.select([confused, near], [0, 1], default=2)
    names = (ErrorKind.WRONG_CLASS, ErrorKind.BADLY_PLACED, ErrorKind.MISSED)
    return _tally(truth.classes[~judged.found], kinds[~judged.found], names, len(judged.classes))


def _alarm_kinds(judged: Judged, alarm: Mask) -> tuple[dict[str, int], ...]:
    matching, iou = judged.matching, judged.matching.ious[0]
    conditions = [matching.same >= iou, matching.other >= iou, matching.same >= NEAR]
    kinds = np.select(conditions, [0, 1, 2], default=3)
    names = (ErrorKind.DOUBLE, ErrorKind.WRONG_CLASS, ErrorKind.BADLY_PLACED, ErrorKind.BACKGROUND)
    return _tally(judged.scene.detections.classes[alarm], kinds[alarm], names, len(judged.classes))


def _tally(classes: Counts, kinds: Counts, names: Sequence[ErrorKind], size: int) -> tuple[dict[str, int], ...]:
    cells = classes * len(names) + kinds
    table = np.bincount(cells, minlength=size * len(names)).reshape(size, len(names))
    return tuple({kind.value: count for kind, count in zip(names, row, strict=True)} for row in table.tolist())


def image_weights(judged: Judged, prevalence: Mapping[str, float]) -> NDArray[np.float64] | None:
    """Weigh images so that every class and the normal images appear at the line's real rates (rule M15).

    Args:
        judged: the matched predictions.
        prevalence: share of the line's parts that show each class, 0..1; the rest of the parts are normal.

    Returns:
        `(images,)` weights; None where the set lacks images of a class, or normal images, that the line has.
    """
    truth = judged.scene.truth
    rates = np.array([prevalence.get(name, 0.0) for name in judged.classes])
    images = truth.images
    shows = np.unique(images * len(rates) + truth.classes)
    image, shown = np.divmod(shows, len(rates))
    holding = np.bincount(shown, minlength=len(rates))
    normal = np.diff(truth.offsets) == 0
    normal_rate = max(0.0, 1.0 - float(rates.sum()))
    if np.any((rates > 0) & (holding == 0)) or (normal_rate > 0 and not normal.any()):
        return None
    per_class = np.divide(rates, holding, out=np.zeros_like(rates), where=holding > 0)
    weights = np.bincount(image, weights=per_class[shown], minlength=len(normal))
    return np.where(normal, normal_rate / max(1, int(np.count_nonzero(normal))), weights)
