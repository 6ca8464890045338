"""The folder a trainer reads: images and labels as YOLO lays them out."""

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from wafergate.domain.identity import digest_bytes
from wafergate.domain.splits import Side
from wafergate.domain.tiling import TilePolicy
from wafergate.domain.training_rows import TrainingItem
from wafergate.errors import NotFoundError, StorageError
from wafergate.jobs.alone import alone, if_free
from wafergate.jobs.checkpoints import kept_checkpoints, remove_checkpoints
from wafergate.jobs.parts import Parts, ahead, silent
from wafergate.jobs.training_job import Start
from wafergate.ports import Progress
from wafergate.stages.tile import taught_tiles

__all__ = ["bring_weights", "fresh_folder", "made_once", "prune_folders", "work_folder", "write_yolo"]

Made = TypeVar("Made")

_WORK = re.compile("[a-z-]+-[0-9a-f]{16}")


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


@contextmanager
def work_folder(parts: Parts, name: str, progress: Progress = silent) -> Iterator[Path]:
    """Hold an empty folder for a piece of work that only one run anywhere does at a time.

    Whoever comes second waits, and must look then whether the work is done. At the end the folder is removed, and so
    are the checkpoints that were stored under its name; what failed leaves both.

    Args:
        parts: the real parts.
        name: of the work and of its folder: the id of the row that it makes.
        progress: told when another run holds it.

    Raises:
        StorageError: it cannot be made.
    """
    waiting = "waiting: another run does the same"
    with alone(parts, _work_on(name), lambda: progress(waiting, 0, 0)):
        folder = fresh_folder(parts.work / name)
        yield folder
        remove_checkpoints(parts, kept_checkpoints(parts, name), reason="what it was trained for is stored")
        shutil.rmtree(folder, ignore_errors=True)


def prune_folders(parts: Parts, days: int, *, remove: bool) -> dict[Path, int]:
    """Return the work folders on this machine in which nothing has moved for so many days, with the bytes they take.

    A training that failed leaves its folder, and so does one that went on on another machine; one that runs or waits
    here holds its own. Only what has the name of a row's id and holds a training's data counts: others may keep theirs
    in the same place. A file that is linked belongs to the file cache: neither its time nor its bytes count.

    Args:
        parts: the real parts.
        days: how many.
        remove: whether they are removed.

    Raises:
        StorageError: one cannot be removed, or the place they are in cannot be written.
    """
    since = (parts.clock() - timedelta(days=days)).timestamp()
    found = {}
    for folder in sorted(path for path in parts.work.glob("*") if _WORK.fullmatch(path.name)):
        with if_free(parts, _work_on(folder.name)) as free:
            if not free or not any(path.is_dir() for path in (folder / "data", *folder.glob("*/data"))):
                continue
            seen = [path.lstat() for path in (folder, *folder.rglob("*"))]
            own = [each for each in seen if stat.S_ISDIR(each.st_mode) or each.st_nlink == 1]
            if max(each.st_mtime for each in own) >= since:
                continue
            found[folder] = sum(each.st_size for each in own if stat.S_ISREG(each.st_mode))
            if remove:
                _remove(folder)
    return found


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        message = f"the work folder {folder} cannot be removed: {error.strerror} ({error.filename}); check who may"
        raise StorageError(message) from error


def _work_on(name: str) -> str:
    return f"work on {name}"


def made_once(
    parts: Parts,
    kind: type[Made],
    row_id: str,
    make: Callable[[Path], Made],
    *,
    keep: Callable[[Made], bool] = lambda _row: True,
    progress: Progress = silent,
) -> tuple[Made, bool]:
    """Return a row and whether it was there; where it is not, it is made in a `work_folder` and stored.

    Args:
        parts: the real parts.
        kind: of the row.
        row_id: its id.
        make: makes it in the folder given, with this id.
        keep: whether a row that was made is stored.
        progress: told when another run makes it; its row is taken then.
    """
    for known in parts.facts.find(kind, id=row_id):
        return known, True
    with work_folder(parts, row_id, progress) as folder:
        for known in parts.facts.find(kind, id=row_id):
            return known, True
        made = make(folder)
        if keep(made):
            parts.facts.save(made)
    return made, False


def bring_weights(parts: Parts, start: Start, folder: Path) -> Start:
    """Put the weights a training starts from where they stay, and in the store, where `reproduce` finds them.

    The images of this training, or of the one before, may push them out of the file cache. A file that was written over
    since the training was asked for is not what its licence and its identity speak of: then the store's is taken.

    Raises:
        NotFoundError: they are gone or others now, and the store has none of their digest.
        StorageError: the folder has no room; it is removed.
    """
    if start.weights is None:
        return start
    digest = str(start.digest)
    data = start.weights.read_bytes() if start.weights.is_file() else b""
    if digest_bytes(data) == digest:
        parts.files.put(data)
    try:
        file = parts.files.fetch(digest)
    except NotFoundError as error:
        message = (
            f"{start.weights} no longer holds the weights that this training was asked for (SHA-256 {digest}), and the "
            "store has none of them; ask for it again"
        )
        raise NotFoundError(message) from error
    with _room_in(folder):
        (folder / "start").mkdir()  # no output of the training has the place of its name
        _link(file, folder / "start" / start.weights.name)
    return replace(start, weights=folder / "start" / start.weights.name)


def write_yolo(
    parts: Parts,
    items: Sequence[TrainingItem],
    classes: Sequence[str],
    folder: Path,
    *,
    tile: TilePolicy,
    progress: Progress,
) -> None:
    """Lay the training set out as trainers read it: `images/train`, `labels/train`, `images/val`, `labels/val`.

    What is cut here is cut after the split and after the leak check: a tile shows nothing but its own image, so it
    teaches on the side that its image is on (rules M10, M11), and `taught_tiles` says which tiles there are.

    Raises:
        ConfigError: an image has no room for so many tiles.
        StorageError: the folder has no room; it is removed.
    """
    with _room_in(folder):
        _write(parts, items, classes, folder, tile, progress)


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        message = f"{folder} cannot take the training set ({error.strerror}): make room there or set WAFERGATE_WORK_DIR"
        raise StorageError(message) from error


def _write(
    parts: Parts,
    items: Sequence[TrainingItem],
    classes: Sequence[str],
    folder: Path,
    tile: TilePolicy,
    progress: Progress,
) -> None:
    sides = {Side.TRAIN.value: "train", Side.VALIDATION.value: "val"}
    place = {name: index for index, name in enumerate(classes)}
    for kind in ("images", "labels"):
        for side in sides.values():
            (folder / "data" / kind / side).mkdir(parents=True)

    def write(item: TrainingItem) -> None:
        images, labels = (folder / "data" / kind / sides[item.side] for kind in ("images", "labels"))
        cut = _write_tiles if tile.active else _write_whole
        for stem, piece in cut(parts, item, tile, images):
            (labels / f"{stem}.txt").write_text("".join(_label_lines(piece, place)), encoding="utf-8")

    stage = "cutting the training set into tiles" if tile.active else "fetching the training set"
    for done, _ in enumerate(ahead(write, items), start=1):
        progress(stage, done, len(items))


def _write_whole(parts: Parts, item: TrainingItem, _tile: TilePolicy, images: Path) -> list[tuple[str, TrainingItem]]:
    """Link an image; return its file name without suffix, and the item itself."""
    stem = f"{item.position:06d}"
    _link(parts.files.fetch(item.image), images / f"{stem}.png")
    return [(stem, item)]


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file.resolve(), to)
    except OSError:  # another file system
        shutil.copyfile(file, to)


def _write_tiles(parts: Parts, item: TrainingItem, tile: TilePolicy, images: Path) -> list[tuple[str, TrainingItem]]:
    """Write the tiles of an image; return each one's file name without suffix, and the item it is."""
    size = (item.width, item.height)
    tiles = taught_tiles(item.boxes, size, tile, operations=item.operations, seed=f"{item.origin} {item.operations}")
    pixels = parts.decode(parts.files.get(item.image))
    pieces = []
    for number, cut in enumerate(tiles):
        left, top, right, bottom = (int(side) for side in cut.window.as_tuple())
        stem = f"{item.position:06d}-{number:03d}"
        (images / f"{stem}.png").write_bytes(parts.encode(np.ascontiguousarray(pixels[top:bottom, left:right])))
        pieces.append((stem, replace(item, boxes=cut.boxes, width=right - left, height=bottom - top)))
    return pieces


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
