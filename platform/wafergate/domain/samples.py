"""Images, their boxes, and the dataset versions that hold them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from wafergate.domain.geometry import Box

__all__ = [
    "BoxPolicy",
    "ClassCount",
    "DatasetVersion",
    "ImageRecord",
    "LabelledBox",
    "Part",
    "QuarantineReason",
    "Quarantined",
    "RawBox",
    "RawSample",
    "Reading",
    "Sample",
    "count_classes",
]

Metadata = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RawBox:
    """A box under the label its author gave it; `polygon` keeps the outline where one was drawn (pixels)."""

    label: str
    box: Box
    polygon: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RawSample:
    """One image as a reader found it; names are paths in the source, with `/`.

    Attributes:
        name: the image file.
        boxes: what is drawn on it; empty for an image without defect, which is a sample like any other.
        reference: the golden reference of the same pattern, where there is one.
        size: width and height the label file claims, pixels, where it does.
        metadata: lot, wafer, die, station, captured_at and whatever else the source tells.
        has_row: false where the source has a readable metadata table and none of its rows names the image.
    """

    name: str
    boxes: tuple[RawBox, ...] = ()
    reference: str | None = None
    size: tuple[int, int] | None = None
    metadata: Metadata = field(default_factory=dict)
    has_row: bool = field(default=True, compare=False)


class QuarantineReason(StrEnum):
    """Why something was set aside; the values are stored and shown."""

    UNREADABLE_IMAGE = "unreadable_image"
    WRONG_SUFFIX = "wrong_suffix"
    MISSING_IMAGE = "missing_image"
    UNREADABLE_LABEL = "unreadable_label"
    LABEL_WITHOUT_IMAGE = "label_without_image"
    IMAGE_WITHOUT_LABEL = "image_without_label"
    SIZE_MISMATCH = "size_mismatch"
    REFERENCE_MISMATCH = "reference_mismatch"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    UNSAFE_PATH = "unsafe_path"
    DUPLICATE = "duplicate"
    DUPLICATE_LABEL = "duplicate_label"
    OUTLINE_NOT_KEPT = "outline_not_kept"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Something that did not enter, and why; the run goes on.

    Attributes:
        id: from line, path and reason, so that a rerun does not list it twice.
        line: the production line.
        path: where it lay in the source.
        reason: the code.
        detail: one sentence for a person.
        digest: the file in S3, where its bytes could be read.
        created_at: when it was set aside.
    """

    id: str
    line: str
    path: str
    reason: QuarantineReason
    detail: str
    digest: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader found: samples in the order of their names, and problems as (path, reason, detail)."""

    samples: Collection[RawSample]
    problems: Collection[tuple[str, QuarantineReason, str]] = ()


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What one decode told about an image file, keyed by the SHA-256 of its bytes.

    Attributes:
        id: SHA-256, 64 hexadecimal digits; the file's address in S3.
        width: pixels.
        height: pixels.
        mode: `L`, `RGB`, `RGBA`, `I;16` … as Pillow names it.
        bit_depth: bits per channel.
        bytes: file size.
        perceptual_hash: 64-bit difference-free hash, as 16 hexadecimal digits.
        brightness: mean grey level, 0..255.
        contrast: standard deviation of the grey level, 0..128.
        sharpness: variance of the Laplacian.
        noise: estimated standard deviation of the noise, grey levels.
        saturation_share: share of pixels at 0 or 255, 0..1.
        edge_density: share of pixels on an edge, 0..1.
        created_at: when it was first seen.
    """

    id: str
    width: int
    height: int
    mode: str
    bit_depth: int
    bytes: int
    perceptual_hash: str
    brightness: float
    contrast: float
    sharpness: float
    noise: float
    saturation_share: float
    edge_density: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box with the label it was drawn under and the defect class that label stands for."""

    raw_label: str
    defect_class: str
    box: Box
    polygon: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Where a tile was cut from: lineage to an original that is itself no tile.

    Attributes:
        name: of the original sample.
        image: SHA-256 of the original's file.
        region: the pixels of the original that the tile shows; whole numbers.
    """

    name: str
    image: str
    region: Box


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset version.

    Attributes:
        dataset_id: the version it belongs to.
        position: 0-based place in the version.
        name: path in the source; unique in the version.
        image: SHA-256 of the image file.
        reference: SHA-256 of the golden reference, where there is one.
        width: pixels.
        height: pixels.
        boxes: the defects; empty for an image without defect.
        metadata: lot, wafer, die, station, captured_at …
        part: what it was cut from; None for an image as it came.
    """

    dataset_id: str
    position: int
    name: str
    image: str
    reference: str | None
    width: int
    height: int
    boxes: tuple[LabelledBox, ...]
    metadata: Metadata
    part: Part | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The defect class of every box, in order."""
        return tuple(item.defect_class for item in self.boxes)


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable set of labelled images of one line.

    Attributes:
        id: from the content alone, so that the same images and labels are the same version.
        line: the production line.
        number: 1, 2, 3 … in the order of arrival.
        source: where it was read from.
        format: the reader.
        images: how many images it holds.
        normal_images: how many of them show no defect.
        instances: boxes per defect class, every class of the line named.
        image_counts: images per defect class.
        quarantined: how many files of the source did not enter.
        taxonomy_signed: whether the customer agreed to the mapping in use.
        licence: SPDX identifier of the data.
        created_at: when it became visible.
        parent: the version whose labels a person corrected to make this one; None where it came about otherwise.
    """

    id: str
    line: str
    number: int
    source: str
    format: str
    images: int
    normal_images: int
    instances: Mapping[str, int]
    image_counts: Mapping[str, int]
    quarantined: int
    taxonomy_signed: bool
    licence: str
    created_at: datetime
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class BoxPolicy:
    """Past which limits a box is grossly wrong (rule M4); nothing here ever moves one.

    Attributes:
        min_side: shortest side, pixels.
        max_aspect: longer side over shorter.
        whole_image: share of the image's area from which a box is suspected to mean the image.
        duplicate_iou: overlap from which two boxes of one class are the same box drawn twice.
        outside_px: how far a box may lie outside its image before that is an error, pixels.
        size_score: robust standard deviations of its class's log areas past which a box is far outside its class's
            sizes; at 6 that are 5 of DeepPCB's 6,873 boxes and none of the magnetic tiles' 336.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    min_side: Annotated[float, Ge(0)] = 2.0
    max_aspect: Annotated[float, Ge(1)] = 30.0
    whole_image: Annotated[float, Gt(0), Le(1)] = 0.9
    duplicate_iou: Annotated[float, Gt(0), Lt(1)] = 0.9
    outside_px: Annotated[float, Ge(0)] = 1.0
    size_score: Annotated[float, Gt(0)] = 6.0


class ClassCount:
    """Counts samples one by one.

    Attributes:
        samples: how many there were.
        normal: how many of them have no box.
    """

    def __init__(self, classes: Iterable[str]) -> None:
        """Begin at 0; every class of `classes` is named in the end, and no other."""
        self.samples = self.normal = 0
        self._classes = tuple(classes)
        self._boxes: Counter[str] = Counter()
        self._images: Counter[str] = Counter()

    def add(self, sample: Sample) -> Sample:
        """Count a sample and return it."""
        found = sample.classes
        self.samples += 1
        self.normal += not found
        self._boxes.update(found)
        self._images.update(set(found))
        return sample

    @property
    def boxes(self) -> dict[str, int]:
        """Boxes per defect class."""
        return {name: self._boxes[name] for name in self._classes}

    @property
    def images(self) -> dict[str, int]:
        """Images per defect class."""
        return {name: self._images[name] for name in self._classes}


def count_classes(samples: Iterable[Sample], classes: Iterable[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return boxes per defect class and images per defect class, every class of `classes` named."""
    counted = ClassCount(classes)
    for sample in samples:
        counted.add(sample)
    return counted.boxes, counted.images
