"""DeepPCB pairs: a defective board `N_test.jpg`, its golden reference `N_temp.jpg`, labels `x1 y1 x2 y2 class`.

Corners are pixels counted from 0, taken as they stand; classes are numbers from 1 to 6 (S. Tang et al., 'Online PCB
Defect Detector On A New PCB Defect Dataset', 2019, and the README of its data set).
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from wafergate.domain.geometry import Box
from wafergate.domain.samples import QuarantineReason, RawBox, RawSample, Reading
from wafergate.errors import SourceError
from wafergate.formats.layout import Layout, Problem, examples, inside, stem_of
from wafergate.formats.metadata import write_table
from wafergate.formats.options import ReadOptions
from wafergate.ports import Source
from wafergate.spool import Spool

__all__ = ["CLASSES", "read", "write"]

CLASSES: Mapping[int, str] = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}
"""The data set's class numbers and names."""

_LISTS = ("trainval.txt", "test.txt")
_TEST, _GOLDEN = "_test", "_temp"


class _Listed(NamedTuple):
    """What a list names: an image's path without `_test` and suffix, its label file, and the list."""

    stem: str
    label: str
    name: str


def _listed(layout: Layout) -> Spool[_Listed]:
    """Return what the lists name, found by the stem; of several entries the last counts."""
    found: Spool[_Listed] = Spool(key=attrgetter("stem"))
    for name in layout.names:
        folder, file = posixpath.split(name)
        if file not in _LISTS:
            continue
        for line in layout.source.read(name).decode("utf-8-sig", "replace").splitlines():
            fields = line.split()
            image, label = (inside(folder, field) for field in (fields if len(fields) == 2 else ("/", "/")))
            if image and label:
                found.append(_Listed(stem_of(image), label, name))
    return found


def _label_of(stem: str) -> str:
    """Return where the labels of `group/N/M` lie: `group/N_not/M.txt`."""
    folder, file = posixpath.split(stem)
    return f"{folder}_not/{file}.txt" if folder else f"{file}.txt"


def _board_of(image: str) -> str:
    """Return the group folder's name: the folder above the image's own, else that one."""
    folders = image.split("/")[:-1]
    return folders[-2] if len(folders) > 1 else (folders[-1] if folders else "")


def _parse(text: str) -> tuple[RawBox, ...]:
    """Parse a label file; raises ValueError naming the line that cannot be read."""
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.replace(",", " ").split()
        if not fields:
            continue
        try:
            x1, y1, x2, y2 = (float(field) for field in fields[:4])
            (kind,) = fields[4:]
            boxes.append(RawBox(CLASSES[int(kind)], Box(x1, y1, x2, y2)))
        except KeyError as error:
            message = f"line {number}: class {error} is not one of 1 to {len(CLASSES)}"
            raise ValueError(message) from error
        except ValueError as error:
            message = f"line {number} must be 'x1 y1 x2 y2 class', found {line.strip()[:60]!r}"
            raise ValueError(message) from error
    return tuple(boxes)


def _golden_of(image: str) -> str:
    """Return where a board's golden reference lies."""
    return f"{_stem(image)}{_GOLDEN}{posixpath.splitext(image)[1]}"


def _found(layout: Layout, path: str, used: Spool[str], *, alone: bool) -> tuple[str | None, str]:
    """Return the file that a path means, whatever case it is written in, and what case leaves open about it.

    Case leaves open which of several files it is and, unless the board is `alone` in its letters, whose.
    """
    near = layout.files_like(path)
    used.extend(near)
    if len(near) > 1 or (near and near[0] != path and not alone):
        return None, f"whether {' or '.join(near)} is {path} is open: write both names in the same case"
    return (near[0] if near else None), ""


def read(source: Source, options: ReadOptions) -> Reading:
    """Read every `*_test` image of a source, from `PCBData`, the folder above it, or one group.

    `trainval.txt` and `test.txt` say where labels lie; pairs they do not name are read by the same rule of names
    (`group/N/M_test.jpg`, `group/N_not/M.txt`), so boards that a team adds need no entry. An empty label file is a
    normal sample, a missing one is a problem, unless the options say that it is normal. Labels and golden references
    whose names differ in case are the board's where they can be no other's. Metadata `board` is the group folder's
    name.

    Raises:
        SourceError: there is no `*_test` image.
    """
    layout = Layout(source, options)
    boards = Spool((name for name in layout.images if stem_of(name).endswith(_TEST)), key=_stem)
    if not boards:
        found = examples(layout.images) or "no images"
        message = f"DeepPCB needs pairs N{_TEST}.jpg and N{_GOLDEN}.jpg; {source.title} holds {found}"
        raise SourceError(message)
    listed = _listed(layout)
    problems: Spool[Problem] = Spool()
    used: Spool[str] = Spool(key=str)
    samples = _samples(layout, boards, listed, used, problems)
    return layout.reading(samples, chain(problems, _unpaired(layout, boards, listed, used)))


def _stem(image: str) -> str:
    return stem_of(image).removesuffix(_TEST)


def _samples(
    layout: Layout, boards: Spool[str], listed: Spool[_Listed], used: Spool[str], problems: Spool[Problem]
) -> Iterator[RawSample]:
    """Yield the boards that can be read, of several with one stem the last; note labels in use, and what cannot be."""
    letters = Spool((_stem(image).lower() for image in boards), key=str)
    for image in boards:
        stem = _stem(image)
        if boards.get(stem) != image:
            continue
        entry, alone = listed.get(stem), letters.is_single(stem.lower())
        wanted = entry.label if entry else _label_of(stem)
        used.append(wanted)
        label, doubt = _found(layout, wanted, used, alone=alone)
        if label is None and not layout.is_normal(image, sure=not doubt):
            why = doubt or f"there is no label file {wanted}"
            problems.append((image, QuarantineReason.IMAGE_WITHOUT_LABEL, why))
            continue
        try:
            boxes = _parse(layout.source.read(label).decode("utf-8-sig")) if label else ()
        except (ValueError, SourceError) as error:
            problems.append((image, QuarantineReason.UNREADABLE_LABEL, f"{label}: {error}"))
            continue
        reference, doubt = _found(layout, _golden_of(image), used, alone=alone)
        if doubt:
            problems.append((image, QuarantineReason.MISSING_IMAGE, f"of its golden reference, {doubt}"))
            continue
        board = _board_of(image)
        yield RawSample(image, boxes, reference, metadata={"board": board} if board else {})


def _unpaired(layout: Layout, boards: Spool[str], listed: Spool[_Listed], used: Spool[str]) -> Iterator[Problem]:
    """Yield what belongs to no pair: list entries, label files, golden references and other images."""
    for entry in listed:
        if entry.stem not in boards and listed.get(entry.stem) == entry:
            used.append(entry.label)
            detail = f"{entry.name} names it, and there is no {posixpath.basename(entry.stem)}{_TEST} image"
            yield entry.label, QuarantineReason.LABEL_WITHOUT_IMAGE, detail
    for name in layout.with_suffix(".txt"):
        if name not in used and posixpath.dirname(name).endswith("_not"):
            yield name, QuarantineReason.LABEL_WITHOUT_IMAGE, "no image belongs to this label file"
    for image in layout.images:
        if image in used:
            continue
        path = stem_of(image)
        if path.endswith(_GOLDEN) and path.removesuffix(_GOLDEN) not in boards:
            yield image, QuarantineReason.MISSING_IMAGE, f"the {_TEST} image of this golden reference is missing"
        elif path.endswith(_TEST) and (taken := boards.get(_stem(image))) != image:
            yield image, QuarantineReason.DUPLICATE, f"{taken} has the same labels"
        elif not path.endswith((_GOLDEN, _TEST)):
            yield image, QuarantineReason.UNREADABLE_LABEL, f"its name ends in neither {_TEST} nor {_GOLDEN}"


def write(samples: Sequence[RawSample]) -> dict[str, bytes]:
    """Write samples as DeepPCB label files, and `metadata.csv` where there is metadata beside the board.

    Returns:
        File name to content; the images are expected under their own names beside it.

    Raises:
        SourceError: a name does not end in `_test`, or a label is not one of the six.
    """
    numbers = {name: number for number, name in CLASSES.items()}
    files: dict[str, bytes] = {}
    for sample in samples:
        stem = stem_of(sample.name)
        unknown = sorted({box.label for box in sample.boxes} - set(numbers))
        if not stem.endswith(_TEST) or unknown:
            message = (
                f"DeepPCB needs names ending in {_TEST} and labels of {', '.join(numbers)}; {sample.name} has "
                f"{', '.join(unknown) or 'another name'}"
            )
            raise SourceError(message)
        lines = [
            " ".join([*(f"{value:.17g}" for value in box.box.as_tuple()), str(numbers[box.label])]) + "\n"
            for box in sample.boxes
        ]
        files[_label_of(stem.removesuffix(_TEST))] = "".join(lines).encode()
    return {**files, **write_table(samples)}
