"""CSV that people open in a spreadsheet: names in any language are read right, and none runs as a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

__all__ = ["ENCODING", "guarded", "table"]

ENCODING = "utf-8-sig"
"""UTF-8 with a byte-order mark, without which Excel takes it for the code page of the country."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    Example:
        >>> [guarded(cell) for cell in ("A1", "=HYPERLINK(1)")]
        ['A1', "'=HYPERLINK(1)"]
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows as a CSV file for people; every text is guarded, so a number below 0 is given as a number."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    for row in (columns, *rows):
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])
    return stream.getvalue().encode(ENCODING)
