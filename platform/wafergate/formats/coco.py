"""COCO object detection: one JSON of images, annotations and categories.

Boxes are `[x, y, width, height]` in pixels, counted from 0 at the upper left corner of the image (T.-Y. Lin et al.,
'Microsoft COCO', 2014; the 'Data format' page of cocodataset.org), so `Box` is `(x, y, x + width, y + height)`.
Sums are rounded as floating-point numbers are: whole and binary-fraction pixels come back exactly, others to 1e-9 px.
"""

import json
import math
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, BinaryIO

from wafergate.domain.geometry import Box
from wafergate.domain.samples import QuarantineReason, RawBox, RawSample, Reading
from wafergate.errors import SourceError
from wafergate.formats.json_stream import LIST, members
from wafergate.formats.layout import Layout, Problem, examples, inside
from wafergate.formats.metadata import write_table
from wafergate.formats.options import ReadOptions
from wafergate.formats.spooled import spooled
from wafergate.formats.storable import is_storable
from wafergate.ports import Source
from wafergate.spool import Spool

__all__ = ["read", "write"]

_STANDARD = frozenset(
    {"id", "file_name", "width", "height", "reference", "license", "coco_url", "flickr_url", "date_captured"}
)

_Entry = dict[str, Any]
_Labels = Mapping[str, Sequence[str]]


class _LabelError(Exception):
    """A label that cannot be read; its image is set aside."""


_WHOLE = re.compile(r"\s*(-?)0*([0-9]+)(?:\.0*)?\s*")
_EXACT = 1 << 53  # whole numbers below it are exact as floating point


def _key(number: object) -> str:
    """Return what an id is found by: 2, 2.0, "2" and "2.0" are one id, anything else is told by how it looks.

    Tools that hold ids in a column of floating point or text write them so for one table and not for the other. Two
    images or categories of one id are read as none, so that what is one here is never a guess between two.
    """
    if isinstance(number, bool) or not isinstance(number, (int, float, str)):
        return f"={number!r}"
    if isinstance(number, float) and number.is_integer() and abs(number) < _EXACT:
        number = int(number)
    whole = _WHOLE.fullmatch(str(number)) if not isinstance(number, float) else None
    return "#" + "".join(whole.groups()) if whole else f"={number}"


_TABLES: Mapping[str, Callable[[_Entry], str]] = {
    "images": lambda row: _key(row.get("id")),
    "annotations": lambda row: _key(row.get("image_id")),
    "categories": lambda row: _key(row.get("id")),
}
"""What a JSON needs to be COCO, and what its rows are found by."""


def _documents(layout: Layout, problems: Spool[Problem]) -> Iterator[tuple[str, dict[str, Spool[_Entry]]]]:
    """Yield the tables of each JSON that is COCO; a JSON that is something else is no label and is passed over."""
    for name in layout.with_suffix(".json"):
        try:
            with layout.source.open(name) as file:
                tables = _tables(file)
        except (ValueError, RecursionError, SourceError, OSError) as error:
            problems.append((name, QuarantineReason.UNREADABLE_LABEL, f"it is not JSON ({error})"))
            continue
        if len(tables) == len(_TABLES):
            yield name, tables


def _tables(file: BinaryIO) -> dict[str, Spool[_Entry]]:
    """Return the tables of a JSON: annotations may come before their images, so all of them are put on disk first."""
    tables: dict[str, Spool[_Entry]] = {}
    for name, value, element in members(file):
        if element and name in tables and isinstance(value, dict):
            tables[name].append(value)
        elif not element and name in _TABLES:
            tables.pop(name, None)  # of two members with one name the last counts
            if value is LIST:
                tables[name] = Spool(key=_TABLES[name])
    return tables


def _locate(layout: Layout, document: str, file: str) -> str | None:
    """Return the image a `file_name` means: from the JSON's folder, its `images/`, one folder up, or anywhere once."""
    folder = posixpath.dirname(document)
    above = posixpath.dirname(folder)
    for start in (folder, f"{folder}/images", above, f"{above}/images", ""):
        path = inside(start.strip("/"), file)
        if path in layout.names:
            return path
    named = [name for name in layout.images_called(posixpath.basename(file)) if f"/{name}".endswith(f"/{file}")]
    return named[0] if len(named) == 1 else None


def _with_slashes(path: str) -> str:
    """Return a path as systems other than Windows write it."""
    return path.replace("\\", "/")


def _polygon(segmentation: object) -> tuple[tuple[float, float], ...]:
    """Return the outline where it is one polygon; several polygons and run-length masks leave the box alone."""
    if not isinstance(segmentation, list) or len(segmentation) != 1:
        return ()
    numbers = segmentation[0]
    if not isinstance(numbers, list) or len(numbers) < 6 or len(numbers) % 2:
        message = "its segmentation is not a list of x, y pairs"
        raise _LabelError(message)
    values = [float(value) for value in numbers]
    if not all(map(math.isfinite, values)):
        message = "its segmentation holds numbers that are not finite"
        raise _LabelError(message)
    return tuple(zip(values[::2], values[1::2], strict=True))


def _bounds(polygons: object) -> tuple[float, float, float, float]:
    if not isinstance(polygons, list) or not polygons:
        message = "it has neither bbox nor polygon"
        raise _LabelError(message)
    xs = [float(value) for polygon in polygons for value in polygon[::2]]
    ys = [float(value) for polygon in polygons for value in polygon[1::2]]
    return min(xs), min(ys), max(xs), max(ys)


def _labels_of(categories: Spool[_Entry]) -> dict[str, list[str]]:
    """Return the names of each category id: one, or what it is left open between."""
    labels: dict[str, list[str]] = {}
    for row in filter(_is_named, categories):
        names = labels.setdefault(_key(row["id"]), [])
        if row["name"] not in names:
            names.append(row["name"])
    return labels


def _label_of(annotation: _Entry, labels: _Labels) -> str:
    number = annotation.get("category_id")
    names = labels.get(_key(number), ())
    if len(names) != 1:
        why = f"has several names: {examples(names)}" if names else "is not in categories"
        message = f"its category_id {number!r} {why}"
        raise _LabelError(message)
    return names[0]


def _box(annotation: _Entry, labels: _Labels) -> RawBox:
    label = _label_of(annotation, labels)
    try:
        outline = annotation.get("segmentation")
        if "bbox" in annotation:
            x, y, width, height = (float(value) for value in annotation["bbox"])
            box = Box(x, y, x + width, y + height)
        else:
            box = Box(*_bounds(outline))
        return RawBox(label, box, _polygon(outline))
    except (TypeError, ValueError, OverflowError) as error:
        message = f"its box cannot be read ({error})"
        raise _LabelError(message) from error


def _sorted(boxes: Iterable[RawBox]) -> list[RawBox]:
    return sorted(boxes, key=repr)


def _size(image: _Entry) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and width > 0 < height else None


def _is_named(category: _Entry) -> bool:
    name = category.get("name")
    return category.get("id") is not None and isinstance(name, str) and bool(name) and is_storable(name)


def _is_told(value: object) -> bool:
    return isinstance(value, (str, int, float)) and value != ""


class _Reader:
    """Reads the documents of one source; what it cannot read it lists and goes on.

    Attributes:
        problems: what could not be read.
        samples: what could; those in `aside` are not to be used.
        listed: images that a document lists.
        golden: images that are golden references.
        aside: images whose labels turned out not to be known.
        whole: whether each annotation's image was found, so that an image nobody lists has none.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.problems: Spool[Problem] = Spool()
        self.samples = spooled()
        self.listed: Spool[str] = Spool(key=str)
        self.golden: Spool[str] = Spool(key=str)
        self.aside: Spool[str] = Spool(key=str)
        self.whole = True
        self._bare = 0

    def document(self, name: str, document: Mapping[str, Spool[_Entry]]) -> None:
        labels = _labels_of(document["categories"])
        images, annotations = document["images"], document["annotations"]
        self._bare = attached = 0
        for image in images:
            number = _key(image.get("id"))
            if image.get("id") is None or not images.is_single(number):
                # Whose boxes they are cannot be told, and without boxes it would count as free of defects.
                path = str(image.get("file_name") or name)
                detail = f"{name} gives it the id {image.get('id')!r}, which must be its own"
                self.problems.append((path, QuarantineReason.UNREADABLE_LABEL, detail))
                self._leave_out(name, image, drawn=annotations.get(number) is not None)
            else:
                drawn = annotations.all_of(number)
                attached += len(drawn)
                self._image(name, image, drawn, labels)
        if self._bare:
            detail = f"{self._bare} objects drawn as several polygons or run-length masks keep their box alone"
            self.problems.append((name, QuarantineReason.OUTLINE_NOT_KEPT, detail))
        if attached < len(annotations):
            self._lost(name, images, annotations)

    def _lost(self, document: str, images: Spool[_Entry], annotations: Spool[_Entry]) -> None:
        """List the annotations whose image is not listed."""
        count, lost = 0, Spool(key=_key)
        for annotation in annotations:
            number = annotation.get("image_id")
            if images.get(_key(number)) is None:
                count += 1
                if _key(number) not in lost:
                    lost.append(number)
        if count:
            self.whole = False
            detail = f"{count} annotations name images that it does not list: image_id {examples(lost)}"
            self.problems.append((document, QuarantineReason.LABEL_WITHOUT_IMAGE, detail))

    def _leave_out(self, document: str, image: _Entry, *, drawn: bool) -> None:
        """Remember an image as listed although its entry is not used."""
        name = _locate(self._layout, document, _with_slashes(str(image.get("file_name") or "")))
        if name is None:
            self.whole = self.whole and not drawn
        else:
            self.listed.append(name)
            self.aside.append(name)

    def _image(self, document: str, image: _Entry, drawn: list[_Entry], labels: _Labels) -> None:
        file = image.get("file_name")
        if not isinstance(file, str) or not file:
            detail = f"image {image.get('id')!r} has no file_name"
            self.problems.append((document, QuarantineReason.UNREADABLE_LABEL, detail))
            return
        path = _with_slashes(file)
        name = _locate(self._layout, document, path)
        self.whole = self.whole and not (name is None and drawn)
        if inside(posixpath.dirname(document), path) is None:
            detail = f"{document} gives it by an absolute path or one that leads outside the source"
            self.problems.append((file, QuarantineReason.UNSAFE_PATH, detail))
            return
        if name is None:
            detail = f"{document} lists it with {len(drawn)} annotations, and it is not in the source"
            self.problems.append((file, QuarantineReason.LABEL_WITHOUT_IMAGE, detail))
            return
        if name in self.listed:
            self._again(document, name, drawn, labels)
            return
        self.listed.append(name)
        self._sample(document, name, image, drawn, labels)

    def _again(self, document: str, name: str, drawn: list[_Entry], labels: _Labels) -> None:
        """Note an entry of an image listed before: of one that adds annotations, neither entry tells them all."""
        first = self.samples.get(name)
        try:
            boxes = _sorted(_box(one, labels) for one in drawn)
            adds = bool(boxes) and (first is None or boxes != _sorted(first.boxes))
        except _LabelError:
            adds = True
        if adds:
            self.aside.append(name)
            detail = f"{document} lists it again with {len(drawn)} annotations; one entry must hold all of an image's"
            self.problems.append((name, QuarantineReason.UNREADABLE_LABEL, detail))
        else:
            detail = f"{document} lists it again; the first entry is used"
            self.problems.append((name, QuarantineReason.DUPLICATE_LABEL, detail))

    def _sample(self, document: str, name: str, image: _Entry, drawn: list[_Entry], labels: _Labels) -> None:
        boxes = []
        for annotation in drawn:
            try:
                boxes.append(_box(annotation, labels))
            except _LabelError as error:
                # With one label missing the rest would teach that nothing is there, so the image goes as a whole.
                detail = f"annotation {annotation.get('id')!r}: {error}"
                self.problems.append((name, QuarantineReason.UNREADABLE_LABEL, detail))
                return
        self._bare += sum(
            bool(one.get("segmentation")) and not box.polygon for one, box in zip(drawn, boxes, strict=True)
        )
        named = _with_slashes(str(image.get("reference") or ""))
        reference = _locate(self._layout, document, named) if named else None
        if reference:
            self.golden.append(reference)
        told = {key: str(value) for key, value in image.items() if key not in _STANDARD and _is_told(value)}
        odd = [key for key, value in told.items() if not (is_storable(key) and is_storable(value))]
        if odd:
            detail = f"its {examples(odd)} in {document} holds a NUL or half a letter, which cannot be stored"
            self.problems.append((name, QuarantineReason.UNREADABLE_LABEL, detail))
            return
        self.samples.append(RawSample(name, tuple(boxes), reference, _size(image), told))


def read(source: Source, options: ReadOptions) -> Reading:
    """Read every COCO file of a source, at any depth.

    Images lie in the folder of the JSON, in its `images/`, one folder up (for `annotations/x.json`), or where
    `file_name` is the only file of its name. An image without annotations is a normal sample. An annotation that
    cannot be read sets its whole image aside, as do other annotations in a second entry of it; so is an image that no
    JSON lists, unless the options say it is normal.
    Crowd regions are boxes like any other. An object drawn as several polygons or as a run-length mask keeps its box;
    that its outline is not kept is a problem of the file, which itself is kept whole. Of an entry in `images`,
    `reference` names the golden reference, and keys that COCO does not know are metadata.

    Raises:
        SourceError: no file is COCO.
    """
    layout = Layout(source, options)
    reader = _Reader(layout)
    found = False
    for name, document in _documents(layout, reader.problems):
        found = True
        reader.document(name, document)
    damaged = (path for path, reason, _ in reader.problems if reason is QuarantineReason.UNREADABLE_LABEL)
    whole = reader.whole and not any(path.lower().endswith(".json") and path in layout.names for path in damaged)
    if not found:
        seen = examples(layout.with_suffix(".json")) or "no .json file"
        message = f"COCO needs a .json with {', '.join(_TABLES)}; {source.title} holds {seen}"
        raise SourceError(message)
    layout.require_images("COCO")
    for name in layout.images:
        if name in reader.listed or name in reader.golden:
            continue
        if layout.is_normal(name, sure=whole):
            reader.samples.append(RawSample(name))
        else:
            why = "" if whole else "; one that cannot be read, or whose images were not all found, may have"
            detail = f"no COCO file lists this image{why}"
            reader.problems.append((name, QuarantineReason.IMAGE_WITHOUT_LABEL, detail))
    out = (reader.golden, reader.aside)
    samples = (sample for sample in reader.samples if not any(sample.name in names for names in out))
    return layout.reading(samples, reader.problems)


def _area(box: RawBox) -> float:
    """Return the polygon's area (shoelace formula), else the box's."""
    if not box.polygon:
        return box.box.area
    closed = [*box.polygon, box.polygon[0]]
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(closed))) / 2


def write(samples: Sequence[RawSample], *, labels: Iterable[str] = ()) -> dict[str, bytes]:
    """Write samples as `annotations.json`, and `metadata.csv` where there is metadata.

    Args:
        samples: what is written.
        labels: categories to offer beside those in use.

    Returns:
        File name to content; the images are expected under their own names beside it.
    """
    used = {box.label for sample in samples for box in sample.boxes}
    numbers = {label: number for number, label in enumerate(sorted(used.union(labels)), start=1)}
    images: list[_Entry] = []
    annotations: list[_Entry] = []
    for image_id, sample in enumerate(samples, start=1):
        size = {"width": sample.size[0], "height": sample.size[1]} if sample.size else {}
        images.append({"id": image_id, "file_name": sample.name, **size})
        for box in sample.boxes:
            outline = [[value for point in box.polygon for value in point]] if box.polygon else []
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": numbers[box.label],
                    "bbox": [box.box.x1, box.box.y1, box.box.width, box.box.height],
                    "area": _area(box),
                    "segmentation": outline,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": label} for label, number in numbers.items()]
    document = {"images": images, "annotations": annotations, "categories": categories}
    return {"annotations.json": json.dumps(document, indent=1).encode(), **write_table(samples)}
