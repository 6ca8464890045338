"""A dataset version to the pairs of its images that show the same part."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from wafergate.domain.identity import identify
from wafergate.domain.near_duplicates import LikenessPolicy, NearDuplicates, SamePart
from wafergate.domain.samples import Sample
from wafergate.jobs.parts import Outcome, Parts, ahead, silent
from wafergate.ports import Progress
from wafergate.stages.near_duplicates import COPY_SIDE, candidates, codes_of, compare, shrink, without_look_alikes

__all__ = ["find_near_duplicates", "known_crowds", "known_pairs"]

_STEP = 256


def find_near_duplicates(
    parts: Parts, policy: LikenessPolicy, dataset_id: str, *, progress: Progress = silent
) -> Outcome:
    """Look for images of a dataset version that show the same part again; a second call finds the first one's row.

    Every image is decoded once more, for its small copy; the copies wait on disk, so that memory does not grow with
    them.
    """
    row_id = _row_id(parts, dataset_id, policy)
    if parts.facts.find(NearDuplicates, id=row_id):
        return Outcome(row_id, reused=True)
    samples = parts.facts.find(Sample, dataset_id=dataset_id)
    parts.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=parts.work) as file:
        copies = _Copies(cast("BinaryIO", file))
        codes = _codes(parts, samples, copies, progress=progress)
        near = candidates(codes, policy)
        same = list(_confirmed(copies, near, policy, progress=progress))
    kept, crowded = without_look_alikes([(pair.first, pair.second) for pair in same], policy.max_views)
    left = set(kept)
    dropped = [(pair.first, pair.second) for pair in same if (pair.first, pair.second) not in left]
    row = NearDuplicates(
        id=row_id,
        dataset_id=dataset_id,
        images=len(samples),
        candidates=len(near),
        pairs=tuple(
            SamePart(samples[pair.first].name, samples[pair.second].name, pair.correlation, pair.difference)
            for pair in same
            if (pair.first, pair.second) in left
        ),
        groups=len(_groups(kept, len(samples))),
        look_alikes=len(crowded),
        created_at=parts.clock(),
        crowds=tuple(tuple(samples[place].name for place in crowd) for crowd in _groups(dropped, len(samples))),
    )
    return Outcome(row_id, not parts.facts.save(row))


def known_pairs(parts: Parts, dataset_id: str, policy: LikenessPolicy) -> list[tuple[str, str]]:
    """Return the names of the pairs that a policy's search in a dataset version found; none where it was not made."""
    rows = parts.facts.find(NearDuplicates, id=_row_id(parts, dataset_id, policy))
    return sorted({(pair.first, pair.second) for row in rows for pair in row.pairs})


def known_crowds(parts: Parts, dataset_id: str, policy: LikenessPolicy) -> list[tuple[str, ...]]:
    """Return the names of the images, crowd by crowd, that the search left out as alike to more than `max_views`."""
    rows = parts.facts.find(NearDuplicates, id=_row_id(parts, dataset_id, policy))
    return [crowd for row in rows for crowd in row.crowds]


def _row_id(parts: Parts, dataset_id: str, policy: LikenessPolicy) -> str:
    row_id = identify("near-duplicates", dataset_id, policy)
    unnamed = any(row.look_alikes and not row.crowds for row in parts.facts.find(NearDuplicates, id=row_id))
    return identify("near-duplicates", dataset_id, policy, "crowds") if unnamed else row_id


@dataclass(frozen=True, slots=True)
class _Pair:
    first: int
    second: int
    correlation: float
    difference: float


class _Copies:
    """Small copies in a file, by their place."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def append(self, copy: NDArray[np.uint8]) -> None:
        self._file.write(copy.tobytes())

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        size = COPY_SIDE * COPY_SIDE
        self._file.seek(place * size)
        return np.frombuffer(self._file.read(size), np.uint8).reshape(COPY_SIDE, COPY_SIDE)


def _codes(parts: Parts, samples: Sequence[Sample], copies: _Copies, *, progress: Progress) -> NDArray[np.uint64]:
    """Return a row of codes for each sample, writing its copy on the way; the same file is decoded once."""

    def look(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        copy = shrink(parts.decode(parts.files.get(sample.image)))
        return copy, codes_of(copy)

    rows = []
    for done, (copy, codes) in enumerate(ahead(look, samples), start=1):
        copies.append(copy)
        rows.append(codes)
        progress("looking for near-duplicates", done, len(samples))
    return np.array(rows, np.uint64)


def _confirmed(
    copies: _Copies, near: NDArray[np.int64], policy: LikenessPolicy, *, progress: Progress
) -> Iterator[_Pair]:
    """Yield the candidates that show the same part."""
    for done, (first, second) in enumerate(near.tolist(), start=1):
        correlation, difference = compare(copies[first], copies[second])
        if correlation >= policy.correlation and difference <= policy.difference:
            yield _Pair(first, second, correlation, difference)
        if done % _STEP == 0 or done == len(near):
            progress("comparing near-duplicates", done, len(near))


def _groups(pairs: Iterable[tuple[int, int]], size: int) -> list[list[int]]:
    """Return the images that pairs hold together, over chains of them, group by group."""
    ends = np.array(list(pairs), np.int64).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
    labels = connected_components(graph, directed=False)[1]
    held: dict[int, list[int]] = {}
    for place in np.unique(ends).tolist():
        held.setdefault(int(labels[place]), []).append(place)
    return list(held.values())
