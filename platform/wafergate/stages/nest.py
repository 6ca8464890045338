"""Choose class-even subsets of a training side, each inside the next, for a learning curve."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from wafergate.domain.samples import Sample

__all__ = ["nested_subsets"]


def nested_subsets(
    samples: Sequence[Sample], classes: Sequence[str], sizes: Sequence[int], *, seed: int
) -> list[tuple[Sample, ...]]:
    """Return a subset for each size in which every class is shown by at least so many images, or by all there are.

    Images come in one random order. While a class falls short, the one that falls shortest takes its next image; an
    image that shows several classes counts for each. Images without defect follow in the share in which defective ones
    were taken. A subset holds all of the smaller ones, so that the curve shows what more images bring and not what
    other images bring.

    Args:
        samples: the images that may be taught, at least one.
        classes: defect classes.
        sizes: images a class, ascending, at least 1 each.
        seed: of the order.

    Returns:
        Subsets in the order of the sizes, their samples in the order of `samples`; one equals the last where no class
        has more images.
    """
    order = np.random.default_rng(seed).permutation(len(samples)).tolist()
    shown = [frozenset(sample.classes) for sample in samples]
    waiting = {name: [at for at in reversed(order) if name in shown[at]] for name in classes}
    normal = [at for at in order if not shown[at]]
    defective = len(samples) - len(normal)
    taken: set[int] = set()
    held: Counter[str] = Counter()
    subsets = []
    for size in sizes:
        while short := [name for name in classes if held[name] < size and waiting[name]]:
            at = waiting[min(short, key=lambda name: held[name])].pop()
            if at not in taken:
                taken.add(at)
                held.update(shown[at])
        share = len(taken) / defective if defective else 1.0
        chosen = taken.union(normal[: round(share * len(normal))])
        subsets.append(tuple(sample for at, sample in enumerate(samples) if at in chosen))
    return subsets
