"""A dataset version back to files: images and labels in any format, read back before it counts."""

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wafergate.domain.identity import canonical_json
from wafergate.domain.samples import DatasetVersion, QuarantineReason, RawBox, RawSample, Sample
from wafergate.errors import ConfigError, SourceError
from wafergate.formats import READERS, WRITERS, ReadOptions
from wafergate.formats.header import read_header
from wafergate.formats.layout import stem_of
from wafergate.jobs.parts import Parts, ahead, silent
from wafergate.ports import Progress, Source

__all__ = ["LABELS", "NOT_KEPT_NAME", "Exported", "export"]

LABELS = ("raw", "class")
"""Boxes go out under the label they were drawn with, or under their defect class."""

NOT_KEPT_NAME = "not_kept.csv"
"""What the format has no place for, written beside it: columns image, box (from 1), what, value."""

_SAME = 1e-5  # pixels; YOLO's relative numbers come back to 1e-6


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds; `not_kept` counts the rows of `not_kept.csv`."""

    folder: Path
    images: int
    boxes: int
    references: int
    not_kept: int


@dataclass(frozen=True, slots=True)
class _Item:
    """One image on its way out: what a writer is given, the files behind it, and what no writer can say."""

    sample: RawSample
    image: str
    reference: str | None
    unsaid: tuple[tuple[str, str, str], ...]


_Row = tuple[str, str, str, str]


def export(
    parts: Parts,
    version: DatasetVersion,
    format_name: str,
    folder: Path,
    *,
    reopen: Callable[[Path], Source],
    labels: str = "raw",
    progress: Progress = silent,
) -> Exported:
    """Write a dataset version to a folder that appears only when it is whole and reads back the same.

    Boxes, labels, names, metadata and golden references come back as they are; what the format has no place for stands
    in `not_kept.csv`, and `dataset_version.json` says which version it is and under which licence.

    Args:
        parts: the real parts.
        version: what is written.
        format_name: a key of `WRITERS`.
        folder: where; must not exist, or be empty.
        reopen: opens a folder as a source.
        labels: one of `LABELS`.
        progress: told of every image.

    Raises:
        ConfigError: the format or labels are unknown, or the folder holds something or cannot be written.
        SourceError: the format cannot hold this version; the message names the first image.
    """
    whole = folder.resolve()  # "." and ".." have no name that a part of them could be called by
    _check(format_name, labels, whole)
    items = _items(parts, parts.facts.find(Sample, dataset_id=version.id), labels, format_name)
    written = WRITERS[format_name]([item.sample for item in items])
    partial = whole.with_name(f".{whole.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an export that was killed
    try:
        _write_images(parts, items, partial, progress)
        for name, data in {**written, "dataset_version.json": canonical_json(version).encode()}.items():
            _write(partial / name, data)
        rows = [*_differences(items, format_name, reopen(partial), progress), *_unsaid(items)]
        if rows:
            _write_rows(partial / NOT_KEPT_NAME, sorted(rows))
        _appear(partial, whole)
    except OSError as error:
        message = f"{folder} cannot be written ({error.strerror}); name a folder of yours with --to"
        raise ConfigError(message) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    boxes = sum(len(item.sample.boxes) for item in items)
    return Exported(folder, len(items), boxes, len({item.reference for item in items if item.reference}), len(rows))


def _check(format_name: str, labels: str, folder: Path) -> None:
    if format_name not in WRITERS:
        message = f"--format must be one of {', '.join(sorted(WRITERS))}; found {format_name!r}"
        raise ConfigError(message)
    if labels not in LABELS:
        message = f"--labels must be {' or '.join(LABELS)}; found {labels!r}"
        raise ConfigError(message)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{folder} holds something and stays as it is: name a new or empty folder with --to"
        raise ConfigError(message)


def _appear(partial: Path, folder: Path) -> None:
    """Give a whole export its place; the folder somebody stands in is filled, since they would not see another."""
    if folder != Path.cwd():
        partial.rename(folder)
        return
    for path in sorted(partial.iterdir(), key=lambda path: path.name == "dataset_version.json"):
        path.rename(folder / path.name)


def _items(parts: Parts, samples: Sequence[Sample], labels: str, format_name: str) -> list[_Item]:
    suffixes: dict[str, str] = {}
    for digest in {sample.reference for sample in samples if sample.reference}:
        suffixes[digest] = read_header(parts.files.get(digest)).suffix
    taken = {sample.name for sample in samples}
    items = []
    for sample in samples:
        reference = None
        if sample.reference is not None:
            reference = _reference_name(sample, suffixes[sample.reference], format_name)
            if reference in taken:
                message = f"{reference} is an image of this version, so no golden reference can have its name"
                raise SourceError(message)
        boxes = tuple(
            RawBox(box.raw_label if labels == "raw" else box.defect_class, box.box, box.polygon) for box in sample.boxes
        )
        raw = RawSample(sample.name, boxes, reference, (sample.width, sample.height), sample.metadata)
        items.append(_Item(raw, sample.image, sample.reference, tuple(_lineage(sample, labels))))
    return items


def _reference_name(sample: Sample, suffix: str, format_name: str) -> str:
    """Name a golden reference: as DeepPCB wants it there, else by its digest, so that many images may share it."""
    stem = stem_of(sample.name)
    if format_name == "deeppcb" and stem.endswith("_test"):
        return f"{stem.removesuffix('_test')}_temp{suffix}"
    return f"golden/{(sample.reference or '')[:16]}{suffix}"


def _lineage(sample: Sample, labels: str) -> Iterator[tuple[str, str, str]]:
    if sample.part is not None:
        region = " ".join(f"{value:g}" for value in sample.part.region.as_tuple())
        yield "", "cut from", f"{sample.part.name} {sample.part.image} {region}"
    for number, box in enumerate(sample.boxes, start=1):
        if labels == "class" and box.raw_label != box.defect_class:
            yield str(number), "raw label", box.raw_label


def _write_images(parts: Parts, items: Sequence[_Item], folder: Path, progress: Progress) -> None:
    files = {item.sample.name: item.image for item in items}
    files |= {item.sample.reference: item.reference for item in items if item.sample.reference and item.reference}

    def fetch(entry: tuple[str, str]) -> None:
        name, digest = entry
        _write(folder / name, parts.files.get(digest))

    for done, _ in enumerate(ahead(fetch, files.items()), start=1):
        progress("writing images", done, len(files))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write_rows(path: Path, rows: Sequence[_Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "box", "what", "value"))
        writer.writerows(rows)


def _unsaid(items: Sequence[_Item]) -> Iterator[_Row]:
    for item in items:
        yield from ((item.sample.name, *row) for row in item.unsaid)


def _differences(items: Sequence[_Item], format_name: str, source: Source, progress: Progress) -> Iterator[_Row]:
    """Read an export back and yield what its format did not keep.

    Raises:
        SourceError: an image or a box does not come back.
    """
    progress("reading it back", 0, 0)
    names = [item.sample.name for item in items]
    released = frozenset((name, QuarantineReason.WRONG_SUFFIX) for name in names)
    reading = READERS[format_name](source, ReadOptions(mask_min_area=1, max_pixels=1 << 30, released=released))
    found = {sample.name: sample for sample in reading.samples}
    for item in items:
        back = found.get(item.sample.name)
        if back is None:
            why = next((detail for path, _, detail in reading.problems if path == item.sample.name), "it is not listed")
            message = f"{format_name} cannot hold {item.sample.name}: read back, {why}; export as coco"
            raise SourceError(message)
        yield from _lost(item.sample, back, format_name)


def _lost(sample: RawSample, back: RawSample, format_name: str) -> Iterator[_Row]:
    left = list(back.boxes)
    for number, box in enumerate(sample.boxes, start=1):
        same = next((other for other in left if other.label == box.label and _near(other, box)), None)
        if same is None or len(sample.boxes) != len(back.boxes):
            message = f"{format_name} does not give box {number} of {sample.name} back as it is; export as coco"
            raise SourceError(message)
        left.remove(same)
        if box.polygon and not _same_outline(box, same):
            yield sample.name, str(number), "outline", " ".join(f"{value:.17g}" for at in box.polygon for value in at)
    yield from _untold(sample.name, sample.metadata, back.metadata)
    if sample.reference != back.reference:
        yield sample.name, "", "golden reference", sample.reference or ""


def _near(one: RawBox, other: RawBox) -> bool:
    return all(abs(a - b) <= _SAME for a, b in zip(one.box.as_tuple(), other.box.as_tuple(), strict=True))


def _same_outline(one: RawBox, other: RawBox) -> bool:
    return len(one.polygon) == len(other.polygon) and np.allclose(one.polygon, other.polygon, rtol=0, atol=_SAME)


def _untold(name: str, told: Mapping[str, str], back: Mapping[str, str]) -> Iterator[_Row]:
    for key in sorted(told):
        if told[key] != back.get(key):
            yield name, "", key, told[key]
