"""The curves of a report, and which mistakes its pictures show."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.cost import ExpectedCost
from wafergate.domain.evaluation import ErrorKind
from wafergate.domain.geometry import Box
from wafergate.domain.judging import ALARM_KINDS, MISS_KINDS, ErrorKinds, Judged, error_kinds
from wafergate.domain.operating import alarm_scores
from wafergate.domain.report import ClassCurves, Points, Spot

__all__ = ["curves", "pick_alarms", "pick_misses"]

Values = NDArray[np.float64]

_MOST_POINTS = 200  # of one curve: more than a curve of some 200 pixels shows


def curves(judged: Judged, cost: ExpectedCost | None = None) -> tuple[ClassCurves, ...]:
    """Return every class's curves on the judged set.

    Args:
        judged: the matched predictions.
        cost: what mistakes cost on the line; None where the line file does not say.
    """
    return tuple(_of_class(judged, index, cost) for index in range(len(judged.classes)))


def _of_class(judged: Judged, index: int, cost: ExpectedCost | None) -> ClassCurves:
    name, threshold = judged.classes[index], float(judged.thresholds[index])
    own = judged.scene.detections.classes == index
    scores = judged.scene.scores[own].astype(np.float64)
    right = judged.matching.hits[0][own]
    found = judged.matching.found[judged.scene.truth.classes == index]
    instances, found = len(found), found[found >= 0]
    alarms, _ = alarm_scores(judged.scene, judged.matching, index)
    kept = scores >= threshold
    hits, raised = int(np.count_nonzero(right & kept)), int(np.count_nonzero(kept))
    grid = np.linspace(0.0, 1.0, 101)
    missed = 1 - (len(found) - np.searchsorted(np.sort(found), grid, side="left")) / max(1, instances)
    alarmed = (len(alarms) - np.searchsorted(np.sort(alarms), grid, side="left")) / max(1, len(alarms))
    expected = cost.over(name, grid, found, instances, alarms) if cost is not None and instances else None
    return ClassCurves(
        defect_class=name,
        threshold=threshold,
        precision_recall=_precision_recall(scores, right, instances),
        operating=(hits / instances, hits / raised) if instances and raised else None,
        missed=_points(grid, missed) if instances else (),
        alarmed=_points(grid, alarmed),
        cost=() if expected is None else _points(grid, 1000 * expected),
    )


def _precision_recall(scores: Values, right: NDArray[np.bool_], instances: int) -> Points:
    if not len(scores) or not instances:
        return ()
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of equal scores all count or none
    recall, precision = hits[last] / instances, hits[last] / (last + 1)
    chosen = np.unique(np.linspace(0, len(last) - 1, min(len(last), _MOST_POINTS)).astype(np.int64))
    return _points(recall[chosen], precision[chosen])


def _points(x: Values, y: Values) -> Points:
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


def pick_misses(judged: Judged, most: int) -> tuple[Spot, ...]:
    """Return up to `most` misses, the classes taking turns."""
    kinds, truth = error_kinds(judged), judged.scene.truth
    images, said = truth.images, judged.scene.detections.classes
    pairs = zip(kinds.confused.instances.tolist(), kinds.confused.detections.tolist(), strict=True)
    taken_for = {instance: judged.classes[said[detection]] for instance, detection in pairs}
    spots = (
        Spot(
            int(images[at]),
            judged.classes[truth.classes[at]],
            MISS_KINDS[kind].value,
            Box(*truth.boxes[at].tolist()),
            other=taken_for.get(at, ""),
        )
        for at, kind in zip(kinds.missed.tolist(), kinds.miss_kinds.tolist(), strict=True)
    )
    return _in_turns(judged, spots, most)


def pick_alarms(judged: Judged, most: int) -> tuple[Spot, ...]:
    """Return up to `most` false alarms, the surest of each class first, the classes taking turns."""
    kinds, said = error_kinds(judged), judged.scene.detections
    images, scores = said.images, judged.scene.scores
    labelled = _labelled_there(judged, kinds)
    surest = np.argsort(-scores[kinds.alarms], kind="stable")
    alarms = zip(kinds.alarms[surest].tolist(), kinds.alarm_kinds[surest].tolist(), strict=True)
    spots = (
        Spot(
            int(images[at]),
            judged.classes[said.classes[at]],
            ALARM_KINDS[kind].value,
            Box(*said.boxes[at].tolist()),
            float(scores[at]),
            other=labelled.get(at, "") if ALARM_KINDS[kind] is ErrorKind.WRONG_CLASS else "",
        )
        for at, kind in alarms
    )
    return _in_turns(judged, spots, most)


def _labelled_there(judged: Judged, kinds: ErrorKinds) -> dict[int, str]:
    """Return the class labelled where a detection of another class lies: of the miss it stands for, if of one."""
    crossings, truth = judged.matching.crossings, judged.scene.truth.classes
    return {
        detection: judged.classes[truth[instance]]
        for pairs in (crossings, kinds.confused)
        for detection, instance in zip(pairs.detections.tolist(), pairs.instances.tolist(), strict=True)
    }


def _in_turns(judged: Judged, spots: Iterable[Spot], most: int) -> tuple[Spot, ...]:
    queues: dict[str, list[Spot]] = {name: [] for name in judged.classes}
    for spot in spots:
        queues[spot.defect_class].append(spot)

    def turns() -> Iterator[Spot]:
        for row in zip_longest(*queues.values()):
            yield from (spot for spot in row if spot is not None)

    return tuple(spot for spot, _ in zip(turns(), range(most), strict=False))
