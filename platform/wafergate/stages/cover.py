"""Which audited images speak for a model's inspections, and for which of them.

Only the random audit does. Images that are reviewed because a score lies near a threshold or because they look unlike
training are the hard ones: recall over them is far lower than in production, and no weight mends that, because most
images had no chance at all of being picked that way. In the audit every image of a run has the same known chance. Runs
with different chances are put together at a common one (`domain.sampling.common_share`) instead of weighting by the
inverse of the chance: the audited images are then a plain random sample, for which the exact bounds of Clopper and
Pearson hold, while for weighted proportions of few defects only approximate ones are known.

What is exact: an image is drawn independently of what is on it, so that the shares of escapes and of overkill among
defective and normal images are plain proportions of a random sample. Recall and precision count boxes: they are exact
as far as boxes of an image or a lot succeed and fail independently. Where they do not, the bounds by bootstrap over
lots stand beside them.

A run counts once all of its audited images have been looked at. Counting those that happen to be done would favour
whatever reviewers do first.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from wafergate.domain.production import ProductionDraw, ProductionItem, Stratum
from wafergate.domain.sampling import audit_count, common_share

__all__ = ["Covered", "cover"]


@dataclass(frozen=True, slots=True)
class Covered:
    """The audited images that count.

    Attributes:
        items: they, by run and rank.
        draws: the runs that they speak for, those of which no image was drawn included; oldest first.
        share: chance that every image of these runs had.
        waiting: audited images nobody has looked at yet.
        uncovered: images of runs left out because they were drawn at a smaller share.
    """

    items: tuple[ProductionItem, ...]
    draws: tuple[ProductionDraw, ...]
    share: float
    waiting: int
    uncovered: int


def cover(draws: Sequence[ProductionDraw], items: Iterable[ProductionItem], reviewed: Collection[str]) -> Covered:
    """Return the audited images that count.

    Args:
        draws: of one model's inspections in the window asked about.
        items: of these draws; those of other strata are passed over.
        reviewed: SHA-256 of every image with a truth.
    """
    audited: dict[str, list[ProductionItem]] = defaultdict(list)
    for item in items:
        if item.stratum is Stratum.AUDIT:
            audited[item.draw_id].append(item)
    waiting = {key: sum(item.image not in reviewed for item in found) for key, found in audited.items()}
    whole = [draw for draw in draws if not waiting.get(draw.id)]
    share = common_share((draw.images, draw.share) for draw in whole)
    counted = [draw for draw in whole if share and draw.share >= share]
    counted.sort(key=lambda draw: (draw.inspected_at, draw.id))
    kept = []
    for draw in counted:
        first = audit_count(draw.run_id, draw.images, share)
        kept += sorted((item for item in audited[draw.id] if item.rank < first), key=lambda item: item.rank)
    uncovered = sum(draw.images for draw in whole) - sum(draw.images for draw in counted)
    return Covered(tuple(kept), tuple(counted), share, sum(waiting.values()), uncovered)
