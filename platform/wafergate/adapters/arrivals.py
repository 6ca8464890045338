"""A place that files come into: what is there whole, as a source."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wafergate.errors import SourceError
from wafergate.formats.metadata import METADATA_NAME
from wafergate.ports import Source

__all__ = ["Arrivals", "Settled", "stamp_of_file"]

Stamp = tuple[int, int] | str


def stamp_of_file(root: Path, name: str) -> Stamp | None:
    """Return size and time of the last change of a file; None where it is gone."""
    try:
        found = (root / name).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Settled:
    """A source without the files that are still being written; of a metadata table it has the lines that are whole.

    Attributes:
        source: all that is there.
        stamps: the files that can be read, each with what tells one state of it from another.
        growing: those that are still being written.
    """

    source: Source
    stamps: Mapping[str, Stamp]
    growing: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """Name it for a person."""
        return self.source.title

    def names(self) -> Sequence[str]:
        """List the files that can be read, sorted."""
        return sorted(self.stamps)

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """List what was refused, as the source does."""
        return self.source.unsafe()

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            SourceError: it is not there, cannot be read or is not whole yet.
        """
        self._require_whole(name)
        data = self.source.read(name)
        return _whole_lines(data) if name in self.growing else data

    def open(self, name: str) -> BinaryIO:
        """Open a file; raises as `read` does."""
        self._require_whole(name)
        return io.BytesIO(self.read(name)) if name in self.growing else self.source.open(name)

    def _require_whole(self, name: str) -> None:
        if name not in self.stamps:
            message = f"{name} in {self.title} is still being written"
            raise SourceError(message)


_CELL = re.compile(rb'(?:"[^"]*+(?:""[^"]*+)*+"[^,\n]*+|[^",\n][^,\n]*+)?([,\n])')
"""A cell and what ends it. As for the module `csv`, a quote opens a cell only where it begins one."""


def _whole_lines(table: bytes) -> bytes:
    """Return a CSV up to the last line break that stands in no quoted cell."""
    place = end = 0
    while cell := _CELL.match(table, place):
        place = cell.end()
        if cell[1] == b"\n":
            end = place
    return table[:end]


class Arrivals:
    """Looks at a folder again and again; a file is whole once two looks find it with the same size and time."""

    def __init__(self, open_place: Callable[[], Source], stamp: Callable[[str], Stamp | None]) -> None:
        """Remember how to look.

        Args:
            open_place: lists what is there now.
            stamp: size and time of change of a file.
        """
        self._open, self._stamp = open_place, stamp
        self._before: dict[str, Stamp] = {}

    def __call__(self) -> Settled:
        """Look once.

        Raises:
            SourceError: there is no such place.
        """
        source = self._open()
        now = {name: stamp for name in source.names() if (stamp := self._stamp(name)) is not None}
        growing = frozenset(name for name, stamp in now.items() if self._before.get(name) != stamp)
        self._before = now
        readable = {name: stamp for name, stamp in now.items() if name not in growing or name == METADATA_NAME}
        return Settled(source, readable, growing)
