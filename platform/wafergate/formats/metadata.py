"""Metadata of images from a CSV file and from their names."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wafergate.domain.samples import QuarantineReason, RawSample
from wafergate.errors import SourceError

__all__ = ["METADATA_NAME", "MetadataTable", "Problem", "from_name", "parse_table", "write_table"]

METADATA_NAME = "metadata.csv"
"""Read in the root of a source: a column `name` or `image`, `reference` for the golden reference, any others."""

Problem = tuple[str, QuarantineReason, str]

_KEYS = ("name", "image")


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """Rows of the CSV by what they call their image, with what could not be read."""

    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def _unreadable(detail: str) -> MetadataTable:
    return MetadataTable(problems=((METADATA_NAME, QuarantineReason.UNREADABLE_LABEL, detail),))


def parse_table(data: bytes) -> MetadataTable:
    """Read a metadata table; empty cells tell nothing, and the first of two rows for one image is kept."""
    try:
        text = data.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        return _unreadable(f"it is not a CSV file in UTF-8 ({error}), so no image has metadata from it")
    header = [cell.strip() for cell in lines[0]] if lines else []
    key = next((header.index(name) for name in _KEYS if name in header), None)
    if key is None:
        found = ", ".join(header[:8]) or "nothing"
        return _unreadable(f"it needs a column 'name' or 'image', found {found}")
    rows: dict[str, Mapping[str, str]] = {}
    wrong: list[str] = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cells):
            continue
        if len(cells) != len(header):
            wrong.append(f"row {number} has {len(cells)} cells where {len(header)} are expected")
        elif cells[key] in rows:
            wrong.append(f"row {number} names {cells[key]} again")
        else:
            pairs = zip(header, cells, strict=True)
            rows[cells[key]] = {name: cell for name, cell in pairs if name and cell and name != header[key]}
    detail = f"{len(wrong)} rows are not used: {'; '.join(wrong[:3])}"
    return MetadataTable(rows, _unreadable(detail).problems if wrong else ())


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
