"""Every kind of malformed input goes through intake: it is set aside under its reason code, and the rest goes on."""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.unit.exports import (
    OBJECT,
    VOC,
    Files,
    as_bytes,
    coco_bad,
    coco_export,
    coco_numbered,
    coco_of,
    masked_export,
    pcb_export,
    voc_export,
    yolo_export,
)
from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import parts_in
from wafergate.adapters.source import open_source
from wafergate.domain.samples import DatasetVersion, Quarantined, QuarantineReason, Sample
from wafergate.jobs.ingest import ingest
from wafergate.line import parse_line
from wafergate.ports import Source

pytestmark = pytest.mark.unit

R = QuarantineReason
Make = Callable[[Path], Source]

LINE = """
[line]
name = "odd"
classes = ["pit", "open", "short", "mousebite", "spur", "copper", "pin-hole"]
[intake]
max_pixels = 100_000

"""
GREY = np.random.default_rng(0).integers(20, 235, (30, 40)).astype(np.uint8)
EMPTY_MASK = picture(40, 30, level=0)
BOMB = '<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;&x;">]><annotation><filename>&y;</filename></annotation>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><filename>&x;</filename></annotation>'


class Kind(NamedTuple):
    """One kind of malformed input: what it is, the export that holds it, and how it must be told."""

    what: str
    format: str
    export: Files | Make
    path: str
    reason: QuarantineReason
    says: str


def saved(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]] | Image.Image, kind: str, **options: object
) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def pages(kind: str) -> bytes:
    return saved(GREY, kind, save_all=True, append_images=[Image.fromarray(GREY[::-1].copy())])


def bomb() -> bytes:
    """Return a PNG of a few hundred bytes that claims 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def image(what: str, data: bytes, reason: QuarantineReason, says: str, *, name: str = "bad.png") -> Kind:
    """Return the kind of an export whose bad image holds these bytes."""
    listed = coco_export(images=[{"id": 1, "file_name": "good.png"}, {"id": 2, "file_name": name}])
    del listed["bad.png"]
    return Kind(what, "coco", listed | {name: data}, name, reason, says)


def voc_object(*corners: object) -> Files:
    return voc_export(VOC.format(file="", body=OBJECT.format(*corners)))


def coco_told(**metadata: object) -> Files:
    return coco_export(images=[{"id": 1, "file_name": "good.png"}, {"id": 2, "file_name": "bad.png"} | metadata])


JPEG, PNG = saved(GREY, "JPEG"), saved(GREY, "PNG")

IMAGES = [
    image("an empty file", b"", R.UNREADABLE_IMAGE, "empty"),
    image("a web page instead of an image", b"<!DOCTYPE html><html>", R.UNREADABLE_IMAGE, "not an image"),
    image("a truncated JPEG", JPEG[: len(JPEG) // 2], R.UNREADABLE_IMAGE, "truncated", name="bad.jpg"),
    image("a truncated PNG", PNG[:-40], R.UNREADABLE_IMAGE, "truncated"),
    image("a PNG with changed bytes", PNG[:200] + b"\0\0\0\0" + PNG[204:], R.UNREADABLE_IMAGE, "checksum"),
    image("a TIFF cut short", saved(GREY, "TIFF")[:-100], R.UNREADABLE_IMAGE, "its", name="bad.tif"),
    image("an animated GIF", pages("GIF"), R.UNREADABLE_IMAGE, "2 pictures", name="bad.gif"),
    image("a TIFF of two pages", pages("TIFF"), R.UNREADABLE_IMAGE, "2 pictures", name="bad.tif"),
    image("12 bits in 16", saved(GREY.astype(np.uint16) * 16, "PNG"), R.UNREADABLE_IMAGE, "12 bits"),
    image("floating-point pixels", saved(GREY.astype(np.float32), "TIFF"), R.UNREADABLE_IMAGE, "float32", name="b.tif"),
    image("a decompression bomb", bomb(), R.TOO_LARGE, "max_pixels"),
    image("a huge image", picture(400, 300), R.TOO_LARGE, "400 x 300"),
    image("a JPEG named PNG", JPEG, R.WRONG_SUFFIX, "rename it"),
]

COCO = [
    Kind("COCO, a box of three numbers", "coco", coco_bad(bbox=[1, 2, 3]), "bad.png",
         R.UNREADABLE_LABEL, "annotation 9"),
    Kind("COCO, a box that is not finite", "coco", coco_bad(bbox=[1, 2, float("nan"), 4]), "bad.png",
         R.UNREADABLE_LABEL, "finite"),
    Kind("COCO, a number beyond all numbers", "coco", coco_bad(bbox=[1, 2, 10**400, 4]), "bad.png",
         R.UNREADABLE_LABEL, "annotation 9"),
    Kind("COCO, words for a box", "coco", coco_bad(bbox="here"), "bad.png", R.UNREADABLE_LABEL, "annotation 9"),
    Kind("COCO, neither box nor polygon", "coco", coco_bad(), "bad.png", R.UNREADABLE_LABEL, "neither bbox"),
    Kind("COCO, a polygon of odd length", "coco", coco_bad(bbox=[1, 2, 3, 4], segmentation=[[1, 2, 3]]), "bad.png",
         R.UNREADABLE_LABEL, "segmentation"),
    Kind("COCO, an object in two polygons", "coco",
         coco_bad(bbox=[1, 2, 9, 9], segmentation=[[1, 2, 4, 2, 4, 6], [6, 2, 10, 2, 10, 11]]),
         "a.json", R.OUTLINE_NOT_KEPT, "1 objects"),
    Kind("COCO, a run-length mask", "coco", coco_bad(bbox=[1, 2, 9, 9], segmentation={"counts": "abc", "size": [3, 4]}),
         "a.json", R.OUTLINE_NOT_KEPT, "box alone"),
    Kind("COCO, an unknown category", "coco", coco_bad(bbox=[1, 2, 3, 4], category_id=77), "bad.png",
         R.UNREADABLE_LABEL, "77"),
    Kind("COCO, a category of two names", "coco",
         coco_export(more=[{"id": 9, "image_id": 2, "category_id": 2, "bbox": [1, 2, 3, 4]}],
                     categories=[{"id": 1, "name": "pit"}, {"id": 2, "name": "open"}, {"id": 2.0, "name": "short"}]),
         "bad.png", R.UNREADABLE_LABEL, "several names: open, short"),
    Kind("COCO, an annotation of no image", "coco", coco_bad(image_id=99, bbox=[1, 2, 3, 4]), "a.json",
         R.LABEL_WITHOUT_IMAGE, "99"),
    Kind("COCO, two images with one id", "coco",
         coco_export() | {"b.json": coco_of("1.png", "2.png", number=5), "1.png": picture(), "2.png": picture()},
         "2.png", R.UNREADABLE_LABEL, "id 5"),
    Kind("COCO, two images with ids that are equal as text", "coco",
         coco_export() | {"b.json": coco_numbered({"1.png": 1, "2.png": "1"}), "1.png": picture(), "2.png": picture()},
         "2.png", R.UNREADABLE_LABEL, "id '1'"),
    Kind("COCO, an image of an id that another file shares", "coco",
         coco_export() | {"b.json": coco_of("bad.png", "1.png", number=5), "1.png": picture()},
         "bad.png", R.UNREADABLE_LABEL, "id 5"),
    Kind("COCO, not JSON", "coco", coco_export() | {"b.json": "{"}, "b.json", R.UNREADABLE_LABEL, "not JSON"),
    Kind("COCO, not UTF-8", "coco", coco_export() | {"b.json": b"\xff\xfe\x00"}, "b.json",
         R.UNREADABLE_LABEL, "not JSON"),
    Kind("COCO, nested without end", "coco", coco_export() | {"b.json": "[" * 100_000}, "b.json",
         R.UNREADABLE_LABEL, "not JSON"),
    Kind("COCO, an image nobody lists", "coco", coco_export() | {"new.png": picture()}, "new.png",
         R.IMAGE_WITHOUT_LABEL, "no COCO file lists"),
    Kind("COCO, an image listed twice", "coco", coco_export() | {"b.json": coco_of("good.png")}, "good.png",
         R.DUPLICATE_LABEL, "b.json"),
    Kind("COCO, an image with other boxes in another file", "coco",
         coco_bad(bbox=[1, 2, 3, 4]) | {"b.json": coco_bad(bbox=[5, 6, 7, 8])["a.json"]}, "bad.png",
         R.UNREADABLE_LABEL, "b.json lists it again with 1"),
    Kind("COCO, an image with boxes in another file alone", "coco",
         coco_export() | {"b.json": coco_bad(bbox=[5, 6, 7, 8])["a.json"]}, "bad.png",
         R.UNREADABLE_LABEL, "b.json lists it again with 1"),
    Kind("COCO, an image that is not there", "coco", coco_export() | {"b.json": coco_of("gone.png")}, "gone.png",
         R.LABEL_WITHOUT_IMAGE, "b.json"),
    Kind("COCO, an image of another folder", "coco",
         coco_export() | {"b.json": coco_of("train/new.png"), "val/new.png": picture()},
         "train/new.png", R.LABEL_WITHOUT_IMAGE, "b.json"),
    Kind("COCO, a path with ..", "coco", coco_export() | {"b.json": coco_of("../gone.png")}, "../gone.png",
         R.UNSAFE_PATH, "outside"),
    Kind("COCO, an absolute path", "coco", coco_export() | {"b.json": coco_of("/etc/good.png")}, "/etc/good.png",
         R.UNSAFE_PATH, "absolute"),
    Kind("COCO, a drive letter", "coco", coco_export() | {"b.json": coco_of("C:\\good.png")}, "C:\\good.png",
         R.UNSAFE_PATH, "absolute"),
    Kind("COCO, backslashes to the folder above", "coco", coco_export() | {"b.json": coco_of("..\\gone.png")},
         "..\\gone.png", R.UNSAFE_PATH, "outside"),
    Kind("COCO, a path with half a letter", "coco", coco_export() | {"b.json": coco_of("a\ud800.png")}, "a\\ud800.png",
         R.LABEL_WITHOUT_IMAGE, "b.json"),
    Kind("COCO, a path with a NUL", "coco", coco_export() | {"b.json": coco_of("a\0.png")}, "a\\x00.png",
         R.LABEL_WITHOUT_IMAGE, "b.json"),
    Kind("COCO, metadata with half a letter", "coco", coco_told(lot="L\ud800"), "bad.png",
         R.UNREADABLE_LABEL, "its lot"),
    Kind("COCO, metadata with a NUL", "coco", coco_told(lot="L\0"), "bad.png", R.UNREADABLE_LABEL, "its lot"),
    Kind("COCO, metadata of a name with a NUL", "coco", coco_told(**{"lo\0t": "L"}), "bad.png",
         R.UNREADABLE_LABEL, "its lo\\x00t"),
    Kind("COCO, a category whose name holds half a letter", "coco",
         coco_export(more=[{"id": 9, "image_id": 2, "category_id": 2, "bbox": [1, 2, 3, 4]}],
                     categories=[{"id": 1, "name": "pit"}, {"id": 2, "name": "p\udcff"}]),
         "bad.png", R.UNREADABLE_LABEL, "category_id 2"),
    Kind("COCO, labels drawn on another size", "coco",
         coco_export(images=[{"id": 1, "file_name": "good.png"},
                             {"id": 2, "file_name": "bad.png", "width": 80, "height": 30}]),
         "bad.png", R.SIZE_MISMATCH, "80 x 30"),
]  # fmt: skip

YOLO_BESIDE = {"images/own.png": picture(level=7), "images/own.txt": ""}

YOLO = [
    Kind("YOLO, four numbers", "yolo", yolo_export("0 .5 .5 .1"), "images/bad.png", R.UNREADABLE_LABEL, "line 1"),
    Kind("YOLO, six numbers", "yolo", yolo_export("\n0 .5 .5 .1 .1 .9"), "images/bad.png",
         R.UNREADABLE_LABEL, "line 2"),
    Kind("YOLO, a class without a name", "yolo", yolo_export("3 .5 .5 .1 .1"), "images/bad.png",
         R.UNREADABLE_LABEL, "class 3"),
    Kind("YOLO, a name for a class", "yolo", yolo_export("pit .5 .5 .1 .1"), "images/bad.png",
         R.UNREADABLE_LABEL, "line 1"),
    Kind("YOLO, not finite", "yolo", yolo_export("0 .5 .5 nan .1"), "images/bad.png", R.UNREADABLE_LABEL, "finite"),
    Kind("YOLO, an outline that is not finite", "yolo", yolo_export("0 .1 .1 .2 .2 inf .3"), "images/bad.png",
         R.UNREADABLE_LABEL, "finite"),
    Kind("YOLO, labels of no image", "yolo", yolo_export("") | {"labels/lost.txt": ""}, "labels/lost.txt",
         R.LABEL_WITHOUT_IMAGE, "no image"),
    Kind("YOLO, two images of one label file", "yolo", yolo_export("") | {"images/bad.bmp": picture(suffix=".bmp")},
         "images/bad.png", R.DUPLICATE, "bad.txt"),
    Kind("YOLO, an image that is none", "yolo", yolo_export("") | {"images/bad.png": b"no image"}, "images/bad.png",
         R.UNREADABLE_IMAGE, "not an image"),
    Kind("YOLO, a JPEG named PNG", "yolo", yolo_export("") | {"images/bad.png": picture(suffix=".jpg")},
         "images/bad.png", R.WRONG_SUFFIX, "JPEG"),
    Kind("YOLO, an image without labels", "yolo", yolo_export("") | {"other/new.png": picture()}, "other/new.png",
         R.IMAGE_WITHOUT_LABEL, "no label file"),
    Kind("YOLO, labels of two images that differ in case", "yolo", yolo_export("") | {"images/Bad.png": picture()},
         "images/Bad.png", R.IMAGE_WITHOUT_LABEL, "labels/bad.txt is its label file is open"),
    Kind("YOLO, labels that differ from those beside the image", "yolo",
         yolo_export("") | {"images/bad.txt": "0 .5 .5 .1 .1"}, "images/bad.png", R.UNREADABLE_LABEL, "other labels"),
    Kind("YOLO, an image without labels where others have them beside", "yolo",
         yolo_export("") | YOLO_BESIDE | {"images/new.png": picture()}, "images/new.png",
         R.IMAGE_WITHOUT_LABEL, "no label file"),
    Kind("YOLO, labels of no image beside images", "yolo",
         yolo_export("") | YOLO_BESIDE | {"images/lost.txt": ""}, "images/lost.txt",
         R.LABEL_WITHOUT_IMAGE, "no image"),
    Kind("YOLO, names that are not YAML", "yolo",
         yolo_export("") | {"a.yaml": "x: [", "data.yaml": "a: 1", "z.yaml": "names: {0: pit}"},
         "a.yaml", R.UNREADABLE_LABEL, "not YAML"),
]  # fmt: skip

VOCS = [
    Kind("VOC, XML cut short", "voc", voc_export("<annotation>"), "Annotations/bad.xml",
         R.UNREADABLE_LABEL, "plain XML"),
    Kind("VOC, the image of a damaged annotation", "voc", voc_export("<annotation>"), "JPEGImages/bad.png",
         R.UNREADABLE_LABEL, "cannot be read"),
    Kind("VOC, a bomb of entities", "voc", voc_export(BOMB), "Annotations/bad.xml", R.UNREADABLE_LABEL, "plain XML"),
    Kind("VOC, an entity from outside", "voc", voc_export(OUTSIDE), "Annotations/bad.xml",
         R.UNREADABLE_LABEL, "plain XML"),
    Kind("VOC, an object without a box", "voc",
         voc_export(VOC.format(file="", body="<object><name>x</name></object>")),
         "JPEGImages/bad.png", R.UNREADABLE_LABEL, "bndbox"),
    Kind("VOC, a word for a number", "voc", voc_object(1, "one", 2, 3), "JPEGImages/bad.png",
         R.UNREADABLE_LABEL, "ymin"),
    Kind("VOC, an encoding of no name", "voc", voc_export('<?xml version="1.0" encoding="ANSI"?><annotation/>'),
         "JPEGImages/bad.png", R.UNREADABLE_LABEL, "cannot be read"),
    Kind("VOC, a number beyond all numbers", "voc", voc_object(1, "1E+1000000", 2, 3), "JPEGImages/bad.png",
         R.UNREADABLE_LABEL, "finite"),
    Kind("VOC, a size beyond all sizes", "voc",
         voc_export(VOC.format(file="", body=f"<size><width>{'9' * 5000}</width><height>1</height></size>")),
         "JPEGImages/bad.png", R.UNREADABLE_LABEL, "digits"),
    Kind("VOC, not a number", "voc", voc_object(1, "sNaN", 2, 3), "JPEGImages/bad.png", R.UNREADABLE_LABEL, "finite"),
    Kind("VOC, an outline of another program", "voc",
         voc_export(VOC.format(file="", body=OBJECT.format(1, 2, 3, 4).replace(
             "</object>", "<polygon><x1>1</x1></polygon></object>"))),
         "Annotations/bad.xml", R.OUTLINE_NOT_KEPT, "LabelMe"),
    Kind("VOC, an annotation of no image", "voc",
         voc_export(VOC.format(file="bad.png", body="")) | {"Annotations/lost.xml": "<annotation/>"},
         "Annotations/lost.xml", R.LABEL_WITHOUT_IMAGE, "no image"),
    Kind("VOC, two annotations of one image", "voc",
         voc_export(VOC.format(file="bad.png", body="")) | {"JPEGImages/bad.xml": "<annotation/>"},
         "JPEGImages/bad.xml", R.DUPLICATE_LABEL, "another"),
    Kind("VOC, an image without annotation", "voc",
         voc_export(VOC.format(file="bad.png", body="")) | {"JPEGImages/new.png": picture()},
         "JPEGImages/new.png", R.IMAGE_WITHOUT_LABEL, "no annotation"),
]  # fmt: skip

PAIRS = [
    Kind("DeepPCB, four numbers", "deeppcb", pcb_export("1 2 3 4"), "g/n/bad_test.jpg", R.UNREADABLE_LABEL, "line 1"),
    Kind("DeepPCB, an unknown class", "deeppcb", pcb_export("1 2 3 4 7"), "g/n/bad_test.jpg",
         R.UNREADABLE_LABEL, "class 7"),
    Kind("DeepPCB, words", "deeppcb", pcb_export("a b c d 1"), "g/n/bad_test.jpg", R.UNREADABLE_LABEL, "line 1"),
    Kind("DeepPCB, a board without labels", "deeppcb", pcb_export("") | {"g/n/new_test.jpg": picture(suffix=".jpg")},
         "g/n/new_test.jpg", R.IMAGE_WITHOUT_LABEL, "no label file"),
    Kind("DeepPCB, labels of no board", "deeppcb", pcb_export("") | {"g/n_not/lost.txt": ""}, "g/n_not/lost.txt",
         R.LABEL_WITHOUT_IMAGE, "no image"),
    Kind("DeepPCB, a golden reference alone", "deeppcb", pcb_export("") | {"g/n/lost_temp.jpg": picture(suffix=".jpg")},
         "g/n/lost_temp.jpg", R.MISSING_IMAGE, "golden"),
    Kind("DeepPCB, a list that names no board", "deeppcb",
         pcb_export("") | {"trainval.txt": "g/n/lost.jpg g/n_not/lost.txt"},
         "g/n_not/lost.txt", R.LABEL_WITHOUT_IMAGE, "trainval.txt"),
    Kind("DeepPCB, labels that two boards may have", "deeppcb",
         pcb_export("") | {"g/n/Bad_test.jpg": picture(suffix=".jpg")},
         "g/n/Bad_test.jpg", R.IMAGE_WITHOUT_LABEL, "g/n_not/bad.txt is g/n_not/Bad.txt is open"),
    Kind("DeepPCB, two golden references of one board", "deeppcb",
         pcb_export("") | {f"g/n/bad_temp.{end}": picture(suffix=".jpg") for end in ("JPG", "Jpg")},
         "g/n/bad_test.jpg", R.MISSING_IMAGE, "bad_temp.JPG or g/n/bad_temp.Jpg"),
    Kind("a golden reference of another size", "deeppcb",
         pcb_export("") | {"g/n/bad_temp.jpg": picture(44, 30, suffix=".jpg")},
         "g/n/bad_test.jpg", R.REFERENCE_MISMATCH, "44 x 30"),
    Kind("a golden reference that is no image", "deeppcb", pcb_export("") | {"g/n/bad_temp.jpg": b"?"},
         "g/n/bad_test.jpg", R.MISSING_IMAGE, "did not enter"),
]  # fmt: skip

MASKS = [
    Kind("a mask without a defect in a class folder", "masks", masked_export(EMPTY_MASK), "pit/bad.jpg",
         R.UNREADABLE_LABEL, "says pit"),
    Kind("a mask that is no image", "masks", masked_export(b"\x89PNG\r\n\x1a\n"), "pit/bad.jpg",
         R.UNREADABLE_LABEL, "pit/bad.png"),
    Kind("a truncated mask", "masks", masked_export(picture()[:-20]), "pit/bad.jpg", R.UNREADABLE_LABEL, "truncated"),
    Kind("a huge mask", "masks", masked_export(picture(400, 300)), "pit/bad.jpg", R.UNREADABLE_LABEL, "max_pixels"),
    Kind("a mask of another size", "masks", masked_export(picture(41, 30)), "pit/bad.jpg", R.SIZE_MISMATCH, "41 x 30"),
    Kind("an image without a mask", "masks", masked_export(picture()) | {"pit/new.jpg": picture(suffix=".jpg")},
         "pit/new.jpg", R.IMAGE_WITHOUT_LABEL, "no mask"),
    Kind("a mask of two images that differ in case", "masks",
         masked_export(picture()) | {"pit/Bad.jpg": picture(suffix=".jpg")},
         "pit/Bad.jpg", R.IMAGE_WITHOUT_LABEL, "pit/bad.png is it is open"),
    Kind("a mask without an image", "masks", masked_export(picture()) | {"pit/lost.png": picture()}, "pit/lost.png",
         R.LABEL_WITHOUT_IMAGE, "no image"),
    Kind("an image in no class folder", "masks",
         masked_export(picture()) | {"a.jpg": picture(suffix=".jpg"), "a.png": picture()},
         "a.jpg", R.UNREADABLE_LABEL, "no folder"),
]  # fmt: skip

TABLES = [
    Kind("metadata without a column of names", "coco", coco_export() | {"metadata.csv": "lot,wafer\n1,2\n"},
         "metadata.csv", R.UNREADABLE_LABEL, "needs a column"),
    Kind("metadata with a NUL", "coco", coco_export() | {"metadata.csv": "name,lot\nbad.png,L\0\n"}, "metadata.csv",
         R.UNREADABLE_LABEL, "row 2 holds a NUL"),
    Kind("metadata with a NUL in a column's name", "coco", coco_export() | {"metadata.csv": "name,l\0t\nbad.png,L\n"},
         "metadata.csv", R.UNREADABLE_LABEL, "column holds a NUL"),
    Kind("metadata of no image", "coco", coco_export() | {"metadata.csv": "name,lot\nlost.png,1\n"},
         "metadata.csv", R.LABEL_WITHOUT_IMAGE, "lost.png"),
    Kind("metadata that names no golden reference", "coco",
         coco_export() | {"metadata.csv": "name,reference\nbad.png,lost.png\n"},
         "lost.png", R.MISSING_IMAGE, "golden reference"),
]  # fmt: skip


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], spoil: Callable[[bytes], bytes] | None = None) -> Make:
    """Return how to make a zip of the good export and these entries, its bytes spoilt afterwards."""

    def make(folder: Path) -> Source:
        path = folder / "export.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (*as_bytes(coco_export()).items(), *entries):
                archive.writestr(name, data)
        if spoil is not None:
            path.write_bytes(spoil(path.read_bytes()))
        return open_source(path)

    return make


def tarred(*entries: tuple[tarfile.TarInfo, bytes]) -> Make:
    """Return how to make a tar of the good export and these entries."""

    def make(folder: Path) -> Source:
        path = folder / "export.tar"
        plain = [(tarfile.TarInfo(name), data) for name, data in as_bytes(coco_export()).items()]
        with tarfile.open(path, "w") as archive:
            for info, data in (*plain, *entries):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return open_source(path)

    return make


def in_folder(spoil: Callable[[Path], object]) -> Make:
    """Return how to make a folder of the good export, spoilt afterwards."""

    def make(folder: Path) -> Source:
        for name, data in as_bytes(coco_export()).items():
            (folder / name).write_bytes(data)
        spoil(folder)
        return open_source(folder)

    return make


def zip_link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


def tar_entry(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def locked(data: bytes) -> bytes:
    """Mark the entry `locked.png` of a zip as encrypted, in both of its headers."""
    found = bytearray(data)
    for magic, flags, name in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = -1
        while (at := found.find(magic, at + 1)) >= 0:
            if found[at + name : at + name + 10] == b"locked.png":
                found[at + flags] |= 1
    return bytes(found)


def packed(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_LZMA
    return info


def crumpled(data: bytes) -> bytes:
    """Spoil the LZMA stream of the entry `new.png`: after its name come 9 bytes of how it was packed."""
    at = data.index(b"new.png", data.index(b"PK", data.index(b"b.json"))) + len(b"new.png") + 9
    return data[:at] + b"\xff" * 20 + data[at + 20 :]


PLACES = [
    Kind("a zip entry with ..", "coco", zipped(("../up.png", PNG)), "../up.png", R.UNSAFE_PATH, "'..'"),
    Kind("a zip entry with an absolute path", "coco", zipped(("/etc/x.png", PNG)), "/etc/x.png",
         R.UNSAFE_PATH, "absolute"),
    Kind("a zip entry with backslashes", "coco", zipped(("..\\x.png", PNG)), "..\\x.png", R.UNSAFE_PATH, "backslash"),
    Kind("a zip entry with a line break", "coco", zipped(("a\nb.png", PNG)), "a\\nb.png", R.UNSAFE_PATH, "control"),
    Kind("a zip link to outside", "coco", zipped(zip_link("out.png", "../../etc/passwd")), "out.png",
         R.UNSAFE_PATH, "outside"),
    Kind("an encrypted zip entry", "coco", zipped(("locked.png", PNG), spoil=locked), "locked.png",
         R.UNSAFE_PATH, "encrypted"),
    Kind("a damaged zip entry", "coco",
         zipped(spoil=lambda data: data.replace(as_bytes(coco_export())["bad.png"][-20:], bytes(20), 1)),
         "bad.png", R.MISSING_IMAGE, "CRC"),
    Kind("a damaged zip entry that LZMA packed", "coco",
         zipped(("b.json", coco_of("new.png").encode()), (packed("new.png"), PNG), spoil=crumpled),
         "new.png", R.MISSING_IMAGE, "Corrupt"),
    Kind("a tar entry with an absolute path", "coco", tarred((tarfile.TarInfo("/etc/x.png"), PNG)), "/etc/x.png",
         R.UNSAFE_PATH, "absolute"),
    Kind("a tar link to outside", "coco", tarred(tar_entry("out.png", tarfile.SYMTYPE, "/etc/passwd")), "out.png",
         R.UNSAFE_PATH, "outside"),
    Kind("a device in a tar", "coco", tarred(tar_entry("dev.png", tarfile.CHRTYPE)), "dev.png",
         R.UNSAFE_PATH, "neither a file"),
    Kind("a name twice in a tar", "coco", tarred((tarfile.TarInfo("./good.png"), PNG)), "./good.png",
         R.UNSAFE_PATH, "before"),
    Kind("a folder's link to outside", "coco", in_folder(lambda at: (at / "out.png").symlink_to("/etc/passwd")),
         "out.png", R.UNSAFE_PATH, "outside"),
    Kind("a link to nothing", "coco", in_folder(lambda at: (at / "out.png").symlink_to("gone.png")), "out.png",
         R.UNSAFE_PATH, "nothing"),
]  # fmt: skip

KINDS = [*IMAGES, *COCO, *YOLO, *VOCS, *PAIRS, *MASKS, *TABLES, *PLACES]


def opened(export: Files | Make, folder: Path) -> Source:
    return MemorySource(export) if isinstance(export, Mapping) else export(folder)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.what)
def test_it_is_set_aside_under_its_reason_with_its_bytes_and_the_rest_goes_on(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    parts, source = parts_in(tmp_path), opened(kind.export, tmp_path / "in")
    version = ingest(parts, parse_line(LINE, Path("odd.toml")), source, kind.format)
    rows = {(row.path, row.reason): row for row in parts.facts.find(Quarantined)}
    assert (kind.path, kind.reason) in rows
    row = rows[kind.path, kind.reason]
    assert kind.says in row.detail
    assert "\n" not in row.detail
    readable = kind.path in source.names() and kind.says not in {"CRC", "Corrupt"}
    assert (row.digest is not None) == readable
    if row.digest is not None:
        assert parts.files.get(row.digest) == source.read(kind.path)
    entered = {sample.name: sample for sample in parts.facts.find(Sample, dataset_id=version.id)}
    assert any("good" in name and sample.boxes for name, sample in entered.items())
    if kind.reason is not R.DUPLICATE_LABEL:
        assert kind.path not in entered
    assert parts.facts.get(DatasetVersion, version.id).quarantined == len(rows)


def test_every_reason_code_is_reached_and_no_kind_is_listed_twice() -> None:
    assert {kind.reason for kind in KINDS} == set(R) - {R.TOO_SMALL}, "which inspection alone sets aside"
    assert len({kind.what for kind in KINDS}) == len(KINDS) >= 40
