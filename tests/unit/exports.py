"""Small exports of every format for tests: a good image beside one that a test may spoil."""

import json
from collections.abc import Mapping

import cv2
import numpy as np

from tests.unit.memory_source import picture

Files = dict[str, bytes | str]

VOC = "<annotation><filename>{file}</filename>{body}</annotation>"
OBJECT = (
    "<object><name>pit</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"
)


def mask_of(
    *pieces: tuple[int, int, int, int], size: tuple[int, int] = (40, 60)
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return a mask of filled rectangles `(x1, y1, x2, y2)`; `size` is height, width."""
    mask = np.zeros(size, np.uint8)
    for x1, y1, x2, y2 in pieces:
        mask[y1:y2, x1:x2] = 255
    return mask


def coco_of(*names: str, number: int | None = None) -> str:
    """Return a COCO file that lists images without annotations, under their place or all under one id."""
    return coco_numbered({name: place if number is None else number for place, name in enumerate(names)})


def coco_numbered(ids: Mapping[str, object]) -> str:
    """Return a COCO file that lists images of these ids without annotations."""
    images = [{"id": number, "file_name": name} for name, number in ids.items()]
    return json.dumps({"images": images, "annotations": [], "categories": []})


def coco_export(**tables: object) -> Files:
    """Return an export of good.png (one pit) and bad.png; `more` adds annotations, others replace tables."""
    document: dict[str, object] = {
        "images": [{"id": 1, "file_name": "good.png"}, {"id": 2, "file_name": "bad.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}],
        "categories": [{"id": 1, "name": "pit"}],
    }
    annotations = [*document["annotations"], *tables.pop("more", ())]  # type: ignore[misc, has-type]
    return {
        "good.png": picture(level=91),
        "bad.png": picture(),
        "a.json": json.dumps(document | {"annotations": annotations} | tables),
    }


def coco_bad(**annotation: object) -> Files:
    """Return the COCO export with an annotation of bad.png."""
    return coco_export(more=[{"id": 9, "image_id": 2, "category_id": 1} | annotation])


def yolo_export(line: str) -> Files:
    """Return a YOLO export whose bad.png has this label file."""
    return {
        "images/good.png": picture(level=91),
        "images/bad.png": picture(),
        "labels/good.txt": "0 .5 .5 .1 .1\n",
        "labels/bad.txt": line,
        "data.yaml": "names: [pit]\n",
    }


def voc_export(body: str) -> Files:
    """Return a Pascal VOC export whose bad.png has this annotation."""
    return {
        "JPEGImages/good.png": picture(level=91),
        "JPEGImages/bad.png": picture(),
        "Annotations/good.xml": VOC.format(file="good.png", body=OBJECT.format(5, 3, 8, 4)),
        "Annotations/bad.xml": body,
    }


def pcb_export(label: str) -> Files:
    """Return DeepPCB pairs of which the bad one has this label file."""
    return {
        "g/n/good_test.jpg": picture(suffix=".jpg", level=91),
        "g/n_not/good.txt": "1 2 3 4 1",
        "g/n/bad_test.jpg": picture(suffix=".jpg"),
        "g/n_not/bad.txt": label,
    }


def masked_export(mask: bytes) -> Files:
    """Return images with masks of which the bad one has this mask."""
    good = bytes(cv2.imencode(".png", mask_of((1, 1, 9, 9), size=(30, 40)))[1])
    images = {"pit/good.jpg": picture(suffix=".jpg", level=91), "pit/bad.jpg": picture(suffix=".jpg")}
    return {**images, "pit/good.png": good, "pit/bad.png": mask}


def as_bytes(files: Mapping[str, bytes | str]) -> dict[str, bytes]:
    """Return the files with their text encoded."""
    return {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
