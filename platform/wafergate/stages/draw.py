"""Which images of an inspection people should look at: some drawn at random, the uncertain, the strange."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from wafergate.domain.inspection import InspectedImage
from wafergate.domain.production import ReviewPolicy, Stratum
from wafergate.domain.sampling import audit_count, audit_order

__all__ = ["Picked", "draw"]


@dataclass(frozen=True, slots=True)
class Picked:
    """One image for the review queue.

    Attributes:
        image: the image.
        stratum: why it was picked.
        rank: 0-based place in its stratum.
        detail: why, as one sentence.
    """

    image: InspectedImage
    stratum: Stratum
    rank: int
    detail: str


def draw(
    images: Sequence[InspectedImage],
    thresholds: Mapping[str, float],
    policy: ReviewPolicy,
    *,
    share: float,
    left: Mapping[Stratum, int],
    queued: Collection[str],
) -> list[Picked]:
    """Pick images of one run: the audit from all of them, then the near and the far from the others.

    The audit is drawn first and knows nothing of scores or novelty. Images with equal bytes are picked once as near or
    far, and not at all where the queue holds them already; the audit takes them as they come, because leaving some out
    would change every other image's chance.

    Args:
        images: of the run, in the order of their positions; those that the model has learnt from left out.
        thresholds: frozen operating score of every class.
        policy: shares and margin.
        share: chance of each image to be in the audit.
        left: how many more images each stratum may take this day; `audit` is heeded by `share` already.
        queued: SHA-256 of the images in the queue.
    """
    if not images:
        return []
    run_id = images[0].run_id
    order = audit_order(run_id, len(images))[: audit_count(run_id, len(images), share)]
    picked = [
        Picked(images[place], Stratum.AUDIT, rank, f"drawn at random, with a chance of {share:.3g}")
        for rank, place in enumerate(order)
    ]
    taken = {item.image.image for item in picked}.union(queued)
    near = sorted(filter(None, (_nearness(image, thresholds, policy.margin) for image in images)), key=_by_distance)
    picked += _best(near, Stratum.NEAR, _most(policy.near, images, left[Stratum.NEAR]), taken)
    far = sorted((_farness(image) for image in images if image.novelty is not None), key=_by_distance)
    picked += _best(far, Stratum.FAR, _most(policy.far, images, left[Stratum.FAR]), taken)
    return picked


_Ranked = tuple[float, InspectedImage, str]


def _most(share: float, images: Sequence[InspectedImage], left: int) -> int:
    return max(0, min(left, math.ceil(share * len(images))))


def _best(ranked: Sequence[_Ranked], stratum: Stratum, most: int, taken: set[str]) -> list[Picked]:
    picked: list[Picked] = []
    for _, image, detail in ranked:
        if len(picked) >= most:
            break
        if image.image not in taken:
            taken.add(image.image)
            picked.append(Picked(image, stratum, len(picked), detail))
    return picked


def _by_distance(item: _Ranked) -> tuple[float, int]:
    return item[0], item[1].position


def _nearness(image: InspectedImage, thresholds: Mapping[str, float], margin: float) -> _Ranked | None:
    """Return how near the image's nearest score lies to its threshold, as a share of that; None where none is near."""
    limits = ((thresholds.get(name, 0.0), score, name) for name, score, *_ in (*image.detections, *image.weak))
    found = [(abs(score - limit) / limit, score, limit, name) for limit, score, name in limits if limit > 0]
    distance, score, limit, name = min(found, default=(math.inf, 0.0, 0.0, ""))
    if distance > margin:
        return None
    return distance, image, f"{name} scores {score:.3f}, the threshold is {limit:.3f}"


def _farness(image: InspectedImage) -> _Ranked:
    novelty = image.novelty or 0.0
    return -novelty, image, f"it differs from what the model learnt from by {novelty:.3g}"
