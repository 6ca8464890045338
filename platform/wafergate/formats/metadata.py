"""Metadata of images from a CSV file and from their names."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter
from typing import BinaryIO

from wafergate.domain.samples import QuarantineReason, RawSample
from wafergate.errors import SourceError
from wafergate.formats.json_stream import undecodable
from wafergate.formats.storable import is_storable
from wafergate.spool import Spool

__all__ = ["METADATA_NAME", "MetadataTable", "Problem", "from_name", "parse_table", "write_table"]

METADATA_NAME = "metadata.csv"
"""Read in the root of a source: a column `name` or `image`, `reference` for the golden reference, any others."""

Problem = tuple[str, QuarantineReason, str]

_KEYS = ("name", "image")


Row = tuple[str, Mapping[str, str]]
"""What a row calls its image, and its other cells."""


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """Rows of the CSV on disk, found and ordered by what they call their image, with what could not be read.

    Attributes:
        rows: those that are used.
        problems: what could not be read.
        can_tell: whether it is a table that more rows may come into; not where there is none or it cannot be read.
    """

    rows: Spool[Row] = field(default_factory=lambda: Spool(key=itemgetter(0), ordered=True))
    problems: tuple[Problem, ...] = ()
    can_tell: bool = False


def _unreadable(detail: str) -> tuple[Problem, ...]:
    return ((METADATA_NAME, QuarantineReason.UNREADABLE_LABEL, detail),)


def parse_table(file: BinaryIO) -> MetadataTable:
    """Read a metadata table; empty cells tell nothing, and the first of two rows for one image is kept."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        return _parse(csv.reader(text, strict=True))
    except UnicodeDecodeError as error:
        why = undecodable(error, file.tell() - len(error.object))
    except csv.Error as error:
        why = str(error)
    finally:
        text.detach()  # the file is the caller's to close
    return MetadataTable(
        problems=_unreadable(f"it is not a CSV file in UTF-8 ({why}), so no image has metadata from it")
    )


def _parse(lines: Iterator[list[str]]) -> MetadataTable:
    header = [cell.strip() for cell in next(lines, [])]
    key = next((header.index(name) for name in _KEYS if name in header), None)
    if key is None:
        for _ in lines:  # what is no CSV at all is told as that
            pass
        found = ", ".join(header[:8]) or "nothing"
        return MetadataTable(problems=_unreadable(f"it needs a column 'name' or 'image', found {found}"))
    if not all(map(is_storable, header)):
        return MetadataTable(problems=_unreadable("the name of a column holds a NUL, which cannot be stored"))
    table = MetadataTable(can_tell=True)
    wrong: Spool[str] = Spool()
    for number, cells in enumerate(lines, start=2):
        if not any(cells):
            continue
        if len(cells) != len(header):
            wrong.append(f"row {number} has {len(cells)} cells where {len(header)} are expected")
        elif not all(map(is_storable, cells)):
            wrong.append(f"row {number} holds a NUL, which cannot be stored")
        elif table.rows.get(cells[key]):
            wrong.append(f"row {number} names {cells[key]} again")
        else:
            pairs = zip(header, cells, strict=True)
            told = {name: cell for name, cell in pairs if name and cell and name != header[key]}
            table.rows.append((cells[key], told))
    detail = f"{len(wrong)} rows are not used: {'; '.join(islice(wrong, 3))}"
    return replace(table, problems=_unreadable(detail)) if wrong else table


def from_name(pattern: re.Pattern[str], name: str) -> dict[str, str]:
    """Return the named groups of a pattern searched in an image's path; empty where it is not found."""
    match = pattern.search(name)
    return {key: value for key, value in match.groupdict().items() if value} if match else {}


def write_table(samples: Sequence[RawSample]) -> dict[str, bytes]:
    """Return the metadata table of samples as a file; none where there is nothing to tell.

    Raises:
        SourceError: a metadata key is one of the table's own columns.
    """
    own = sorted({key for sample in samples for key in sample.metadata} & {"name", "reference"})
    if own:
        message = f"{METADATA_NAME} has its own columns name and reference, found metadata called {', '.join(own)}"
        raise SourceError(message)
    rows = [dict(sample.metadata) | ({"reference": sample.reference} if sample.reference else {}) for sample in samples]
    columns = sorted({key for row in rows for key in row})
    if not columns:
        return {}
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["name", *columns])
    for sample, row in zip(samples, rows, strict=True):
        writer.writerow([sample.name, *(row.get(column, "") for column in columns)])
    return {METADATA_NAME: stream.getvalue().encode()}
