"""Find 64-bit codes that differ in few bits, exactly and without comparing all with all."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_RADIUS", "close_pairs"]

Codes = NDArray[np.uint64]
Pairs = NDArray[np.int64]

MAX_RADIUS = 6
"""So many differing bits leave two of a code's eight bytes untouched, whichever bits they are."""

_CHUNK = 1 << 19  # pairs looked at together: some 30 MiB of arrays, whatever the number of codes


def close_pairs(codes: Codes, others: Codes | None = None, *, radius: int = MAX_RADIUS) -> Iterator[Pairs]:
    """Yield every pair of codes at most `radius` bits apart, each pair once, in chunks.

    Multi-index hashing (M. Norouzi, A. Punjani, D. J. Fleet, 'Fast Exact Search in Hamming Space with Multi-Index
    Hashing', 2014) with pairs of bytes as keys: codes at most 6 bits apart agree in at least two of their eight bytes,
    so they meet in at least one of the 28 tables that are keyed by two bytes; a pair that meets in several is told
    where its first two equal bytes are the key. Memory beside the codes does not depend on how many pairs there are.

    Args:
        codes: `(n,)`.
        others: `(m,)` to compare `codes` with; None compares them among themselves.
        radius: 0 to `MAX_RADIUS` bits.

    Yields:
        `(k, 2)` indices, into `codes` and into `others`; among themselves the first is the smaller.

    Raises:
        ValueError: the radius is out of range.
    """
    if not 0 <= radius <= MAX_RADIUS:
        message = f"a radius must be 0 to {MAX_RADIUS} bits, found {radius}"
        raise ValueError(message)
    first = np.ascontiguousarray(codes, np.uint64)
    second = first if others is None else np.ascontiguousarray(others, np.uint64)
    for table in combinations(range(8), 2):
        for left, right in _meeting(_keys(first, table), _keys(second, table)):
            differing = first[left] ^ second[right]
            near = np.bitwise_count(differing) <= radius
            if others is None:
                near &= left < right
            near[near] = _first_meeting(differing[near], table)
            if near.any():
                yield np.stack((left[near], right[near]), axis=1)


def _keys(codes: Codes, table: tuple[int, int]) -> NDArray[np.uint16]:
    columns = codes.view(np.uint8).reshape(-1, 8)
    keys = columns[:, table[0]].astype(np.uint16) << np.uint16(8) | columns[:, table[1]]
    return np.asarray(keys, np.uint16)


def _meeting(first: NDArray[np.uint16], second: NDArray[np.uint16]) -> Iterator[tuple[Pairs, Pairs]]:
    """Yield the indices of equal keys, `_CHUNK` pairs or one key's partners at a time."""
    order, asking = np.argsort(first, kind="stable"), np.argsort(second, kind="stable")
    begins = np.concatenate(([0], np.cumsum(np.bincount(first, minlength=1 << 16))))
    keys = second[asking].astype(np.int64)
    sizes = begins[keys + 1] - begins[keys]
    ends = np.cumsum(sizes)
    at = 0
    while at < len(asking):
        done = ends[at - 1] if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        length = sizes[at:stop]
        inside = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        yield order[np.repeat(begins[keys[at:stop]], length) + inside], np.repeat(asking[at:stop], length)
        at = stop


def _first_meeting(differing: Codes, table: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell whether no table before this one holds the pair: its first two equal bytes are this table's."""
    same = differing.view(np.uint8).reshape(-1, 8) == 0
    return np.asarray(same[:, : table[1]].sum(axis=1) == 1)
