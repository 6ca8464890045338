"""Pixel masks: an image, a mask of the same stem, the class in the folder's name.

Boxes are the bounding boxes of the mask's parts (pixels that touch, corners included), in pixels from 0, right and
lower edge exclusive. The outline through the centres of a part's border pixels is its polygon; holes are not kept.
"""

import posixpath
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.geometry import Box
from wafergate.domain.samples import QuarantineReason, RawBox, RawSample, Reading
from wafergate.errors import SourceError
from wafergate.formats.header import ImageRefusedError
from wafergate.formats.layout import Layout, Problem, examples
from wafergate.formats.metadata import write_table
from wafergate.formats.options import ReadOptions
from wafergate.formats.pixels import decode_indices, decode_raw
from wafergate.formats.spooled import spooled
from wafergate.ports import Source
from wafergate.spool import Spool

__all__ = ["parts_of", "read", "write"]

Mask = NDArray[np.uint8]

_NO_CLASS = frozenset({"img", "imgs", "images"})
_SUFFIX = "_mask"


class _Pair(NamedTuple):
    image: str
    mask: str
    label: str


def _label_of(image: str) -> str:
    """Return the class: the innermost folder that is not called `Imgs` or `images`; empty where there is none."""
    folders = [folder for folder in image.split("/")[:-1] if folder.lower() not in _NO_CLASS]
    return folders[-1] if folders else ""


def _places(image: str) -> tuple[str, ...]:
    """Return where an image's mask may lie: `x.png` beside an `x` of another suffix, or `x_mask.png`."""
    stem, suffix = posixpath.splitext(image)
    own = f"{stem}{_SUFFIX}.png"
    return (own,) if suffix.lower() == ".png" else (f"{stem}.png", own)


class _Masks:
    """Finds the masks of images, whatever case they are written in; one that may be another's is never taken."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._owners = Spool((path.lower() for image in layout.images for path in _places(image)), key=str)

    def of(self, image: str) -> str | None:
        """Return an image's mask."""
        exact = next((path for path in _places(image) if path in self._layout.names), None)
        found = [] if exact else self.in_other_case(image)
        return found[0] if len(found) == 1 and self._owners.is_single(found[0].lower()) else exact

    def in_other_case(self, image: str) -> list[str]:
        """List the files that differ in case from where an image's mask may lie."""
        near = (name for path in _places(image) for name in self._layout.files_like(path))
        return [name for name in near if name not in {image, *_places(image)}]


def _pairs(layout: Layout, found: _Masks, problems: Spool[Problem]) -> Spool[_Pair]:
    """Return images with their masks, found by image; a mask that two images have is noted with the second."""
    pairs: Spool[_Pair] = Spool(key=attrgetter("image"))
    owners: Spool[tuple[str, str]] = Spool(key=itemgetter(0))
    for image in layout.images:
        mask = found.of(image)
        if mask is None:
            continue
        owner = owners.get(mask)
        if owner is None:
            owners.append((mask, image))
        elif not layout.is_released(image, QuarantineReason.DUPLICATE):
            problems.append((image, QuarantineReason.DUPLICATE, f"{owner[1]} has the same mask {mask}"))
            continue
        pairs.append(_Pair(image, mask, _label_of(image)))
    return pairs


def _normal(layout: Layout, found: _Masks, pairs: Spool[_Pair], problems: Spool[Problem]) -> Iterator[RawSample]:
    """Yield images without a mask that count as normal; note masks alone, and images that do not count so."""
    masks = Spool((pair.mask for pair in pairs), key=str)
    folders = {posixpath.dirname(pair.image) for pair in pairs if not pair.image.lower().endswith(".png")}
    for image in layout.images:
        if pairs.get(image) or image in masks or any(path in masks for path in _places(image)):
            continue
        stem, suffix = posixpath.splitext(image)
        other_case = found.in_other_case(image)
        if suffix.lower() == ".png" and (stem.lower().endswith(_SUFFIX) or posixpath.dirname(image) in folders):
            problems.append((image, QuarantineReason.LABEL_WITHOUT_IMAGE, "no image belongs to this mask"))
        elif layout.is_normal(image, sure=not other_case):
            yield RawSample(image)
        else:
            detail = f"it has no mask {stem}.png"
            more = f"; whether {' or '.join(other_case)} is it is open: write both names in the same case"
            problems.append((image, QuarantineReason.IMAGE_WITHOUT_LABEL, detail + (more if other_case else "")))


def _binary(pixels: NDArray[np.generic]) -> Mask:
    """Return 1 where a mask marks a defect.

    A mask that reaches the brightest value there is shows grey levels: above half of it is a defect, since its rims may
    be smoothed. Any other holds numbers of classes or defects; there every number but 0 is a defect.
    """
    grey = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    brightest = np.iinfo(np.uint8 if grey.dtype == np.uint8 else np.uint16).max
    limit = brightest / 2 if int(np.max(grey)) == brightest else 0
    return np.asarray(np.greater(grey, limit), dtype=np.uint8)


def _groups(mask: Mask, labels: NDArray[np.int32], stats: NDArray[np.int32], gap: int) -> NDArray[np.int64]:
    """Return for each part the group it belongs to, 0-based: parts with fewer than `gap` pixels between are one."""
    if gap < 2 or len(stats) < 3:
        return np.arange(len(stats) - 1)
    # Growing every part by a square of `gap` pixels makes those touch that have at most gap - 1 pixels between.
    grown = cv2.dilate(mask, np.ones((gap, gap), dtype=np.uint8))
    _, joined = cv2.connectedComponents(grown, connectivity=8)
    first = []
    for part, (left, top, width, *_) in enumerate(stats[1:], start=1):
        column = left + int(np.argmax(labels[top, left : left + width] == part))
        first.append(joined[top, column])
    _, groups = np.unique(first, return_inverse=True)
    return np.asarray(groups, dtype=np.int64)


def _outline(labels: NDArray[np.int32], part: int, stats: NDArray[np.int32]) -> tuple[tuple[float, float], ...]:
    left, top, width, height = (int(value) for value in stats[part, :4])
    piece = np.asarray(labels[top : top + height, left : left + width] == part, dtype=np.uint8)
    contours, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    points = contours[0].reshape(-1, 2)
    return tuple((float(x) + 0.5, float(y) + 0.5) for x, y in points) if len(points) > 2 else ()


def parts_of(mask: Mask, *, gap: int = 0, min_area: int = 1) -> list[tuple[Box, tuple[tuple[float, float], ...]]]:
    """Return box and outline of every defect in a mask, from top to bottom.

    Args:
        mask: `(h, w)`, 0 where there is no defect.
        gap: parts with fewer than this many pixels between them, counted along rows, columns and diagonals, are one
            defect (a broken edge falls into many crumbs); such a defect has no outline.
        min_area: defects of fewer pixels are left out, after joining.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return []
    groups = _groups(mask, labels, stats, gap)
    found = []
    for group in range(int(groups.max()) + 1):
        members = np.flatnonzero(groups == group) + 1
        left, top, width, height, area = stats[members].T
        if int(area.sum()) < min_area:
            continue
        box = Box(float(left.min()), float(top.min()), float((left + width).max()), float((top + height).max()))
        found.append((box, _outline(labels, int(members[0]), stats) if len(members) == 1 else ()))
    return sorted(found, key=lambda item: (item[0].y1, item[0].x1, item[0].as_tuple()))


def _sample(pair: _Pair, layout: Layout) -> RawSample:
    options = layout.options
    data = layout.source.read(pair.mask)
    header, pixels = decode_raw(data, max_pixels=options.max_pixels, name=pair.mask)
    numbered = header.kind == "PNG" and header.mode == "P"
    mask = np.asarray(np.greater(decode_indices(data), 0), np.uint8) if numbered else _binary(pixels)
    found = parts_of(mask, gap=options.mask_gap, min_area=options.mask_min_area)
    boxes = tuple(RawBox(pair.label, box, outline) for box, outline in found)
    return RawSample(pair.image, boxes, size=(pixels.shape[1], pixels.shape[0]))


def read(source: Source, options: ReadOptions) -> Reading:
    """Read images with masks: `x.jpg` with `x.png`, or `x.png` with `x_mask.png`, in folders named by class.

    A folder whose masks are all empty holds images without defect. In a folder that has defects, an image whose mask
    shows none contradicts itself and is a problem, as is one outside any class folder or whose mask cannot be read, and
    one without mask, unless the options say it is normal. A mask whose name differs in case is the image's where it can
    be no other's.

    Raises:
        SourceError: there is no image with a mask.
    """
    layout = Layout(source, options)
    layout.require_images("Masks")
    problems: Spool[Problem] = Spool()
    masks = _Masks(layout)
    pairs = _pairs(layout, masks, problems)
    if not pairs:
        found = examples(layout.images)
        message = f"Masks need pairs x.jpg and x.png, or x.png and x{_SUFFIX}.png; {source.title} holds {found}"
        raise SourceError(message)
    samples = spooled(_masked(layout, pairs, problems))
    return layout.reading(
        chain(_agreeing(layout, pairs, samples, problems), _normal(layout, masks, pairs, problems)), problems
    )


def _masked(layout: Layout, pairs: Spool[_Pair], problems: Spool[Problem]) -> Iterator[RawSample]:
    """Yield what the masks show; note those that cannot be read or lie in no class."""
    for pair in pairs:
        if not pair.label:
            detail = "it lies in no folder that names its class"
            problems.append((pair.image, QuarantineReason.UNREADABLE_LABEL, detail))
            continue
        try:
            yield _sample(pair, layout)
        except ImageRefusedError as error:
            problems.append((pair.image, QuarantineReason.UNREADABLE_LABEL, f"mask {pair.mask}: {error.detail}"))
        except SourceError as error:
            problems.append((pair.image, QuarantineReason.UNREADABLE_LABEL, str(error)))


def _agreeing(
    layout: Layout, pairs: Spool[_Pair], samples: Spool[RawSample], problems: Spool[Problem]
) -> Iterator[RawSample]:
    """Yield the samples that do not contradict their folder; note those that do."""
    defective = {_label_of(sample.name) for sample in samples if sample.boxes}
    for sample in samples:
        label = _label_of(sample.name)
        pair = pairs.get(sample.name)
        if sample.boxes or label not in defective or pair is None:
            yield sample
        else:
            detail = (
                f"its folder says {label}, its mask {pair.mask} shows no part of {layout.options.mask_min_area} pixels "
                "or more"
            )
            problems.append((sample.name, QuarantineReason.UNREADABLE_LABEL, detail))


def _draw(sample: RawSample) -> Mask:
    if sample.size is None:
        message = f"a mask has its image's size: {sample.name} needs width and height, found none"
        raise SourceError(message)
    mask = np.zeros((sample.size[1], sample.size[0]), dtype=np.uint8)
    for item in sample.boxes:
        if item.polygon:
            points = np.rint(np.asarray(item.polygon) - 0.5).astype(np.int32)
            cv2.fillPoly(mask, [points], 255)
        else:
            x1, y1, x2, y2 = (round(value) for value in item.box.as_tuple())
            mask[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = 255
    return mask


def _check_expressible(sample: RawSample, mask: Mask) -> None:
    label = _label_of(sample.name)
    others = sorted({item.label for item in sample.boxes} - {label})
    if others or not label:
        message = (
            f"masks take the class from the folder: {sample.name} lies in {label or 'none'}, its boxes are "
            f"{', '.join(others) or 'none'}; use COCO"
        )
        raise SourceError(message)
    drawn = sorted(box.as_tuple() for box, _ in parts_of(mask))
    if drawn != sorted(item.box.as_tuple() for item in sample.boxes):
        message = (
            f"the boxes of {sample.name} touch, overlap or are not whole pixels, so no mask can hold them; use COCO"
        )
        raise SourceError(message)


def write(samples: Sequence[RawSample]) -> dict[str, bytes]:
    """Write samples as masks, and `metadata.csv` where there is metadata; every mask is read back before it counts.

    Returns:
        File name to content; the images are expected under their own names beside it.

    Raises:
        SourceError: a mask cannot hold a sample's boxes: a label is not its folder, boxes touch or are no whole
            pixels, a size is missing, or a folder mixes images with and without defects.
    """
    labels = {_label_of(sample.name) for sample in samples if sample.boxes}
    mixed = [sample.name for sample in samples if not sample.boxes and _label_of(sample.name) in labels]
    if mixed:
        message = f"images without defect need a folder of their own, found {examples(mixed)} among defects"
        raise SourceError(message)
    files: dict[str, bytes] = {}
    for sample in samples:
        mask = _draw(sample)
        _check_expressible(sample, mask)
        stem, suffix = posixpath.splitext(sample.name)
        written, data = cv2.imencode(".png", mask)
        if not written:
            message = f"the mask of {sample.name} cannot be written as PNG"
            raise SourceError(message)
        files[f"{stem}{_SUFFIX}.png" if suffix.lower() == ".png" else f"{stem}.png"] = bytes(data)
    return {**files, **write_table(samples)}
