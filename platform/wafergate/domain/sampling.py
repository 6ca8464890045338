"""A random audit of inspected images: which images it draws, with what chance, and how runs are put together.

Every image of a run has the same chance of being drawn, known beforehand and untouched by what is on it, so that
proportions over the drawn images estimate those over all of them without bias. The random numbers are made of the run's
id and the image's place alone (permanent random numbers; E. Ohlsson, 'Coordination of samples using permanent random
numbers', in 'Business Survey Methods', 1995), so that a draw repeats, and the first images of a draw are the draw of a
smaller share.
"""

import hashlib
import math
from collections.abc import Iterable

__all__ = ["audit_count", "audit_order", "common_share"]

_DIGITS = 13  # 52 bits: what a float between 0 and 1 holds
_WHOLE = 16.0**13


def audit_count(run_id: str, images: int, share: float) -> int:
    """Return how many images of a run are drawn: `images * share`, rounded up or down at random.

    Rounded so that the expected number is exactly `images * share`: with the draw of `audit_order` each image's chance
    is then `share`, however small the run is. A smaller share never draws more.

    Args:
        run_id: seeds the rounding.
        images: of the run.
        share: chance of each image, 0..1.

    Example:
        >>> [audit_count("inspection-7", 1000, share) for share in (0.0, 0.02, 1.0)]
        [0, 20, 1000]
    """
    return min(images, math.floor(images * share + _uniform(run_id)))


def audit_order(run_id: str, images: int) -> list[int]:
    """Return the places 0..images - 1 of a run in the random order in which they are drawn."""
    return sorted(range(images), key=lambda place: (_uniform(f"{run_id} {place}"), place))


def common_share(runs: Iterable[tuple[int, float]]) -> float:
    """Return the share at which runs that were drawn at several shares are put together; 0 where none was drawn.

    Runs drawn at a smaller share are left out and of the others only the first images count, as many as that share
    draws: then every image of the runs left has the same chance again, and exact bounds hold. Of the shares that of
    the most audited images is taken. The choice looks at sizes and shares alone, never at an image, so that it favours
    no result.

    Args:
        runs: images and share of every run.

    Example:
        >>> common_share([(2000, 0.02), (10000, 0.001)])
        0.02
    """
    drawn = [(images, share) for images, share in runs if images and share > 0]

    def kept(least: float) -> tuple[float, float]:
        return least * sum(images for images, share in drawn if share >= least), -least

    return max((share for _, share in drawn), key=kept, default=0.0)


def _uniform(seed: str) -> float:
    """Return a number from 0 up to 1 that depends on the seed alone, the same on every machine."""
    return int(hashlib.sha256(seed.encode()).hexdigest()[:_DIGITS], 16) / _WHOLE
