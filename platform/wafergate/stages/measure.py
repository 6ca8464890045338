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


def _noise(total: int, width: int, height: int) -> float:
    """Estimate the standard deviation of white noise (J. Immerkaer, 'Fast Noise Variance Estimation', 1996).

    The difference of two Laplacians hears neither plains nor straight edges, so what is left is noise; texture as
    fine as a pixel counts as noise too.

    Args:
        total: `PixelSums.noise`.
        width: of the image.
        height: of the image.
    """
    inner = (width - 2) * (height - 2) if min(width, height) > 2 else 0
    return math.sqrt(math.pi / 2) * total / (6 * inner) if inner else 0.0


def _edge_density(grey: NDArray[np.uint8]) -> float:
    """Return the share of pixels whose morphological gradient passes `EDGE_STEP` (Rivest, Soille, Beucher, 1993)."""
    gradient = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, _CROSS, np.empty_like(grey))
    return cv2.countNonZero(cv2.threshold(gradient, EDGE_STEP, 1, cv2.THRESH_BINARY, gradient)[1]) / grey.size


def measure(grey: NDArray[np.uint8]) -> Measures:
    """Measure an image.

    Sharpness and noise live in neighbouring pixels and are taken at full resolution, as is the light. Edges are taken
    at half of it where both sides have 128 pixels or more: an edge is wider than a pixel, and the averaging keeps
    noise from counting as one. The hash averages down to 32 x 32 in any case.

    Sharpness is the variance of the Laplacian (J. L. Pech-Pacheco et al., 'Diatom autofocusing', 2000, LAPV). With the
    border repeated the Laplacian's sum telescopes to 0, so its mean square is its variance. Full resolution sees a
    slight loss of focus best: a blur of 0.8 pixels lowers its logarithm by 2.5 times the spread (interquartile range)
    over the magnetic-tile images and by 2.8 times that over DeepPCB's; at half resolution by 1.1 and 0.9 times.

    Args:
        grey: `(h, w)` grey levels 0..255, at least one pixel.

    Returns:
        Brightness and contrast are mean and standard deviation of the grey level; the saturation share counts
        pixels at exactly 0 or 255, so a binarised image has 1.
    """
    from wafergate.domain.pixel_sums import sum_pixels  # brings a compiler with it, which takes a moment to start

    grey = np.ascontiguousarray(grey)
    half = _halve(grey) if min(grey.shape) >= 128 else grey
    sums, pixels = sum_pixels(grey), grey.size
    return Measures(
        perceptual_hash=perceptual_hash(half),
        brightness=sums.levels / pixels,
        contrast=math.sqrt(sums.squares * pixels - sums.levels**2) / pixels,
        sharpness=sums.laplacian / pixels,
        noise=_noise(sums.noise, grey.shape[1], grey.shape[0]),
        saturation_share=sums.saturated / pixels,
        edge_density=_edge_density(half),
    )
