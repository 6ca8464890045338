"""Measure one grey image: light, focus, noise, edges and a perceptual hash."""

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGE_STEP", "Measures", "measure", "perceptual_hash"]

EDGE_STEP = 40
"""Grey levels between the brightest and the darkest of 3 x 3 pixels past which their middle lies on an edge."""

_STRIP = 1 << 17
"""Pixels that are worked on at a time where a step writes an image of its own, so that it stays in the core's cache."""

_SMALL = 1 << 18
"""Pixels up to which the Laplacian is filtered at once; beyond, summing over pairs of pixels is faster by a third."""

_SECOND_DIFFERENCE = np.array([1, -2, 1], dtype=np.float32)
_CROSS = np.ones((3, 3), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Measures:
    """What a grey image's pixels tell; units as in `ImageRecord`."""

    perceptual_hash: str
    brightness: float
    contrast: float
    sharpness: float
    noise: float
    saturation_share: float
    edge_density: float


def _halve(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = grey.shape[0] // 2, grey.shape[1] // 2
    even = grey[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


@functools.lru_cache(maxsize=1024)
def _lowest_frequencies(side: int) -> NDArray[np.float32]:
    """Return the matrix `(8, side)` that averages a side down to 32 and takes its cosine frequencies 1 to 8.

    Averaging by area and the orthonormal cosine transform (type II) are both linear, so one product does both.
    """
    ends = np.linspace(0, side, 33)[:, None]
    passed = np.clip(ends - np.arange(side), 0, 1)  # how much of each pixel lies before each end
    shares = np.diff(passed, axis=0) * (32 / side)
    cosine = np.cos(np.pi / 32 * np.arange(1, 9)[:, None] * (np.arange(32) + 0.5)) * math.sqrt(2 / 32)
    return np.asarray(cosine @ shares, dtype=np.float32)


def perceptual_hash(grey: NDArray[np.uint8]) -> str:
    """Return a 64-bit hash that hardly changes with size, compression and brightness, as 16 hexadecimal digits.

    The image is averaged down to 32 x 32, transformed by the cosine transform, and each of the 8 x 8 lowest
    frequencies past the constant row and column gives one bit: whether it lies above their median (C. Zauner,
    'Implementation and Benchmarking of Perceptual Image Hash Functions', 2010, section 3.2.1, as in pHash). Near
    images differ in few bits; an image of one grey level hashes to zeros.

    Args:
        grey: `(h, w)`.
    """
    while min(grey.shape) >= 128:  # averaging 2 x 2 first costs a third of one fractional step
        grey = _halve(grey)
    down, across = (_lowest_frequencies(side) for side in grey.shape)
    low = (down @ grey.astype(np.float32) @ across.T).ravel()
    low[np.abs(low) < 1e-2] = 0  # rounding noise of the transform must not decide the bits of a uniform image
    ordered = np.sort(low)
    return np.packbits(low > (ordered[31] + ordered[32]) / 2).tobytes().hex()


def _saturated(grey: NDArray[np.uint8]) -> int:
    """Count pixels at exactly 0 or 255."""
    height, width = grey.shape
    rows = min(max(_STRIP // width, 1), height)
    scratch, inner = np.empty((rows, width), dtype=np.uint8), cv2.countNonZero(grey)
    for top in range(0, height, rows):
        strip = grey[top : top + rows]
        inner += cv2.countNonZero(np.invert(strip, out=scratch[: len(strip)]))
    return 2 * grey.size - inner


def _noise(grey: NDArray[np.uint8]) -> float:
    """Estimate the standard deviation of white noise (J. Immerkaer, 'Fast Noise Variance Estimation', 1996).

    The difference of two Laplacians hears neither plains nor straight edges, so what is left is noise; texture as
    fine as a pixel counts as noise too.
    """
    height, width = grey.shape
    if min(height, width) < 3:
        return 0.0
    rows = min(max(_STRIP // width, 1), height - 2)
    scratch, total = np.empty((rows + 2, width), dtype=np.int16), 0.0
    for top in range(0, height - 2, rows):
        strip = grey[top : top + rows + 2]  # strips share two rows: what the filter makes of its border does not count
        response = cv2.sepFilter2D(strip, cv2.CV_16S, _SECOND_DIFFERENCE, _SECOND_DIFFERENCE, scratch[: len(strip)])
        total += cv2.norm(response[1:-1, 1:-1], cv2.NORM_L1)
    return math.sqrt(math.pi / 2) * total / float(6 * (width - 2) * (height - 2))


def _squares(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the sum of squared differences; 0 of nothing."""
    return float(cv2.norm(one, other, cv2.NORM_L2SQR)) if one.size else 0.0


def _around(grey: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """Return four full rows and columns `depth` pixels inside the border (or the farthest there are), clockwise."""
    height, width = grey.shape
    top, left = min(depth, height - 1), min(depth, width - 1)
    bottom, right = height - 1 - top, width - 1 - left
    return np.concatenate((grey[top], grey[:, right], grey[bottom, ::-1], grey[::-1, left]))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (J. L. Pech-Pacheco et al., 'Diatom autofocusing', 2000, LAPV).

    With the border repeated the Laplacian's sum telescopes to 0, so its mean square is its variance. It is taken at
    full resolution, which sees a slight loss of focus best: a blur of 0.8 pixels lowers its logarithm by 2.5 times the
    spread (interquartile range) over the magnetic-tile images and by 2.8 times that over DeepPCB's; at half resolution
    by 1.1 and 0.9 times.

    Either way to the sum of squares is exact. The filter is two calls; the pairs are many, each short, which costs
    threads that share the interpreter's lock more than it saves while an image is small.
    """
    if grey.size > _SMALL:
        return _laplacian_by_pairs(grey) / grey.size
    scratch = np.empty(grey.shape, dtype=np.int16)
    response = cv2.Laplacian(grey, cv2.CV_16S, scratch, 1, borderType=cv2.BORDER_REPLICATE)
    return round(cv2.norm(response, cv2.NORM_L2SQR)) / grey.size  # a sum of squares of integers, up to rounding


def _laplacian_by_pairs(grey: NDArray[np.uint8]) -> int:
    """Return the Laplacian's sum of squares without a second image in memory.

    The weights c of the Laplacian sum to 0, so its square is the sum of -c_i c_j (g_i - g_j)^2 over the pairs of its
    five pixels: 4 for the middle and a neighbour, -1 for two neighbours. Summed over the image most pairs meet twice,
    and differences of two shifted views are enough.
    """
    rim = _around(grey, 0)
    adjacent = _squares(grey[1:], grey[:-1]) + _squares(grey[:, 1:], grey[:, :-1])
    diagonal = _squares(grey[1:, 1:], grey[:-1, :-1]) + _squares(grey[1:, :-1], grey[:-1, 1:])
    diagonal += _squares(rim[1:], rim[:-1])  # past the border a diagonal pair becomes two neighbours along the rim
    opposite = _squares(grey[2:], grey[:-2]) + _squares(grey[:, 2:], grey[:, :-2])
    opposite += _squares(rim, _around(grey, 1))  # and an opposite pair becomes a rim pixel and the one inside of it
    return round(8 * adjacent - 2 * diagonal - opposite)


def _edge_density(grey: NDArray[np.uint8]) -> float:
    """Return the share of pixels whose morphological gradient passes `EDGE_STEP` (Rivest, Soille, Beucher, 1993)."""
    gradient = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, _CROSS, np.empty_like(grey))
    return cv2.countNonZero(cv2.threshold(gradient, EDGE_STEP, 1, cv2.THRESH_BINARY, gradient)[1]) / grey.size


def measure(grey: NDArray[np.uint8]) -> Measures:
    """Measure an image.

    Sharpness and noise live in neighbouring pixels and are taken at full resolution, as is the light. Edges are taken
    at half of it where both sides have 128 pixels or more: an edge is wider than a pixel, and the averaging keeps
    noise from counting as one. The hash averages down to 32 x 32 in any case.

    Args:
        grey: `(h, w)` grey levels 0..255, at least one pixel.

    Returns:
        Brightness and contrast are mean and standard deviation of the grey level; the saturation share counts
        pixels at exactly 0 or 255, so a binarised image has 1.
    """
    half = _halve(grey) if min(grey.shape) >= 128 else grey
    mean, deviation = cv2.meanStdDev(grey)
    return Measures(
        perceptual_hash=perceptual_hash(half),
        brightness=float(mean[0, 0]),
        contrast=float(deviation[0, 0]),
        sharpness=_sharpness(grey),
        noise=_noise(grey),
        saturation_share=_saturated(grey) / grey.size,
        edge_density=_edge_density(half),
    )
