"""Group images that show the same thing, so that no group ever stands on two sides of a split (rule M10)."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from wafergate.domain.samples import Sample
from wafergate.domain.splits import SplitPolicy
from wafergate.errors import SplitError

__all__ = ["assign_groups", "has_keys"]

Edge = tuple[int, int]


def assign_groups(samples: Sequence[Sample], policy: SplitPolicy, *, same: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Name the group of every sample; joined are, by union-find, all images that one of these rules links.

    - the values of all `group_by` keys are equal (lot and wafer, board …);
    - their `neighbour_key` numbers follow each other within `neighbour_gap`: a part seen again under other exposures
      is numbered on, whatever class its label names. On the magnetic-tile set the distances between successive
      numbers fall into two heaps: up to about 100 within one tile's run of six exposures (median 18), from 300 on
      between tiles; a gap of 200 lies in the valley and gives 168 groups for 1,068 images;
    - the image files are byte for byte the same;
    - they are tiles of one image, or the image itself;
    - `same` links them.

    Args:
        samples: the images of a dataset version.
        policy: which rules apply; with none of them every image is a group of its own.
        same: pairs of sample names known to show the same thing: near-duplicates, an original and its tile.

    Returns:
        One group name per sample, in order; the same for samples of one group and different between groups.

    Raises:
        SplitError: a sample lacks a key of the policy, its number is none, or `same` names an unknown sample.
    """
    edges = _equal_values([sample.image for sample in samples])
    edges += _equal_values([sample.part.image if sample.part else sample.image for sample in samples])
    if policy.group_by:
        edges += _equal_values([_group_value(sample, policy.group_by) for sample in samples])
    if policy.neighbour_key:
        edges += _neighbours(samples, policy)
    edges += _named_pairs(samples, same)
    labels = _components(len(samples), edges)
    titles = [_group_value(sample, policy.group_by) if policy.group_by else sample.name for sample in samples]
    first: dict[int, str] = {}
    for label, title in zip(labels.tolist(), titles, strict=True):
        first[label] = min(first.get(label, title), title)
    return [first[label] for label in labels.tolist()]


def has_keys(sample: Sample, policy: SplitPolicy) -> bool:
    """Tell whether a sample has what the policy groups by; one without it is in no group but its own."""
    number = sample.metadata.get(policy.neighbour_key, "") if policy.neighbour_key else "0"
    return all(sample.metadata.get(key) for key in policy.group_by) and number.lstrip("+-").isdecimal()


def _group_value(sample: Sample, keys: tuple[str, ...]) -> str:
    for key in keys:
        if not sample.metadata.get(key):
            message = (
                f"[split] group_by needs the metadata {key!r} of every image, {sample.name} has none; "
                "name it in [intake] pattern or metadata.csv, or take it out of group_by"
            )
            raise SplitError(message)
    return "/".join(sample.metadata[key] for key in keys)


def _neighbours(samples: Sequence[Sample], policy: SplitPolicy) -> list[Edge]:
    numbers = np.array([_number(sample, policy.neighbour_key) for sample in samples], np.int64)
    order = np.argsort(numbers, kind="stable")
    close = np.flatnonzero(np.diff(numbers[order]) <= policy.neighbour_gap)
    return list(zip(order[close].tolist(), order[close + 1].tolist(), strict=True))


def _number(sample: Sample, key: str) -> int:
    value = sample.metadata.get(key, "")
    try:
        return int(value)
    except ValueError as error:
        message = (
            f"[split] neighbour_key needs a whole number under {key!r} for every image, {sample.name} has {value!r}; "
            "name it in [intake] pattern or metadata.csv, or clear neighbour_key"
        )
        raise SplitError(message) from error


def _named_pairs(samples: Sequence[Sample], pairs: Iterable[tuple[str, str]]) -> list[Edge]:
    places = {sample.name: place for place, sample in enumerate(samples)}
    edges = []
    for pair in pairs:
        unknown = [name for name in pair if name not in places]
        if unknown:
            message = f"a pair of images to keep together names {unknown[0]!r}, which is not in the dataset version"
            raise SplitError(message)
        edges.append((places[pair[0]], places[pair[1]]))
    return edges


def _equal_values(values: Sequence[str]) -> list[Edge]:
    """Link every place to the first one with the same value."""
    first: dict[str, int] = {}
    return [(first.setdefault(value, place), place) for place, value in enumerate(values)]


def _components(size: int, edges: Sequence[Edge]) -> NDArray[np.int32]:
    if not size:
        return np.zeros(0, np.int32)
    ends = np.array(edges, np.int64).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels
