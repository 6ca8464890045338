"""Measure one grey image: light, focus, noise, edges and a perceptual hash."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGE_STEP", "Measures", "measure", "perceptual_hash"]

EDGE_STEP = 40
"""Grey levels between the brightest and the darkest of 3 x 3 pixels past which their middle lies on an edge."""

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
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[1:9, 1:9].ravel()
    low[np.abs(low) < 1e-2] = 0  # rounding noise of the transform must not decide the bits of a uniform image
    middle = np.partition(low, (31, 32))[31:33].mean()
    return np.packbits(low > middle).tobytes().hex()


def _count_above(grey: NDArray[np.uint8], level: int) -> int:
    return int(cv2.countNonZero(cv2.threshold(grey, level, 1, cv2.THRESH_BINARY)[1]))


def _noise(grey: NDArray[np.uint8]) -> float:
    """Estimate the standard deviation of white noise (J. Immerkaer, 'Fast Noise Variance Estimation', 1996).

    The difference of two Laplacians hears neither plains nor straight edges, so what is left is noise; texture as
    fine as a pixel counts as noise too.
    """
    height, width = grey.shape
    if min(height, width) < 3:
        return 0.0
    response = cv2.sepFilter2D(grey, cv2.CV_16S, _SECOND_DIFFERENCE, _SECOND_DIFFERENCE)
    total = float(cv2.norm(response[1:-1, 1:-1], cv2.NORM_L1))
    return math.sqrt(math.pi / 2) * total / float(6 * (width - 2) * (height - 2))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (J. L. Pech-Pacheco et al., 'Diatom autofocusing', 2000, LAPV).

    With the border repeated the Laplacian's sum telescopes to 0, so its mean square is its variance. It is taken at
    full resolution, which sees a slight loss of focus best: a blur of 0.8 pixels lowers its logarithm by 2.5 times the
    spread (interquartile range) over the magnetic-tile images and by 2.8 times that over DeepPCB's; at half resolution
    by 1.1 and 0.9 times.
    """
    response = cv2.Laplacian(grey, cv2.CV_16S, borderType=cv2.BORDER_REPLICATE)
    return float(cv2.norm(response, cv2.NORM_L2SQR)) / grey.size


def _edge_density(grey: NDArray[np.uint8]) -> float:
    """Return the share of pixels whose morphological gradient passes `EDGE_STEP` (Rivest, Soille, Beucher, 1993)."""
    gradient = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, _CROSS)
    return _count_above(gradient, EDGE_STEP) / grey.size


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
    black = grey.size - cv2.countNonZero(grey)
    white = _count_above(grey, 254)
    return Measures(
        perceptual_hash=perceptual_hash(half),
        brightness=float(mean[0, 0]),
        contrast=float(deviation[0, 0]),
        sharpness=_sharpness(grey),
        noise=_noise(grey),
        saturation_share=(black + white) / grey.size,
        edge_density=_edge_density(half),
    )
