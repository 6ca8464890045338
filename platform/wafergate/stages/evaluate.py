"""Judge a model on one side of a split from its raw predictions (rules M7, M9 and M15)."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.bounds import grouped_bounds, lower_bound, upper_bound
from wafergate.domain.evaluation import (
    ClassFigures,
    Detections,
    Figures,
    Rate,
    SliceFigures,
    Truth,
)
from wafergate.domain.gate import GatePolicy
from wafergate.domain.judging import Judged, Mistakes, image_weights, judge, mistakes
from wafergate.domain.precision import average_precision

__all__ = ["evaluate", "figures", "size_slices", "slices"]

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]
Weights = NDArray[np.float64]


def evaluate(
    truth: Sequence[Truth],
    detections: Sequence[Detections],
    classes: Sequence[str],
    *,
    thresholds: Mapping[str, float],
    policy: GatePolicy,
    groups: Sequence[str] | None = None,
    prevalence: Mapping[str, float] | None = None,
) -> Figures:
    """Return every figure of a model on one side of a split: `judge`, then `figures`."""
    judged = judge(truth, detections, classes, thresholds=thresholds, iou=policy.iou)
    return figures(judged, confidence=policy.confidence, groups=groups, prevalence=prevalence)


def figures(
    judged: Judged,
    *,
    confidence: float,
    groups: Sequence[str] | None = None,
    prevalence: Mapping[str, float] | None = None,
) -> Figures:
    """Return the figures of every class and of the images.

    Args:
        judged: the matched predictions.
        confidence: of the one-sided bounds, e.g. 0.95.
        groups: what each image belongs to (lot, wafer …): adds recall bounds by bootstrap over these groups.
        prevalence: share of the line's parts that show each class: adds precision at these real rates.
    """
    truth, said = judged.scene.truth, judged.scene.detections
    defective = np.diff(truth.offsets) > 0
    alarmed = np.bincount(said.images[judged.kept], minlength=len(defective)) > 0
    normal = int(np.count_nonzero(~defective))
    weights = image_weights(judged, prevalence) if prevalence else None
    wrong = mistakes(judged)
    return Figures(
        images=len(defective),
        classes=_class_figures(judged, wrong, confidence, groups=groups, weights=weights),
        escapes=Rate.exact(int(np.count_nonzero(defective & ~alarmed)), len(defective) - normal, confidence),
        overkill=Rate.exact(int(np.count_nonzero(~defective & alarmed)), normal, confidence),
        baseline_accuracy=normal / len(defective) if len(defective) else 0.0,
        confusion=wrong.confusion,
        real_false_alarm_share=_share(weights, ~defective & alarmed, alarmed),
    )


def _class_figures(
    judged: Judged, wrong: Mistakes, confidence: float, *, groups: Sequence[str] | None, weights: Weights | None
) -> tuple[ClassFigures, ...]:
    truth, said, size = judged.scene.truth, judged.scene.detections, len(judged.classes)
    support = np.bincount(truth.classes, minlength=size)
    hits = np.bincount(truth.classes[judged.found], minlength=size)
    raised = np.bincount(said.classes[judged.kept], minlength=size)
    recall, precision = _rates(hits, support, confidence), _rates(hits, raised, confidence)
    ap = average_precision(judged.matching.hits, judged.matching.rank, said.classes, support.tolist())
    grouped = _grouped(judged, groups, confidence) if groups is not None else [None] * size
    real = _real_precision(judged, weights)
    return tuple(
        ClassFigures(
            defect_class=name,
            recall=recall[i],
            precision=precision[i],
            f1=float(2 * hits[i] / (support[i] + raised[i])) if support[i] + raised[i] else None,
            ap50=float(ap[0, i]) if support[i] else None,
            threshold=float(judged.thresholds[i]),
            ap50_95=float(ap[1:, i].mean()) if support[i] else None,
            misses=wrong.misses[i],
            false_alarms=wrong.false_alarms[i],
            grouped_recall=grouped[i],
            real_precision=real[i],
        )
        for i, name in enumerate(judged.classes)
    )


def _rates(hits: Counts, trials: Counts, confidence: float) -> list[Rate]:
    lower, upper = lower_bound(hits, trials, confidence), upper_bound(hits, trials, confidence)
    return [Rate(*row) for row in zip(hits.tolist(), trials.tolist(), lower.tolist(), upper.tolist(), strict=True)]


def _grouped(judged: Judged, groups: Sequence[str], confidence: float) -> list[Rate | None]:
    truth = judged.scene.truth
    if len(groups) != len(truth.offsets) - 1:
        message = f"every image needs a group, found {len(groups)} for {len(truth.offsets) - 1} images"
        raise ValueError(message)
    names, group_of_image = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    group = group_of_image[truth.images]
    rates: list[Rate | None] = []
    for index in range(len(judged.classes)):
        own = truth.classes == index
        trials = np.bincount(group[own], minlength=len(names))
        hits = np.bincount(group[own & judged.found], minlength=len(names))
        lower, upper = grouped_bounds(hits, trials, confidence)
        rates.append(Rate(int(hits.sum()), int(trials.sum()), lower, upper))
    return rates


def _real_precision(judged: Judged, weights: Weights | None) -> list[float | None]:
    if weights is None:
        return [None] * len(judged.classes)
    said = judged.scene.detections
    weight = weights[said.images]
    size = len(judged.classes)
    right = np.bincount(said.classes[judged.right], weights=weight[judged.right], minlength=size)
    raised = np.bincount(said.classes[judged.kept], weights=weight[judged.kept], minlength=size)
    return [float(hit / total) if total > 0 else None for hit, total in zip(right, raised, strict=True)]


def _share(weights: Weights | None, part: Mask, whole: Mask) -> float | None:
    if weights is None:
        return None
    total = float(weights[whole].sum())
    return float(weights[part].sum()) / total if total > 0 else None


def slices(judged: Judged, key: str, values: Sequence[str], *, confidence: float) -> tuple[SliceFigures, ...]:
    """Return recall by class on each part of a set, sorted by part and class.

    Args:
        judged: the matched predictions.
        key: what the images are told apart by: `lot`, `station` …
        values: the part of every image; images with an empty one are left out.
        confidence: of the one-sided bounds.
    """
    images = judged.scene.truth.images
    return _sliced(judged, key, [values[image] for image in images.tolist()], confidence)


def size_slices(judged: Judged, *, confidence: float) -> tuple[SliceFigures, ...]:
    """Return recall by class and box size by COCO's areas: small below 32², large from 96² square pixels."""
    boxes = judged.scene.truth.boxes
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    names = np.select([area < 32**2, area < 96**2], ["small", "medium"], default="large")
    return _sliced(judged, "box_size", names.tolist(), confidence)


def _sliced(judged: Judged, key: str, parts: Sequence[str], confidence: float) -> tuple[SliceFigures, ...]:
    cells = list(zip(parts, judged.scene.truth.classes.tolist(), strict=True))
    trials = Counter(cells)
    hits = Counter(cell for cell, found in zip(cells, judged.found.tolist(), strict=True) if found)
    return tuple(
        SliceFigures(key, part, judged.classes[index], Rate.exact(hits[part, index], count, confidence))
        for (part, index), count in sorted(trials.items())
        if part
    )
