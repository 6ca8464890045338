"""Pascal VOC: one XML file an image.

Pixels are counted from 1 and `xmax`, `ymax` belong to the object: a box of 1 to W covers the whole width (M. Everingham
and J. Winn, 'The PASCAL Visual Object Classes Challenge 2012 Development Kit', section 'Object annotations', and its
evaluation code, which adds 1 to every side). Here the first pixel's left edge is 0 and right edges are exclusive, so
`Box` is `(xmin - 1, ymin - 1, xmax, ymax)`; the 1 is added and taken in decimal, so nothing is rounded.

VOC itself has no outlines. They are kept as LabelMe writes them into the same XML, `<polygon><pt><x>1</x><y>2</y></pt>`
and so on, in pixels from 0 (B. C. Russell et al., 'LabelMe: A Database and Web-Based Tool for Image Annotation', 2008);
programs that know VOC alone pass them over.
"""

import math
import posixpath
from collections.abc import Iterator, Sequence
from decimal import Decimal, DecimalException
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

from wafergate.domain.geometry import Box
from wafergate.domain.samples import QuarantineReason, RawBox, RawSample, Reading
from wafergate.errors import SourceError
from wafergate.formats.layout import Layout, Problem, examples, stem_of, swap_folder
from wafergate.formats.metadata import write_table
from wafergate.formats.options import ReadOptions
from wafergate.ports import Source
from wafergate.spool import Spool

__all__ = ["read", "write"]

_LABELS = ("annotations",)
_IMAGES = ("jpegimages", "images")


def _text(element: Element, path: str) -> str:
    """Return the text of a child; raises ValueError naming it where it is missing."""
    found = element.findtext(path)
    if found is None or not found.strip():
        message = f"<{element.tag}> needs <{path}>"
        raise ValueError(message)
    return found.strip()


def _number(element: Element, path: str) -> Decimal:
    text = _text(element, path)
    message = f"<{path}> must be a finite number, found {text[:40]!r}"
    try:
        number = Decimal(text)
    except DecimalException as error:
        raise ValueError(message) from error
    if not (number.is_finite() and math.isfinite(float(number))):
        raise ValueError(message)
    return number


def _parse_object(element: Element) -> RawBox:
    frame = element.find("bndbox")
    if frame is None:
        message = "<object> needs <bndbox>"
        raise ValueError(message)
    x1, y1 = float(_number(frame, "xmin") - 1), float(_number(frame, "ymin") - 1)
    box = Box(x1, y1, float(_number(frame, "xmax")), float(_number(frame, "ymax")))
    points = element.findall("polygon/pt")
    return RawBox(_text(element, "name"), box, tuple((_coordinate(at, "x"), _coordinate(at, "y")) for at in points))


def _coordinate(point: Element, path: str) -> float:
    return float(_number(point, path))


def _parse_size(root: Element) -> tuple[int, int] | None:
    width, height = root.findtext("size/width", ""), root.findtext("size/height", "")
    if not (width.strip().isdecimal() and height.strip().isdecimal()):
        return None
    size = (int(width), int(height))
    return size if min(size) > 0 else None


def _locate(layout: Layout, label: str, file: str) -> str | None:
    """Return the image of an annotation: it has its stem; the XML's `filename` decides only between several."""
    stem = stem_of(label)
    stems = [*(swap_folder(stem, _LABELS, folder) for folder in ("JPEGImages", "images", "")), stem]
    found = [image for path in stems if path for image in layout.images_at(path)]
    named = [image for image in found if posixpath.basename(image) == file]
    if found:
        return (named or found)[0]
    elsewhere = layout.images_called(file)
    return elsewhere[0] if len(elsewhere) == 1 else None


def _read_label(layout: Layout, name: str, seen: Spool[str], problems: Spool[Problem]) -> RawSample | None:
    """Return one XML's sample; note what is wrong with it, if something is."""
    try:
        root = fromstring(layout.source.read(name))
    except (ParseError, ValueError, LookupError, SourceError) as error:
        # defusedxml refuses entities and external references with a ValueError; unknown encodings are a LookupError.
        problems.append((name, QuarantineReason.UNREADABLE_LABEL, f"it is not plain XML ({error})"))
        image = _locate(layout, name, "")
        if image is not None and image not in seen:
            # Its labels are damaged, not absent: it must never count as an image without defect.
            seen.append(image)
            problems.append((image, QuarantineReason.UNREADABLE_LABEL, f"its annotation {name} cannot be read"))
        return None
    image = _locate(layout, name, posixpath.basename(root.findtext("filename", "").strip().replace("\\", "/")))
    if image is None:
        problems.append((name, QuarantineReason.LABEL_WITHOUT_IMAGE, "no image belongs to this annotation"))
        return None
    if image in seen:
        detail = f"another annotation describes {image}; that one is used"
        problems.append((name, QuarantineReason.DUPLICATE_LABEL, detail))
        return None
    seen.append(image)
    try:
        boxes = tuple(_parse_object(element) for element in root.iterfind("object"))
        size = _parse_size(root)
    except ValueError as error:
        problems.append((image, QuarantineReason.UNREADABLE_LABEL, f"{name}: {error}"))
        return None
    bare = sum(not outline.findall("pt") for outline in root.iterfind("object/polygon"))
    if bare:
        detail = f"{bare} outlines are not written as LabelMe writes them; their objects keep the box alone"
        problems.append((name, QuarantineReason.OUTLINE_NOT_KEPT, detail))
    return RawSample(image, boxes, size=size)


def read(source: Source, options: ReadOptions) -> Reading:
    """Read every XML annotation of a source, usually `Annotations/x.xml` with `JPEGImages/x.jpg`.

    The image has the annotation's stem, in `JPEGImages`, `images`, or beside it. An annotation without `<object>` is a
    normal sample; an image without annotation is a problem, unless the options say it is normal.
    `pose`, `truncated`, `difficult` and parts are not kept.
    XML with entities or a DTD that defines any is refused.

    Raises:
        SourceError: there are no XML files or no images.
    """
    layout = Layout(source, options)
    if next(layout.with_suffix(".xml"), None) is None:
        message = f"Pascal VOC needs Annotations/*.xml; {source.title} holds {examples(layout.names)}"
        raise SourceError(message)
    layout.require_images("Pascal VOC")
    problems: Spool[Problem] = Spool()
    return layout.reading(_samples(layout, problems), problems)


def _samples(layout: Layout, problems: Spool[Problem]) -> Iterator[RawSample]:
    seen: Spool[str] = Spool(key=str)
    for name in layout.with_suffix(".xml"):
        sample = _read_label(layout, name, seen, problems)
        if sample is not None:
            yield sample
    for image in layout.images:
        if image in seen:
            continue
        if layout.is_normal(image):
            yield RawSample(image)
        else:
            problems.append((image, QuarantineReason.IMAGE_WITHOUT_LABEL, "no annotation describes this image"))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _label_of(image: str) -> str:
    stem = stem_of(image)
    return (swap_folder(stem, _IMAGES, "Annotations") or f"Annotations/{stem}") + ".xml"


def _element(sample: RawSample) -> Element:
    root = Element("annotation")
    folder, file = posixpath.split(sample.name)
    SubElement(root, "folder").text = posixpath.basename(folder)
    SubElement(root, "filename").text = file
    if sample.size:
        size = SubElement(root, "size")
        SubElement(size, "width").text, SubElement(size, "height").text = map(str, sample.size)
    for box in sample.boxes:
        item = SubElement(root, "object")
        SubElement(item, "name").text = box.label
        frame = SubElement(item, "bndbox")
        x1, y1, x2, y2 = (Decimal(repr(value)) for value in box.box.as_tuple())
        for tag, value in (("xmin", x1 + 1), ("ymin", y1 + 1), ("xmax", x2), ("ymax", y2)):
            SubElement(frame, tag).text = _plain(value)
        if box.polygon:
            outline = SubElement(item, "polygon")
            for x, y in box.polygon:
                point = SubElement(outline, "pt")
                SubElement(point, "x").text, SubElement(point, "y").text = repr(x), repr(y)
    indent(root)
    return root


def write(samples: Sequence[RawSample]) -> dict[str, bytes]:
    """Write samples as XML annotations, and `metadata.csv` where there is metadata.

    Returns:
        File name to content; the images are expected under their own names beside it.

    Raises:
        SourceError: two images would share an annotation.
    """
    files: dict[str, bytes] = {}
    for sample in samples:
        name = _label_of(sample.name)
        if name in files:
            message = f"two images would share the annotation {name}, one of them {sample.name}; rename it"
            raise SourceError(message)
        files[name] = tostring(_element(sample), encoding="utf-8")
    return {**files, **write_table(samples)}
