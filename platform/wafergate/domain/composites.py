"""Which defect may be pasted onto which image without defect, and where."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.augmentation import OperationKind
from wafergate.domain.geometry import Box
from wafergate.domain.operations import Operation
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.errors import AugmentError

__all__ = ["Backgrounds", "feather", "paste_window", "pasteable", "pasted_label"]

_LARGEST = 0.5  # of the image's sides: a larger defect is the image's own state, not something that lies on it


def feather(box: Box) -> int:
    """Return over how many pixels around a defect it fades into its new surroundings, 2..8."""
    return min(max(round(min(box.width, box.height) / 4), 2), 8)


def paste_window(label: LabelledBox, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the whole pixels of the donor, x1, y1, x2, y2, that pasting its defect looks at: the box and its rim."""
    margin, box = 2 * feather(label.box) + 2, label.box
    x1, y1 = max(math.floor(box.x1) - margin, 0), max(math.floor(box.y1) - margin, 0)
    return x1, y1, min(math.ceil(box.x2) + margin, width), min(math.ceil(box.y2) + margin, height)


def pasteable(donor: Sample, index: int) -> bool:
    """Tell whether a defect can be lifted off its image.

    It must lie inside the image (what the border cuts off is not known), be at most half as wide and high, and have
    no other defect in the window around it, which would come along unlabelled.
    """
    label = donor.boxes[index]
    box = label.box
    inside = box.x1 >= 1 and box.y1 >= 1 and box.x2 <= donor.width - 1 and box.y2 <= donor.height - 1
    small = 1 <= box.width <= _LARGEST * donor.width and 1 <= box.height <= _LARGEST * donor.height
    if not (inside and small):
        return False
    x1, y1, x2, y2 = paste_window(label, donor.width, donor.height)
    others = (other.box for place, other in enumerate(donor.boxes) if place != index)
    return not any(b.x1 < x2 and b.x2 > x1 and b.y1 < y2 and b.y2 > y1 for b in others)


def pasted_label(donor: Sample, operation: Operation) -> LabelledBox:
    """Return the donor's defect where a composite puts it, in the pixels of the background.

    Raises:
        AugmentError: the donor has no such box.
    """
    index, right, down = (int(number) for number in operation.numbers)
    if index >= len(donor.boxes):
        message = f"{operation} names box {index} of {donor.name}, which has {len(donor.boxes)}"
        raise AugmentError(message)
    label = donor.boxes[index]
    box = label.box
    moved = Box(box.x1 + right, box.y1 + down, box.x2 + right, box.y2 + down)
    return replace(label, box=moved, polygon=tuple((x + right, y + down) for x, y in label.polygon))


class Backgrounds:
    """The images without defect of a training side, by product, each used as little as its sisters."""

    def __init__(self, samples: Sequence[Sample], product_key: str, *, per_original: int) -> None:
        """Sort the normal images by product.

        Args:
            samples: the training side.
            product_key: metadata that names the product; empty when there is one product.
            per_original: how often one image may be used.

        Raises:
            AugmentError: no image has the metadata.
        """
        if product_key and samples and not any(sample.metadata.get(product_key) for sample in samples):
            message = (
                f"[augment] product_key needs the metadata {product_key!r}, which no image has; see [intake] pattern"
            )
            raise AugmentError(message)
        self._samples = [sample for sample in samples if not sample.boxes]
        self._key = product_key
        self._limit = per_original
        self._uses: NDArray[np.int64] = np.zeros(len(self._samples), dtype=np.int64)
        self._place = {sample.name: place for place, sample in enumerate(self._samples)}
        pools: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, sample in enumerate(self._samples):
            pools[self._pool(sample)].append(place)
        self._pools = {pool: np.asarray(places) for pool, places in pools.items()}

    def __len__(self) -> int:
        """Count the images without defect."""
        return len(self._samples)

    def _pool(self, sample: Sample) -> tuple[str, str]:
        """Return what an image shares with those its defects may be pasted onto.

        Under a golden reference the pattern matters: without a named product, only images of the very same reference
        have the same pattern for certain.
        """
        product = sample.metadata.get(self._key, "") if self._key else ""
        return product, "" if self._key else (sample.reference or "")

    def draw(self, donor: Sample, index: int, rng: np.random.Generator) -> tuple[Sample, Operation] | None:
        """Choose one of the least used images of the donor's product, and a place on it; None if there is none.

        With a golden reference the defect stays where it was, since the pattern below it is the same only there.
        """
        pool = self._pools.get(self._pool(donor))
        if pool is None or (self._key and not donor.metadata.get(self._key)):
            return None
        uses = self._uses[pool]
        if uses.min() >= self._limit:
            return None
        least = pool[uses == uses.min()]
        background = self._samples[int(least[rng.integers(len(least))])]
        offset = (0, 0) if donor.reference else _free_place(donor.boxes[index].box, background, rng)
        if offset is None or (donor.reference and (donor.width, donor.height) != (background.width, background.height)):
            return None
        return background, Operation(OperationKind.COMPOSITE, (index, *offset))

    def book(self, name: str) -> None:
        """Count a use of an image."""
        self._uses[self._place[name]] += 1


def _free_place(box: Box, background: Sample, rng: np.random.Generator) -> tuple[int, int] | None:
    """Draw how far to move a box so that it lies, with its faded rim, inside an image."""
    rim = feather(box)
    moves = []
    for low, high, side in ((box.x1, box.x2, background.width), (box.y1, box.y2, background.height)):
        first, last = math.ceil(rim - low), math.floor(side - rim - high)
        if first > last:
            return None
        moves.append(int(rng.integers(first, last + 1)))
    return moves[0], moves[1]
