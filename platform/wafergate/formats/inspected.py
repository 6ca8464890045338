"""What the champion said of images, for other tools: COCO results and a CSV table."""

import json
from collections.abc import Iterator, Mapping, Sequence

from wafergate.domain.inspection import InspectedImage
from wafergate.formats import spreadsheet

__all__ = ["as_coco", "as_csv"]

_COLUMNS = (
    "name", "image", "lot", "wafer", "die", "station", "product", "captured_at", "novelty",
    "class", "score", "x1", "y1", "x2", "y2",
)  # fmt: skip


def as_coco(images: Sequence[InspectedImage], sizes: Mapping[str, tuple[int, int]], classes: Sequence[str]) -> bytes:
    """Write detections as a COCO file: annotations with their score, images without any among them.

    Args:
        images: inspected images, each file name once.
        sizes: SHA-256 to width and height, pixels.
        classes: defect classes; a category's id is its place, from 1.
    """
    ids = {name: place for place, name in enumerate(classes, start=1)}
    found = [(number, box) for number, image in enumerate(images, start=1) for box in image.detections]
    document = {
        "images": [
            {
                "id": number,
                "file_name": image.name,
                "width": sizes[image.image][0],
                "height": sizes[image.image][1],
                "date_captured": image.captured_at.isoformat(),
            }
            for number, image in enumerate(images, start=1)
        ],
        "annotations": [
            {
                "id": place,
                "image_id": number,
                "category_id": ids[name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "score": score,
            }
            for place, (number, (name, score, x1, y1, x2, y2)) in enumerate(found, start=1)
        ],
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def as_csv(images: Sequence[InspectedImage]) -> bytes:
    """Write a row for each detection, and one with an empty class for an image without any; times in UTC."""
    return spreadsheet.table(_COLUMNS, _rows(images))


def _rows(images: Sequence[InspectedImage]) -> Iterator[tuple[object, ...]]:
    for image in images:
        told = (
            image.name, image.image, image.lot, image.wafer, image.die, image.station, image.product,
            image.captured_at.isoformat(), "" if image.novelty is None else f"{image.novelty:.4g}",
        )  # fmt: skip
        for name, score, *box in image.detections:
            yield *told, name, f"{score:.4f}", *(round(side, 1) for side in box)
        if not image.detections:
            yield *told, *[""] * 6
