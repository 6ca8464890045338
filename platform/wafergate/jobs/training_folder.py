"""The folder a trainer reads: images and labels as YOLO lays them out."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from wafergate.domain.splits import Side
from wafergate.domain.training_rows import TrainingItem
from wafergate.errors import StorageError
from wafergate.jobs.parts import Parts, ahead
from wafergate.ports import Progress

__all__ = ["fresh_folder", "write_yolo"]


def fresh_folder(folder: Path) -> Path:
    """Make an empty folder, removing what an earlier run left in it.

    Raises:
        StorageError: it cannot be made.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        message = f"the work folder {folder} cannot be made: {error.strerror}; check WAFERGATE_WORK_DIR"
        raise StorageError(message) from error
    return folder


def write_yolo(
    parts: Parts, items: Sequence[TrainingItem], classes: Sequence[str], folder: Path, *, progress: Progress
) -> None:
    """Lay the training set out as trainers read it: `images/train`, `labels/train`, `images/val`, `labels/val`.

    Raises:
        StorageError: the folder has no room; it is removed.
    """
    try:
        _write(parts, items, classes, folder, progress=progress)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        message = f"{folder} cannot take the training set ({error.strerror}): make room there or set WAFERGATE_WORK_DIR"
        raise StorageError(message) from error


def _write(
    parts: Parts, items: Sequence[TrainingItem], classes: Sequence[str], folder: Path, *, progress: Progress
) -> None:
    sides = {Side.TRAIN.value: "train", Side.VALIDATION.value: "val"}
    place = {name: index for index, name in enumerate(classes)}
    for kind in ("images", "labels"):
        for side in sides.values():
            (folder / "data" / kind / side).mkdir(parents=True)

    def write(item: TrainingItem) -> None:
        stem = f"{item.position:06d}"
        image = folder / "data" / "images" / sides[item.side] / f"{stem}.png"
        cached = parts.files.fetch(item.image)
        try:
            os.link(cached, image)
        except OSError:  # another file system
            shutil.copyfile(cached, image)
        label = folder / "data" / "labels" / sides[item.side] / f"{stem}.txt"
        label.write_text("".join(_label_lines(item, place)), encoding="utf-8")

    for done, _ in enumerate(ahead(write, items), start=1):
        progress("fetching the training set", done, len(items))


def _label_lines(item: TrainingItem, place: Mapping[str, int]) -> list[str]:
    """Return YOLO's lines: class, centre and size relative to the image, cut at its border as backends demand."""
    lines = []
    for labelled in item.boxes:
        box = labelled.box
        x1, x2 = (min(max(value, 0.0), item.width) / item.width for value in (box.x1, box.x2))
        y1, y2 = (min(max(value, 0.0), item.height) / item.height for value in (box.y1, box.y2))
        if x2 > x1 and y2 > y1:
            centre = f"{(x1 + x2) / 2:.8f} {(y1 + y2) / 2:.8f} {x2 - x1:.8f} {y2 - y1:.8f}"
            lines.append(f"{place[labelled.defect_class]} {centre}\n")
    return lines
