"""YOLO detection and segmentation labels: one text file an image, relative coordinates.

A line is `class cx cy width height`, the centre and size as shares of the image's width and height, or
`class x1 y1 x2 y2 x3 y3 …`, an outline (Ultralytics documentation, 'Object Detection Datasets Overview' and 'Instance
Segmentation Datasets Overview'). Class indices count from 0. Shares refer to the image turned upright as EXIF says.
Twelve digits are written, so a box comes back to 1e-6 pixels on images of up to 100,000 pixels a side.
"""

import math
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain

import yaml  # type: ignore[import-untyped]

from wafergate.domain.geometry import Box
from wafergate.domain.samples import QuarantineReason, RawBox, RawSample, Reading
from wafergate.errors import SourceError
from wafergate.formats.header import ImageRefusedError, read_header
from wafergate.formats.layout import Layout, Problem, stem_of, swap_folder
from wafergate.formats.metadata import write_table
from wafergate.formats.options import ReadOptions
from wafergate.formats.yolo_names import class_names
from wafergate.ports import Source
from wafergate.spool import Spool

__all__ = ["read", "write"]

_IMAGES = ("images",)
_NOT_LABELS = frozenset({"classes.txt", "obj.names", "requirements.txt", "readme.txt", "license.txt"})
_SAME = 1e-6  # pixels within which an outline's bounds are its box
_DECIMALS = 6  # of a pixel: shares are binary fractions, and a box on whole pixels must come back on whole pixels


def _places(image: str) -> tuple[str, ...]:
    """Return where an image's labels may lie: where its last `images` folder is called `labels`, and beside it."""
    beside, folder = stem_of(image) + ".txt", swap_folder(image, _IMAGES, "labels")
    return (stem_of(folder) + ".txt", beside) if folder else (beside,)


def _label_of(image: str) -> str:
    """Return where an image's labels are written."""
    return _places(image)[0]


class _Labels:
    """Finds the label files of images, whatever case they are written in; one that may be another's is never taken."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._owners = Spool(layout.images, key=lambda image: _label_of(image).lower())
        self.left_open: Spool[str] = Spool(key=str)
        self.folders = frozenset(posixpath.dirname(name).lower() for name in layout.with_suffix(".txt"))

    def near(self, image: str) -> list[str]:
        """List the files that may hold an image's labels."""
        return [name for path in _places(image) for name in self._layout.files_like(path)]

    def is_open(self, image: str, found: Sequence[str]) -> bool:
        """Tell whether case leaves open which file holds an image's labels, or whose labels the file holds."""
        other_case = [name for name in found if name not in _places(image)]
        return bool(other_case) and (len(found) > 1 or not self._owners.is_single(_label_of(image).lower()))

    @cached_property
    def beside(self) -> frozenset[str]:
        """Folders called `images` in which some image has its labels beside it alone."""
        images = (image for image in self._layout.images if len(_places(image)) > 1)
        return frozenset(posixpath.dirname(image) for image in images if self._has_them_beside(image))

    def _has_them_beside(self, image: str) -> bool:
        own = posixpath.dirname(image).lower()
        return {posixpath.dirname(name).lower() for name in self.near(image)} == {own}


def _parse_line(line: str, names: Mapping[int, str], size: tuple[int, int]) -> RawBox:
    fields = line.split()
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        message = f"a line has 5 numbers or an outline of 3 points and more, found {len(fields)} numbers"
        raise ValueError(message)
    index, values = int(fields[0]), [float(field) for field in fields[1:]]
    if index not in names:
        message = f"class {index} has no name; there are {len(names)}"
        raise ValueError(message)
    width, height = size
    if len(values) == 4:
        x, y, w, h = values
        corners = (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
        return RawBox(names[index], Box(*(round(corner, _DECIMALS) for corner in corners)))
    xs = [round(value * width, _DECIMALS) for value in values[::2]]
    ys = [round(value * height, _DECIMALS) for value in values[1::2]]
    outline = tuple(zip(xs, ys, strict=True))
    if not all(math.isfinite(value) for value in (*xs, *ys)):
        message = "an outline needs finite numbers"
        raise ValueError(message)
    return RawBox(names[index], Box(min(xs), min(ys), max(xs), max(ys)), outline)


def _parse(text: str, names: Mapping[int, str], size: tuple[int, int]) -> tuple[RawBox, ...]:
    """Parse a label file.

    Raises:
        ValueError: naming the line that cannot be read.
    """
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            boxes.append(_parse_line(line, names, size))
        except ValueError as error:
            message = f"line {number}: {error}"
            raise ValueError(message) from error
    return tuple(boxes)


def _sample(layout: Layout, image: str, found: Sequence[str], names: Mapping[int, str]) -> RawSample:
    """Read one image's labels; raises ImageRefusedError or ValueError."""
    header = read_header(layout.source.read(image), name=layout.shown_name(image))
    size = (header.width, header.height)
    told = {layout.source.read(label) for label in found}
    if len(told) > 1:
        message = f"{' and '.join(found[1:])} holds other labels, and both are its own"
        raise ValueError(message)
    text = told.pop().decode("utf-8-sig") if told else ""
    return RawSample(image, _parse(text, names, size), size=size)


def _may_be_normal(label: str, folders: frozenset[str]) -> bool:
    """Tell whether a missing label file means 'no defect': only where its folder of labels exists."""
    return "labels" in label.lower().split("/") and posixpath.dirname(label).lower() in folders


def _orphans(layout: Layout, labels: _Labels, used: Spool[str]) -> Iterator[Problem]:
    """Yield label files whose image is not there: in a folder of labels, or beside images."""
    beside = {posixpath.dirname(name) for name in layout.images if len(_places(name)) == 1}
    for name in layout.with_suffix(".txt"):
        folder, file = posixpath.split(name)
        listing = posixpath.splitext(file)[0].lower() in {"train", "val", "valid", "test"}
        if name in used or name in labels.left_open or file.lower() in _NOT_LABELS or listing:
            continue
        if "labels" in folder.lower().split("/") or (folder in beside and folder) or folder in labels.beside:
            yield name, QuarantineReason.LABEL_WITHOUT_IMAGE, "no image belongs to this label file"


def read(source: Source, options: ReadOptions) -> Reading:
    """Read YOLO labels: `images/…/x.jpg` with `labels/…/x.txt`, or the text beside its image.

    Class names come from data.yaml, dataset.yaml or any yaml with `names`, else from classes.txt or a `.names` file,
    else from the options. An image without label file is a normal sample where its labels folder exists, and a problem
    where labels lie beside images or the folder is missing, unless the options decide it for all. A label file whose
    name differs in case is the image's where it can be no other's. A line that cannot be read sets its image aside.

    Raises:
        SourceError: there are no images, no class names that can be used, or no label file at all.
    """
    layout = Layout(source, options)
    layout.require_images("YOLO")
    problems: Spool[Problem] = Spool()
    names = class_names(layout, problems)
    labels = _Labels(layout)
    if not any(labels.near(image) for image in layout.images):
        message = f"YOLO needs labels such as {_label_of(next(layout.images))}; {source.title} holds none"
        raise SourceError(message)
    used: Spool[str] = Spool(key=str)
    samples = _samples(layout, labels, names, used, problems)
    return layout.reading(samples, chain(problems, _orphans(layout, labels, used)))


def _samples(
    layout: Layout, labels: _Labels, names: Mapping[int, str], used: Spool[str], problems: Spool[Problem]
) -> Iterator[RawSample]:
    """Yield what can be read of each image; note the label files that were used, and what cannot be read."""
    for image in layout.images:
        found = labels.near(image)
        if labels.is_open(image, found):
            labels.left_open.extend(found)
            if not layout.is_released(image, QuarantineReason.IMAGE_WITHOUT_LABEL):
                detail = f"whether {' or '.join(found)} is its label file is open: write both names in the same case"
                problems.append((image, QuarantineReason.IMAGE_WITHOUT_LABEL, detail))
                continue
            found = []
        label = found[0] if found else _label_of(image)
        by_format = _may_be_normal(label, labels.folders) and posixpath.dirname(image) not in labels.beside
        if label in used and not layout.is_released(image, QuarantineReason.DUPLICATE):
            problems.append((image, QuarantineReason.DUPLICATE, f"another image of this name uses {label}"))
        elif not found and not layout.is_normal(image, by_format=by_format):
            problems.append((image, QuarantineReason.IMAGE_WITHOUT_LABEL, f"it has no label file {label}"))
        else:
            used.extend(found or [label])
            try:
                yield _sample(layout, image, found, names)
            except ImageRefusedError as error:
                problems.append((image, error.reason, error.detail))
            except (ValueError, SourceError) as error:
                problems.append((image, QuarantineReason.UNREADABLE_LABEL, f"{label}, {error}"))


def _line(box: RawBox, index: int, size: tuple[int, int]) -> str:
    width, height = size
    if box.polygon:
        xs, ys = zip(*box.polygon, strict=True)
        bounds = (min(xs), min(ys), max(xs), max(ys))
        # The format has one of the two: where the outline would give another box, the box is what counts.
        if max(abs(a - b) for a, b in zip(bounds, box.box.as_tuple(), strict=True)) < _SAME:
            shares = [share for x, y in box.polygon for share in (x / width, y / height)]
            return " ".join([str(index), *(f"{share:.12g}" for share in shares)])
    x1, y1, x2, y2 = box.box.as_tuple()
    shares = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
    return " ".join([str(index), *(f"{share:.12g}" for share in shares)])


def write(samples: Sequence[RawSample]) -> dict[str, bytes]:
    """Write samples as label files and `data.yaml`, and `metadata.csv` where there is metadata.

    An outline is kept where its bounds are the box; otherwise the box alone is.

    Returns:
        File name to content; the images are expected under their own names beside it.

    Raises:
        SourceError: a sample has no size, or two images would share a label file.
    """
    labels = sorted({box.label for sample in samples for box in sample.boxes})
    numbers = {label: number for number, label in enumerate(labels)}
    files: dict[str, bytes] = {}
    for sample in samples:
        if sample.size is None:
            message = f"YOLO labels are relative: {sample.name} needs its width and height, found none"
            raise SourceError(message)
        name = _label_of(sample.name)
        if name in files:
            message = f"two images would share the label file {name}, one of them {sample.name}; rename it"
            raise SourceError(message)
        lines = [_line(box, numbers[box.label], sample.size) + "\n" for box in sample.boxes]
        files[name] = "".join(lines).encode()
    document = {"path": ".", "names": dict(enumerate(labels))}
    files["data.yaml"] = yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode()
    return {**files, **write_table(samples)}
