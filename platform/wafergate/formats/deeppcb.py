"""DeepPCB pairs: a defective board `N_test.jpg`, its golden reference `N_temp.jpg`, labels `x1 y1 x2 y2 class`.

Corners are pixels counted from 0, taken as they stand; classes are numbers from 1 to 6 (S. Tang et al., 'Online PCB
Defect Detector On A New PCB Defect Dataset', 2019, and the README of its data set).
"""

import posixpath
from collections.abc import Mapping, Sequence

from wafergate.domain.geometry import Box
from wafergate.domain.samples import QuarantineReason, RawBox, RawSample, Reading
from wafergate.errors import SourceError
from wafergate.formats.layout import Layout, Problem, examples, inside, stem_of
from wafergate.formats.metadata import write_table
from wafergate.formats.options import ReadOptions
from wafergate.ports import Source

__all__ = ["CLASSES", "read", "write"]

CLASSES: Mapping[int, str] = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}
"""The data set's class numbers and names."""

_LISTS = ("trainval.txt", "test.txt")
_TEST, _GOLDEN = "_test", "_temp"


def _listed(layout: Layout) -> dict[str, tuple[str, str]]:
    """Return what the lists name: an image's path without `_test` and suffix, to its label file and its list."""
    found: dict[str, tuple[str, str]] = {}
    for name in sorted(layout.names):
        folder, file = posixpath.split(name)
        if file not in _LISTS:
            continue
        for line in layout.source.read(name).decode("utf-8-sig", "replace").splitlines():
            fields = line.split()
            image, label = (inside(folder, field) for field in (fields if len(fields) == 2 else ("/", "/")))
            if image and label:
                found[stem_of(image)] = (label, name)
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


def _golden_of(layout: Layout, stem: str, suffix: str) -> str | None:
    name = f"{stem}{_GOLDEN}{suffix}"
    return name if name in layout.names else None


def read(source: Source, options: ReadOptions) -> Reading:
    """Read every `*_test` image of a source, from `PCBData`, the folder above it, or one group.

    `trainval.txt` and `test.txt` say where labels lie; pairs they do not name are read by the same rule of names
    (`group/N/M_test.jpg`, `group/N_not/M.txt`), so boards that a team adds need no entry. An empty label file is a
    normal sample, a missing one is a problem, unless the options say that it is normal. Metadata
    `board` is the group folder's name.

    Raises:
        SourceError: there is no `*_test` image.
    """
    layout = Layout(source, options)
    stems = {stem_of(name).removesuffix(_TEST): name for name in layout.images if stem_of(name).endswith(_TEST)}
    if not stems:
        found = examples(layout.images) or "no images"
        message = f"DeepPCB needs pairs N{_TEST}.jpg and N{_GOLDEN}.jpg; {source.title} holds {found}"
        raise SourceError(message)
    listed = _listed(layout)
    problems: list[Problem] = []
    samples: list[RawSample] = []
    used: set[str] = set()
    for stem, image in stems.items():
        label = listed.get(stem, (_label_of(stem), ""))[0]
        used.add(label)
        if label not in layout.names and not layout.is_normal(image):
            problems.append((image, QuarantineReason.IMAGE_WITHOUT_LABEL, f"there is no label file {label}"))
            continue
        try:
            boxes = _parse(source.read(label).decode("utf-8-sig")) if label in layout.names else ()
        except (ValueError, SourceError) as error:
            problems.append((image, QuarantineReason.UNREADABLE_LABEL, f"{label}: {error}"))
            continue
        board = _board_of(image)
        reference = _golden_of(layout, stem, posixpath.splitext(image)[1])
        samples.append(RawSample(image, boxes, reference, metadata={"board": board} if board else {}))
    return layout.reading(samples, [*problems, *_unpaired(layout, stems, used, listed)])


def _unpaired(
    layout: Layout, stems: Mapping[str, str], used: set[str], listed: Mapping[str, tuple[str, str]]
) -> list[Problem]:
    """List what belongs to no pair: list entries, label files, golden references and other images."""
    found: list[Problem] = []
    for stem, (label, name) in listed.items():
        if stem not in stems:
            used.add(label)
            detail = f"{name} names it, and there is no {posixpath.basename(stem)}{_TEST} image"
            found.append((label, QuarantineReason.LABEL_WITHOUT_IMAGE, detail))
    found += [
        (name, QuarantineReason.LABEL_WITHOUT_IMAGE, "no image belongs to this label file")
        for name in layout.with_suffix(".txt")
        if name not in used and posixpath.dirname(name).endswith("_not")
    ]
    for image in layout.images:
        path = stem_of(image)
        if path.endswith(_GOLDEN) and path.removesuffix(_GOLDEN) not in stems:
            found.append(
                (image, QuarantineReason.MISSING_IMAGE, f"the {_TEST} image of this golden reference is missing")
            )
        elif path.endswith(_TEST) and stems[path.removesuffix(_TEST)] != image:
            found.append((image, QuarantineReason.DUPLICATE, f"{stems[path.removesuffix(_TEST)]} has the same labels"))
        elif not path.endswith((_GOLDEN, _TEST)):
            found.append((image, QuarantineReason.UNREADABLE_LABEL, f"its name ends in neither {_TEST} nor {_GOLDEN}"))
    return found


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
