"""The review list of a dataset version: who puts labels on it, where they stand, what a person answers."""

from collections.abc import Iterable

from wafergate.domain.review import ReviewAnswer, ReviewItem, ReviewState, Suspected, Suspicion, item_of, standing
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.jobs.parts import Parts

__all__ = ["add_items", "review_list"]


def add_items(parts: Parts, dataset_id: str, suspected: Iterable[Suspected]) -> int:
    """Put suspicions about a dataset version's boxes on its review list; return how many were not there yet.

    Raises:
        NotFoundError: there is no such version.
    """
    version = parts.facts.get(DatasetVersion, dataset_id)
    wanted = list(suspected)
    if not wanted:
        return 0
    names = sorted({item.sample for item in wanted})
    images = {item.name: item.image for item in parts.facts.find(Sample, dataset_id=dataset_id, name=names)}
    now = parts.clock()
    return parts.facts.save_all(
        item_of(item, dataset_id=dataset_id, line=version.line, image=images[item.sample], now=now) for item in wanted
    )


def review_list(parts: Parts, dataset_id: str) -> list[tuple[ReviewItem, ReviewState]]:
    """Return every item of a dataset version with where it stands, the worst kind and the highest score first."""
    order = list(Suspicion)
    items = sorted(
        parts.facts.find(ReviewItem, dataset_id=dataset_id),
        key=lambda item: (order.index(item.kind), -item.score, item.sample, item.id),
    )
    answers = parts.facts.find(ReviewAnswer, key=[item.key for item in items])
    states = standing(items, answers)
    return [(item, states[item.id]) for item in items]
