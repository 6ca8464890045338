"""Cut a small set into folds, and judge each image by a model that learnt from the other folds."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.cost import ExpectedCost
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.judging import Judged, judge
from wafergate.domain.operating import operating_points
from wafergate.domain.samples import Sample
from wafergate.errors import SplitError

__all__ = ["assign_folds", "cross_thresholds", "judge_folds", "tell_gaps"]

Counts = NDArray[np.float64]


def assign_folds(
    samples: Sequence[Sample], groups: Sequence[str], classes: Sequence[str], *, folds: int, seed: int
) -> tuple[int, ...]:
    """Return the fold of every sample, 0-based: groups stay whole, classes and normal images spread evenly.

    Groups go one by one, those first that hold the largest share of some class, each to the fold where the sum of
    squared shares grows least: the fold that has least of what the group holds. What is equal goes by the seed.

    Args:
        samples: the images of a dataset version.
        groups: the group of each sample.
        classes: defect classes.
        folds: how many, at least 2.
        seed: chooses among equally good folds.

    Raises:
        SplitError: there are fewer groups than folds, or fewer than two folds.
    """
    names = sorted(set(groups))
    if not 2 <= folds <= len(names):
        message = f"folds must be at least 2 and at most the {len(names)} groups outside a test set; found {folds}"
        raise SplitError(message)
    place = {name: index for index, name in enumerate(names)}
    column = {name: index for index, name in enumerate(classes)}
    held = np.zeros((len(names), len(classes) + 2))  # instances of each class, normal images, images
    for sample, group in zip(samples, groups, strict=True):
        row = held[place[group]]
        for name in sample.classes:
            row[column[name]] += 1
        row[-2] += not sample.boxes
        row[-1] += 1
    shares = held / np.maximum(held.sum(axis=0), 1)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(names))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    load = np.zeros((folds, shares.shape[1]))
    fold_of = np.zeros(len(names), np.int64)
    for group_index in order.tolist():
        share = shares[group_index]
        fold = int(np.lexsort((np.arange(folds), load[:, -1], load @ share))[0])
        fold_of[group_index] = fold
        load[fold] += share
    return tuple(int(fold_of[place[group]]) for group in groups)


def tell_gaps(samples: Sequence[Sample], fold_of: Sequence[int], classes: Sequence[str], *, folds: int) -> list[str]:
    """Return a sentence for each class that some fold's model never saw, or that has no instance."""
    told = []
    for name in classes:
        having = {fold for sample, fold in zip(samples, fold_of, strict=True) if name in sample.classes}
        if not having:
            told.append(f"{name}: the version has no instance of it")
        elif len(having) == 1:
            told.append(f"{name}: all its groups lie in one fold, so no model that is asked for it has ever seen it")
        elif len(having) < folds:
            told.append(f"{name}: only {len(having)} of {folds} folds hold it")
    return told


def cross_thresholds(
    truth: Sequence[Truth],
    detections: Sequence[Detections],
    fold_of: Sequence[int],
    classes: Sequence[str],
    *,
    target_recall: float,
    iou: float,
    cost: ExpectedCost | None = None,
    overkill: float = 1.0,
) -> list[dict[str, float]]:
    """Return the thresholds of each fold, set on what was said of the other folds.

    A threshold set on the images it is then asked about would flatter recall; here no image takes part in choosing
    its own threshold, as no image takes part in training the model that judges it.

    Args:
        truth: labelled boxes of every image.
        detections: of the same images, each by the model that had not learnt from it.
        fold_of: fold of every image, 0-based.
        classes: defect classes in the order of their indices.
        target_recall: share of the instances to find, 0..1.
        iou: intersection over union from which a detection counts.
        cost: what mistakes cost on the line; None where the line file does not say.
        overkill: the line's limit, 0..1; 1 for none.
    """
    thresholds = []
    for fold in range(max(fold_of) + 1):
        others = [index for index, own in enumerate(fold_of) if own != fold]
        points = operating_points(
            [truth[index] for index in others],
            [detections[index] for index in others],
            classes,
            target_recall=target_recall,
            iou=iou,
            cost=cost,
            overkill=overkill,
        )
        thresholds.append({point.defect_class: point.threshold for point in points})
    return thresholds


def judge_folds(
    truth: Sequence[Truth],
    detections: Sequence[Detections],
    fold_of: Sequence[int],
    classes: Sequence[str],
    *,
    thresholds: Sequence[Mapping[str, float]],
    iou: float,
) -> Judged:
    """Match all images at once, each at the thresholds of its fold.

    The kinds of misses are told at the median thresholds, which is also what the result shows for each class.
    """
    table: Counts = np.array([[limits[name] for name in classes] for limits in thresholds], dtype=np.float64)
    middle = dict(zip(classes, np.median(table, axis=0).tolist(), strict=True))
    pooled = judge(truth, detections, classes, thresholds=middle, iou=iou)
    folds = np.asarray(fold_of, dtype=np.int64)
    said, known = pooled.scene.detections, pooled.scene.truth
    kept = pooled.scene.scores >= table[folds[said.images], said.classes]
    best = pooled.matching.found
    found = (best >= 0) & (best >= table[folds[known.images], known.classes])
    return Judged(pooled.classes, pooled.thresholds, pooled.scene, pooled.matching, kept, found)
