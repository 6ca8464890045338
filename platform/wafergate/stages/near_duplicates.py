"""Tell whether two images show the same part: candidates by perceptual hash, then a check on the pixels."""

import functools
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.codes import close_pairs
from wafergate.domain.near_duplicates import LikenessPolicy
from wafergate.domain.subpixel import peak

__all__ = ["COPY_SIDE", "candidates", "codes_of", "compare", "shrink", "without_look_alikes"]

Copy = NDArray[np.uint8]
Pairs = NDArray[np.int64]

COPY_SIDE = 128
"""Side of the square grey copies that are compared, pixels."""

_SHIFTS = (-6, -4, -2, 0, 2, 4, 6)  # pixels of the copy; the hash itself forgives about one
_BRIGHTEST = (95, 85, 70, 50)  # percentiles: a longer exposure saturates what lies above
_REACH = 8  # pixels of the copy that registration looks to every side
_FINE, _COARSE = 1.2, 6.0  # detail between these blurs is compared: neither noise nor light
_LOCAL = 4.0  # blur over which a difference counts as local
_SATURATED = 245  # grey levels
_UNEVEN = 0.001  # share of the copy that may saturate in one and not in the other
_LEAST_DETAIL = 0.25  # grey levels; an 8-bit copy of less detail shows its own rounding

_LEAST_SPREAD = 0.01  # share of the copy that detail lies on: a lone spot on a plain can be laid over any other


def shrink(pixels: NDArray[np.uint8]) -> Copy:
    """Return the small grey copy of an image, `(COPY_SIDE, COPY_SIDE)`.

    Args:
        pixels: `(h, w)`, or `(h, w, 3)` BGR.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
    # Down first and up second: where one side grows, OpenCV averages over neither, and the other shows aliases.
    down = (min(grey.shape[1], COPY_SIDE), min(grey.shape[0], COPY_SIDE))
    averaged = cv2.resize(grey, down, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(averaged, (COPY_SIDE, COPY_SIDE), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


@functools.cache
def _transforms() -> NDArray[np.float32]:
    """Return per shift the matrix `(8, COPY_SIDE)` that shifts, averages to 32 and takes 8 cosine frequencies."""
    side = 32
    frequencies, places = np.arange(1, 9)[:, None], (np.arange(side) + 0.5)[None]
    cosine = np.repeat(np.cos(np.pi * frequencies * places / side), COPY_SIDE // side, axis=1)
    made = np.zeros((len(_SHIFTS), 8, COPY_SIDE), np.float32)
    for matrix, shift in zip(made, _SHIFTS, strict=True):
        for place in range(COPY_SIDE):
            matrix[:, min(max(place + shift, 0), COPY_SIDE - 1)] += cosine[:, place]
    return made


def _hashes(frequencies: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return one code per row of 64: which of them lie above their median."""
    above = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.asarray(np.packbits(above, axis=1).view(np.uint64)[:, 0])


def codes_of(copy: Copy) -> NDArray[np.uint64]:
    """Return the perceptual hash of a copy, then those it would have when shifted or exposed longer.

    The hash is that of `stages.measure`. It turns over where an image moves: of the magnetic tiles moved by 5 pixels
    48 % stay within 6 bits. Shifting and the cosine transform are both linear, so one product of matrices hashes every
    shift; half of them do, because a pair is met from either of its images. A long exposure is what saturates, so the
    copy is also hashed with its brightest parts cut off.

    Returns:
        `(29,)`: the hash, 24 shifts, 4 exposures.
    """
    grey, made = copy.astype(np.float32), _transforms()
    frequencies = np.einsum("sik,tlk->stil", made @ grey, made, optimize=True).reshape(-1, 64)
    middle = len(frequencies) // 2
    plain = made[len(_SHIFTS) // 2]
    exposed = [plain @ np.minimum(grey, level) @ plain.T for level in np.percentile(grey, _BRIGHTEST)]
    return _hashes(np.concatenate((frequencies[middle:], np.reshape(exposed, (-1, 64)).astype(np.float32))))


def candidates(codes: NDArray[np.uint64], policy: LikenessPolicy) -> Pairs:
    """Return the pairs of images that are worth a look at their pixels.

    Args:
        codes: `(n, k)`, a row of `codes_of` for each image.
        policy: the radius; an image keeps its nearest `2 * max_views` partners, for one that is near to more shows
            what all of its product show.

    Returns:
        `(m, 2)` indices, the smaller first, sorted, each pair once.
    """
    images, probes = codes.shape
    found: list[Pairs] = []
    for probe in range(probes):
        for chunk in close_pairs(codes[:, 0], codes[:, probe], radius=policy.radius):
            apart = chunk[chunk[:, 0] != chunk[:, 1]]
            bits = np.bitwise_count(codes[apart[:, 0], 0] ^ codes[apart[:, 1], probe]).astype(np.int64)
            found.append(np.column_stack((np.sort(apart, axis=1), bits)))
            if sum(map(len, found)) > 8 * images * policy.max_views:
                found = [_nearest(np.concatenate(found), 2 * policy.max_views)]
    return _nearest(np.concatenate(found), 2 * policy.max_views)[:, :2] if found else np.zeros((0, 2), np.int64)


def _nearest(pairs: Pairs, partners: int) -> Pairs:
    """Keep each pair once with its fewest bits, and of those the ones among either image's nearest partners."""
    pairs = pairs[np.lexsort((pairs[:, 2], pairs[:, 1], pairs[:, 0]))]
    fresh = np.ones(len(pairs), bool)
    fresh[1:] = (pairs[1:, :2] != pairs[:-1, :2]).any(axis=1)
    pairs = pairs[fresh]
    owner, partner, bits = np.concatenate((pairs, pairs[:, [1, 0, 2]])).T
    order = np.lexsort((partner, bits, owner))
    rank = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
    kept = np.zeros(len(pairs), bool)
    kept[order[rank < partners] % len(pairs)] = True
    return pairs[kept]


def _equally_saturated(first: Copy, second: Copy) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut off the brightest part of the copy that saturates less, so that both saturate over the same area."""
    one, other = first.astype(np.float32), second.astype(np.float32)
    below, below_other = float((one < _SATURATED).mean()), float((other < _SATURATED).mean())
    if below_other < below - _UNEVEN:
        one, other = np.minimum(one, np.float32(np.quantile(one, below_other))), np.minimum(other, _SATURATED)
    elif below < below_other - _UNEVEN:
        one, other = np.minimum(one, _SATURATED), np.minimum(other, np.float32(np.quantile(other, below)))
    return one, other


def _detail(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (_FINE, _COARSE))
    return np.asarray(fine - coarse, dtype=np.float32)


def compare(first: Copy, second: Copy) -> tuple[float, float]:
    """Return correlation and largest local difference of two copies, registered, whatever their exposure.

    Detail (a band between two Gaussian blurs) of the middle of one copy is looked for in the other, up to `_REACH`
    pixels away and between pixels, and both are brought to mean 0 and variance 1: gain and offset fall away. The
    difference is that of the two, squared and averaged over a spot, over 1 plus the detail that the spot itself shows:
    two boards of one pattern correlate by 0.92 to 0.99 and differ in a spot, where one of them has its defect.

    Measured with the defaults of `LikenessPolicy` on both real sets, hash included, on images that nothing was chosen
    on. They were planted again under gain 0.7 and 1.3, gamma 0.7 and 1.4, JPEG at quality 50, half and 1.25 times the
    size, and shifts of 1 to 5 pixels: of 84 DeepPCB boards all 1,008 are found, of 178 magnetic tiles 2,109 of 2,136
    (98.7 %). What is missed there are shifts of 4 and 5 pixels and saturating exposures that turn the hash over (14),
    exposures that bend the detail (9), and halves of images 113 to 128 pixels wide (4). Of 150 candidate pairs of
    DeepPCB boards none is joined, the closest differing by 0.136, and all show the same pattern with other defects:
    boards that share a golden reference are different parts. Among the tiles 579 of 2,038 candidate pairs are joined.

    Returns:
        Correlation -1..1 and difference 0 and more; 0 and infinity where one shows no detail to judge by.
    """
    one, other = (_detail(grey) for grey in _equally_saturated(first, second))
    margin = _REACH + 2
    middle, around = slice(margin, COPY_SIDE - margin), slice(margin - _REACH, COPY_SIDE - margin + _REACH)
    scores = np.asarray(cv2.matchTemplate(other[around, around], one[middle, middle], cv2.TM_CCOEFF_NORMED))
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    down, right = peak(scores[:, column], int(row)) - _REACH, peak(scores[row], int(column)) - _REACH
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(other, move, (COPY_SIDE, COPY_SIDE), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    a, b = one[middle, middle], np.asarray(moved, np.float32)[middle, middle]
    if min(a.std(), b.std()) < _LEAST_DETAIL:
        return 0.0, float("inf")
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    if max(float((a**4).mean()), float((b**4).mean())) > 1 / _LEAST_SPREAD:
        return 0.0, float("inf")
    apart, shown = (cv2.GaussianBlur(power, (0, 0), _LOCAL) for power in ((a - b) ** 2, (a**2 + b**2) / 2))
    return float((a * b).mean()), float((apart / (1 + shown)).max())


def without_look_alikes(pairs: Sequence[tuple[int, int]], max_views: int) -> tuple[list[tuple[int, int]], set[int]]:
    """Leave out the images that are alike to more than `max_views - 1` others; return the rest, and those images."""
    partners: dict[int, int] = {}
    for image in _ends(pairs):
        partners[image] = partners.get(image, 0) + 1
    crowded = {image for image, count in partners.items() if count >= max_views}
    return [pair for pair in pairs if not crowded.intersection(pair)], crowded


def _ends(pairs: Iterable[tuple[int, int]]) -> Iterable[int]:
    return (image for pair in pairs for image in pair)
