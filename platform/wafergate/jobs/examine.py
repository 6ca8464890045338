"""Every image file of a source examined once; what the examination told lies on disk."""

from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import fields
from operator import attrgetter, itemgetter
from threading import Lock
from typing import Any

from wafergate.domain.quarantine import Released
from wafergate.domain.samples import ImageRecord, QuarantineReason
from wafergate.errors import SourceError
from wafergate.formats.header import ImageRefusedError, read_header
from wafergate.jobs.parts import Parts, ahead, silent
from wafergate.jobs.quarantine import Refused
from wafergate.line import LineFile
from wafergate.ports import Progress, Source
from wafergate.spool import Spool

__all__ = ["Examined", "RecordOf", "examine_files", "is_large"]

RecordOf = Callable[[str], ImageRecord | None]
"""Finds what the examination told of a file; None where it did not enter."""

_BATCH = 1000
_LARGE = 8_000_000  # pixels; examining takes some 10 bytes each, and four images are at work at a time
_RECORD = attrgetter(*(field.name for field in fields(ImageRecord)))


class Examined:
    """What an examination found, on disk.

    Attributes:
        records: name and record of each file that entered, in the order in which they were examined.
        refused: the others.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.records: Spool[tuple[str, ImageRecord]] = Spool(key=itemgetter(0), pack=_packed, unpack=_unpacked)
        self.refused: Spool[Refused] = Spool()

    def record_of(self, name: str) -> ImageRecord | None:
        """Return the record of a file; None where it did not enter."""
        found = self.records.get(name)
        return found[1] if found else None


def _packed(item: tuple[str, ImageRecord]) -> tuple[object, ...]:
    return item[0], *_RECORD(item[1])


def _unpacked(values: tuple[Any, ...]) -> tuple[str, ImageRecord]:
    return values[0], ImageRecord(*values[1:])


def examine_files(
    parts: Parts,
    line: LineFile,
    source: Source,
    names: Collection[str],
    *,
    released: Released = frozenset(),
    progress: Progress = silent,
) -> Examined:
    """Examine each image file once, store it, and return its record by name, with what was refused."""
    examine, now, alone = parts.examiner(line.intake.max_pixels), parts.clock(), Lock()

    def enter(name: str) -> ImageRecord | Refused:
        try:
            data = source.read(name)
        except SourceError as error:
            return Refused(name, QuarantineReason.MISSING_IMAGE, str(error))
        try:
            shown = "" if (name, QuarantineReason.WRONG_SUFFIX) in released else name
            with alone if is_large(data) else nullcontext():
                record = examine(data, now=now, name=shown)
        except ImageRefusedError as error:
            return Refused(name, error.reason, error.detail, parts.files.put(data))
        parts.files.put(data)
        return record

    found = Examined()
    entered: list[tuple[str, ImageRecord]] = []
    for done, (name, result) in enumerate(zip(names, ahead(enter, names), strict=True), start=1):
        if isinstance(result, ImageRecord):
            entered.append((name, result))
        else:
            found.refused.append(result)
        if len(entered) == _BATCH or done == len(names):
            parts.facts.save_all(record for _, record in entered)
            found.records.extend(entered)
            entered.clear()
        progress("examining images", done, len(names))
    return found


def is_large(data: bytes) -> bool:
    """Tell whether an image needs so much memory that several at once would need too much."""
    try:
        return read_header(data).pixels > _LARGE
    except ImageRefusedError:
        return False
