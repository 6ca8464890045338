"""Operating thresholds, one per class, set on validation so that recall carries over to parts never seen."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.cost import ExpectedCost
from wafergate.domain.evaluation import Detections, OperatingPoint, Rate, Truth
from wafergate.domain.matching import Matching, Scene, flatten_scene, match
from wafergate.domain.words import counted

__all__ = [
    "MIN_SCORE",
    "alarm_scores",
    "best_f2",
    "lower_into_gap",
    "lowest_cost",
    "operating_points",
    "reach_recall",
]

Scores = NDArray[np.float64]

MIN_SCORE = 0.01
"""Raw predictions are kept down to this score, and no figure tells what lies below it."""

_ROUNDING = 1e-9
_FEW = 10  # below this a single instance moves validation recall by more than 0.1
_FEW_GROUPS = 5  # a new group lies at or above the lowest of n with a chance of n / (n + 1): 0.83 for 5
_WITHOUT_ANY = 0.25  # where no class has a threshold of its own; every class carries a warning then
_CONFIDENCE = 0.95


def reach_recall(found: Scores, instances: int, target: float) -> float | None:
    """Return the highest score at which the share of instances found is at least `target`.

    The highest such score has the fewest false alarms, as their number only grows when the threshold falls.

    Args:
        found: score of the detection that found each instance, of those that were found at any score.
        instances: how many there are, found or not; at least 1.
        target: recall to reach, 0..1.

    Returns:
        The score; None when too few are found at any score.
    """
    needed = _needed(instances, target)
    return float(np.sort(found)[-needed]) if needed <= len(found) else None


def _needed(instances: int, target: float) -> int:
    """Return how many instances must be found to reach a recall, at least one."""
    return max(1, math.ceil(target * instances - _ROUNDING))


def best_f2(found: Scores, false_alarms: Scores, instances: int) -> float | None:
    """Return the score of the largest F2, the higher of two equal ones; None when nothing is found at any score.

    F2 weighs recall twice as much as precision (C. J. van Rijsbergen, 'Information Retrieval', 1979), as a missed
    defect costs more than a second look: F2 = 5 hits / (5 hits + 4 misses + false alarms).
    """
    if not len(found):
        return None
    scores = np.sort(found)[::-1]
    hits = np.searchsorted(-scores, -scores, side="right")
    alarms = len(false_alarms) - np.searchsorted(np.sort(false_alarms), scores, side="left")
    f2 = 5 * hits / (5 * hits + 4 * (instances - hits) + alarms)
    return float(scores[np.argmax(f2)])


def lowest_cost(cost: ExpectedCost, name: str, found: Scores, instances: int, alarms: Scores) -> float | None:
    """Return the score of the lowest expected cost, the lower of two equal ones; None when nothing is found.

    Only scores at which an instance is found are asked: between two of them the threshold gains nothing by rising.
    """
    if not len(found):
        return None
    scores = np.sort(found)
    return float(scores[np.argmin(cost.over(name, scores, found, instances, alarms))])


def alarm_scores(scene: Scene, matching: Matching, index: int) -> tuple[Scores, bool]:
    """Return the highest false alarm of a class on each image without defect, -1 for none.

    Returns:
        The scores, and whether they are of images without defect; a set that holds none gives those of all its images.
    """
    normal = np.diff(scene.truth.offsets) == 0
    best = np.full(len(normal), -1.0)
    idle = ~matching.hits[0] & (scene.detections.classes == index)
    np.maximum.at(best, scene.detections.images[idle], scene.scores[idle].astype(np.float64))
    return (best[normal], True) if normal.any() else (best, False)


def lower_into_gap(score: float, false_alarms: Scores) -> float:
    """Return the middle between `score` and the next lower false alarm (0 where there is none), at least `MIN_SCORE`.

    A threshold at the lowest score that reached the target fits validation too well: when all of n instances lie at
    or above it, only n / (n + 1) of new ones are expected there (0.95 for 20). Anywhere down to the next false alarm
    validation looks the same, so the middle of that gap costs nothing there and lets recall carry over: in simulation
    with 20 instances recall on new parts rises from 0.95 to 0.99 and more where scores are well apart; where they
    overlap the gap is narrow and little changes.
    """
    below = false_alarms[false_alarms < score]
    middle = (score + (float(below.max()) if len(below) else 0.0)) / 2
    return max(middle, min(score, MIN_SCORE))


def operating_points(
    truth: Sequence[Truth],
    detections: Sequence[Detections],
    classes: Sequence[str],
    *,
    target_recall: float,
    iou: float,
    cost: ExpectedCost | None = None,
    overkill: float = 1.0,
    groups: Sequence[str] = (),
) -> tuple[OperatingPoint, ...]:
    """Set the operating threshold of every class on validation.

    1. `target`: the highest score that reaches the target recall has the fewest false alarms; from there the threshold
       goes down to the middle of the gap before the next false alarm (`lower_into_gap` says why).
    2. `lowest_cost`: where costs are given, in the place of the target, the score of the lowest expected cost at the
       line's real defect rates, lowered likewise.
    3. `overkill`: where the target would raise false alarms on more normal images than the line allows, the highest
       recall that a class can have within that while no weaker class loses any; lowered likewise.
    4. `best_f2`: where no score reaches the target, the score of the largest F2, lowered likewise; with a warning.
    5. `other_classes`: a class without validation instances, or of which none is found, takes the median of the other
       thresholds (0.25 where there are none), or the lowest one whose false alarms on normal images fit into what the
       other classes left of the line's overkill; with a warning.

    Args:
        truth: labelled boxes of every validation image.
        detections: of the same images in the same order, down to the lowest score.
        classes: defect classes in the order of their indices.
        target_recall: share of the validation instances to find, 0..1.
        iou: intersection over union from which a detection counts.
        cost: what mistakes cost on the line; None where the line file does not say.
        overkill: share of normal images on which the line allows false alarms, 0..1; 1 for any. Not asked where costs
            are given or validation holds no normal image.
        groups: group of every image, where known: a class that only a few groups show gets a warning, however often
            each of them was photographed.

    Raises:
        TrainingError: a score or a box is not a finite number.
    """
    scene = flatten_scene(truth, detections, len(classes))
    matching = match(scene, (iou,))
    seen = [_Seen.of(name, index, scene, matching, groups) for index, name in enumerate(classes)]
    images = len(seen[0].by_image)
    allowed = images
    if cost is None and overkill < 1 and seen[0].of_normal:
        # half: the gate reads the upper bound of a rate, 0.10 for 5 of 100
        allowed = math.floor(overkill / 2 * images)
        seen = _within_overkill(seen, target_recall, allowed)
    return _with_borrowed([_own_point(item, target_recall, cost) for item in seen], seen, allowed)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What validation shows of one class: scores of found instances, of all false alarms, and by image.

    `groups` is how many groups of images show the class, None where groups are not known. `afforded` is the score down
    to which the line's overkill lets the class go, where that is short of the target; 1 where it leaves room for no
    instance.
    """

    name: str
    instances: int
    found: Scores
    alarms: Scores
    by_image: Scores
    of_normal: bool
    groups: int | None
    afforded: float | None = None

    @classmethod
    def of(cls, name: str, index: int, scene: Scene, matching: Matching, groups: Sequence[str]) -> "_Seen":
        own = scene.truth.classes == index
        best = matching.found[own]
        idle = ~matching.hits[0] & (scene.detections.classes == index)
        alarms = scene.scores[idle].astype(np.float64)
        shown_by = len({groups[image] for image in scene.truth.images[own]}) if groups else None
        return cls(name, len(best), best[best >= 0], alarms, *alarm_scores(scene, matching, index), shown_by)


def _within_overkill(seen: Sequence[_Seen], target: float, allowed: int) -> list[_Seen]:
    """Return what is seen of each class with the score that the line's overkill affords it, where it is short.

    The class with the lowest recall goes down next, to the score that finds one instance more, until all have the
    target or what is ever found. One whose next step would raise alarms on more normal images than are allowed
    stays where it is, and the others go on: no class pays for another, and none can do better without a weaker one
    doing worse.
    """
    alarmed = np.zeros(len(seen[0].by_image), dtype=np.bool_)
    scores = [np.sort(item.found)[::-1][: _needed(item.instances, target)] for item in seen]
    loudest = [np.argsort(-item.by_image, kind="stable") for item in seen]
    alarms = [-item.by_image[order] for item, order in zip(seen, loudest, strict=True)]
    reached, raised, raising = [0] * len(seen), [0] * len(seen), 0
    stopped: set[int] = set()
    steps = sorted(
        (hits / seen[place].instances, place) for place, own in enumerate(scores) for hits in range(len(own))
    )
    for _, place in steps:
        if place in stopped:
            continue
        until = int(np.searchsorted(alarms[place], -scores[place][reached[place]], side="right"))
        images = loudest[place][raised[place] : until]
        more = int(np.count_nonzero(~alarmed[images]))
        if raising + more > allowed:
            stopped.add(place)
            continue
        alarmed[images] = True
        reached[place], raised[place], raising = reached[place] + 1, until, raising + more
    afforded = [float(own[count - 1]) if count else 1.0 for own, count in zip(scores, reached, strict=True)]
    return [replace(item, afforded=afforded[place]) if place in stopped else item for place, item in enumerate(seen)]


def _own_point(seen: _Seen, target: float, cost: ExpectedCost | None) -> OperatingPoint:
    name, instances, found, alarms = seen.name, seen.instances, seen.found, seen.alarms
    score, basis = _choose(seen, target, cost)
    if score is None:
        why = "none of its validation instances is found" if instances else "it has no validation instance"
        return OperatingPoint(name, 0.0, Rate.exact(0, instances, _CONFIDENCE), 0, "other_classes", f"{name}: {why}")
    threshold = lower_into_gap(score, alarms)
    recall = Rate.exact(int(np.count_nonzero(found >= threshold)), instances, _CONFIDENCE)
    warnings = []
    if basis == "best_f2":
        warnings.append(
            f"the target recall {target:g} is out of reach on validation, {len(found)} of {instances} are "
            f"found at any score; the threshold {threshold:.3f} has the best F2 and finds {recall.hits}"
        )
    elif basis == "overkill" and (recall.value or 0) < target:
        warnings.append(
            f"the target recall {target:g} would raise more overkill than the line allows; the threshold "
            f"{threshold:.3f} finds {recall.hits} of {instances} on validation"
        )
    if instances < _FEW and basis != "best_f2":
        warnings.append(f"the threshold {threshold:.3f} rests on only {counted(instances, 'validation instance')}")
    elif seen.groups is not None and seen.groups < _FEW_GROUPS and basis != "best_f2":
        warnings.append(
            f"the threshold {threshold:.3f} rests on {instances} validation instances of only "
            f"{counted(seen.groups, 'group')}, which look alike"
        )
    if basis == "lowest_cost" and not seen.of_normal:
        warnings.append("validation holds no normal image, so overkill is taken from false alarms on defective ones")
    return OperatingPoint(
        defect_class=name,
        threshold=threshold,
        recall=recall,
        false_alarms=int(np.count_nonzero(alarms >= threshold)),
        basis=basis,
        warning=f"{name}: {'; '.join(warnings)}" if warnings else "",
        cost=float(cost.over(name, np.array([threshold]), found, instances, seen.by_image)[0]) if cost else None,
    )


def _choose(seen: _Seen, target: float, cost: ExpectedCost | None) -> tuple[float | None, str]:
    """Return the score a class's threshold starts from and the rule behind it; None when nothing is found."""
    if cost is not None:
        return lowest_cost(cost, seen.name, seen.found, seen.instances, seen.by_image), "lowest_cost"
    if seen.afforded is not None:
        return seen.afforded, "overkill"
    reached = reach_recall(seen.found, seen.instances, target) if seen.instances else None
    if reached is not None:
        return reached, "target"
    return best_f2(seen.found, seen.alarms, seen.instances), "best_f2"


def _with_borrowed(points: Sequence[OperatingPoint], seen: Sequence[_Seen], allowed: int) -> tuple[OperatingPoint, ...]:
    """Return the points with a threshold for each class that has none of its own."""
    own = {point.defect_class: point for point in points if point.basis != "other_classes"}
    median = statistics.median(point.threshold for point in own.values()) if own else _WITHOUT_ANY
    alarmed = np.zeros(len(seen[0].by_image), dtype=np.bool_)
    for item in seen:
        if item.name in own:
            alarmed |= item.by_image >= own[item.name].threshold
    done = []
    for point, item in zip(points, seen, strict=True):
        if item.name in own:
            done.append(point)
            continue
        threshold = _fitting(item, median, alarmed, allowed)
        alarmed |= item.by_image >= threshold
        done.append(_borrowed(point, threshold, median, item.alarms))
    return tuple(done)


def _fitting(seen: _Seen, threshold: float, alarmed: NDArray[np.bool_], allowed: int) -> float:
    """Return a threshold, or where it would alarm on more images than are allowed the lowest above that does not."""
    room = max(0, allowed - int(np.count_nonzero(alarmed)))
    fresh = np.sort(seen.by_image[~alarmed & (seen.by_image >= threshold)])[::-1]
    if len(fresh) <= room:
        return threshold
    fits = fresh[fresh > fresh[room]]
    return lower_into_gap(float(fits[-1]) if len(fits) else 1.0, seen.alarms)


def _borrowed(point: OperatingPoint, threshold: float, median: float, alarms: Scores) -> OperatingPoint:
    of_others = "the median threshold of the other classes"
    if threshold > median:
        of_others = f"as {median:.3f}, {of_others}, would raise more overkill than the line allows"
    raised = int(np.count_nonzero(alarms >= threshold))
    warning = f"{point.warning}; it takes {threshold:.3f}, {of_others}"
    return replace(point, threshold=threshold, false_alarms=raised, warning=warning)
