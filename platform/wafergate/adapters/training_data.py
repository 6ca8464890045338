"""Make the folder a backend trains on: images fitted as the detector will fit them, labels checked."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.adapters.onnx.letterbox import Placement, fit, letterbox
from wafergate.domain.evaluation import Truth
from wafergate.domain.training import TrainingJob
from wafergate.errors import TrainingError

__all__ = ["FittedData", "read_truth", "write_fitted_data"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
Box = tuple[float, float, float, float, float]
PNG_SPEED = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class FittedData:
    """The folder a backend reads.

    Attributes:
        yaml: its description in the YOLO format.
        train: number of training images.
        validation: number of validation images; 0 when there are none.
        boxes: number of training boxes.
    """

    yaml: Path
    train: int
    validation: int
    boxes: int


def write_fitted_data(job: TrainingJob, folder: Path, *, square: bool = False) -> FittedData:
    """Write images whose longer side is the model's input, their labels and the YAML file that describes them.

    A backend that meets images of the right size scales nothing, so it learns from the very pixels the detector feeds.
    It also decodes less in every epoch. Labels are fractions of the image, and of the square where that is written.

    Args:
        job: says where the data lie; a missing or empty label file is an image without defects.
        folder: to write into.
        square: whether to write the whole square that the detector feeds, border included, for a backend that would
            stretch the image to one.

    Raises:
        TrainingError: no training image or no box, an image that cannot be read, a label that is not `class x y w h`.
    """
    counts = {side: _write_side(job, folder, side, square=square) for side in ("train", "val")}
    (train, boxes), (validation, _) = counts["train"], counts["val"]
    if not train or not boxes:
        message = f"training needs labelled images in images/train, found {train} images with {boxes} boxes"
        raise TrainingError(message)
    description = {
        "path": str(folder),
        "train": "images/train",
        "val": "images/val" if validation else "images/train",
        "nc": len(job.classes),
        "names": list(job.classes),
    }
    yaml = folder / "data.yaml"
    yaml.write_text(json.dumps(description), encoding="utf-8")  # JSON is YAML, with every class name quoted
    return FittedData(yaml, train, validation, boxes)


def _write_side(job: TrainingJob, folder: Path, side: str, *, square: bool) -> tuple[int, int]:
    source = job.data / "images" / side
    images = sorted(path for path in source.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    stems = [path.stem for path in images]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        message = f"images/{side} holds two images called {twice!r}; they would share one label file"
        raise TrainingError(message)
    for kind in ("images", "labels"):
        (folder / kind / side).mkdir(parents=True)
    with ThreadPoolExecutor(job.threads or None) as pool:
        boxes = sum(pool.map(lambda image: _write_one(job, folder, image, side, square=square), images))
    return len(images), boxes


def _write_one(job: TrainingJob, folder: Path, image: Path, side: str, *, square: bool) -> int:
    # orientation tags are left alone: the boxes were drawn on the stored pixels
    pixels = cv2.imread(str(image), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        message = f"images/{side}/{image.name} cannot be decoded as an image; make the training set again"
        raise TrainingError(message)
    target, placement = folder / "images" / side / f"{image.stem}.png", None
    fitted = np.asarray(pixels, np.uint8)
    if square:
        fitted, placement = letterbox(fitted, job.image_size, centred=True)
    if not cv2.imwrite(str(target), fit(fitted, job.image_size), PNG_SPEED):
        message = f"{target} cannot be written; is the disk full?"
        raise TrainingError(message)
    label = job.data / "labels" / side / f"{image.stem}.txt"
    if not label.is_file():
        return 0
    boxes = _checked_boxes(label, classes=len(job.classes))
    written = folder / "labels" / side / label.name
    if placement is None:
        shutil.copyfile(label, written)
    else:
        lines = [_label_in_square(box, placement, job.image_size) for box in boxes]
        written.write_text("".join(lines), encoding="utf-8")
    return len(boxes)


def _label_in_square(box: Box, placement: Placement, size: int) -> str:
    index, x, y, width, height = box
    across, down = placement.width * placement.scale_x, placement.height * placement.scale_y
    x, y = (x * across + placement.left) / size, (y * down + placement.top) / size
    return f"{int(index)} {x:.8f} {y:.8f} {width * across / size:.8f} {height * down / size:.8f}\n"


def _checked_boxes(label: Path, *, classes: int) -> list[Box]:
    """Return the boxes; both backends would drop a bad line and train on without it."""
    boxes = []
    lines = [line for line in label.read_text(encoding="utf-8").splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            index, x, y, width, height = (float(part) for part in line.split())
        except ValueError:
            sound = False
        else:
            sound = index.is_integer() and 0 <= index < classes
            sound = sound and 0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1
        if not sound:
            message = (
                f"{label.parent.name}/{label.name}:{number} must be 'class x y width height' with a class below "
                f"{classes} and fractions of the image, found {line[:80]!r}"
            )
            raise TrainingError(message)
        boxes.append((index, x, y, width, height))
    return boxes


def read_truth(image: Path, pixels: NDArray[np.uint8]) -> Truth:
    """Return the boxes of an image in `images/SIDE`, read from `labels/SIDE`; none where there is no such file."""
    label = image.parents[2] / "labels" / image.parent.name / f"{image.stem}.txt"
    lines = label.read_text(encoding="utf-8").splitlines() if label.is_file() else []
    rows = np.array([line.split() for line in lines if line.strip()], dtype=np.float64).reshape(-1, 5)
    height, width = pixels.shape[:2]
    scale = np.array([width, height, width, height], dtype=np.float64)
    centre, extent = rows[:, 1:3], rows[:, 3:5]
    boxes = np.concatenate([centre - extent / 2, centre + extent / 2], axis=1) * scale
    return Truth(boxes, rows[:, 0].astype(np.int64))
