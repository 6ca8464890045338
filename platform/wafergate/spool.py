"""What grows with a set of images lies here: on disk, with a few pages of it in memory."""

import pickle
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, TypeVar

from wafergate.errors import StorageError

__all__ = ["Spool", "no_room"]

Item = TypeVar("Item")

_FETCHED = 256  # rows in memory while a spool is gone through


def _as_it_is(item: object) -> object:
    return item


class Spool(Collection[Item], Generic[Item]):
    """Items one after the other, found again by their keys.

    They lie in a private, temporary SQLite database: an unnamed file in the folder that `TMPDIR` names, which goes when
    the spool does. Of it, 2 MiB at most are in memory. Each item comes back as an equal one, not as the same object.
    Items may be looked up while others are appended, not while all are gone through.
    """

    def __init__(
        self,
        items: Iterable[Item] = (),
        *,
        key: Callable[[Item], str] | None = None,
        ordered: bool = False,
        pack: Callable[[Item], object] = _as_it_is,
        unpack: Callable[..., Item] = _as_it_is,  # type: ignore[assignment]
    ) -> None:
        """Begin with some items.

        Args:
            items: the first ones.
            key: names an item; several may have the same name.
            ordered: go through them in the order of their keys, not in the one in which they came.
            pack: an item as plain values, which are faster to write than value objects.
            unpack: the way back.
        """
        self._key, self._pack, self._unpack = key, pack, unpack
        self._count = 0
        # One transaction without a journal: what is not finished is of no use to anybody.
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("CREATE TABLE item (place INTEGER PRIMARY KEY, key BLOB, value BLOB)")
        if key is not None:
            self._rows.execute("CREATE INDEX item_by_key ON item (key)")
        self._rows.execute("BEGIN")
        self._all = f"SELECT value FROM item ORDER BY {'key, place' if ordered else 'place'}"  # noqa: S608 - one of two
        self.extend(items)

    def append(self, item: Item) -> None:
        """Add an item at the end.

        Raises:
            StorageError: there is no room for it.
        """
        key = None if self._key is None else _encoded(self._key(item))
        row = (key, pickle.dumps(self._pack(item), pickle.HIGHEST_PROTOCOL))
        try:
            self._rows.execute("INSERT INTO item (key, value) VALUES (?, ?)", row)
        except sqlite3.Error as error:
            raise no_room(error) from error
        self._count += 1

    def extend(self, items: Iterable[Item]) -> None:
        """Add items at the end."""
        for item in items:
            self.append(item)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        rows = self._rows.execute(self._all)
        # Each row that SQLite hands out lets other threads run first, so they are not fetched between two items.
        while some := rows.fetchmany(_FETCHED):
            yield from map(self._decoded, some)

    def __contains__(self, key: object) -> bool:
        """Tell whether an item has this key."""
        if not self._count:
            return False
        found = self._rows.execute("SELECT 1 FROM item WHERE key = ?", (_encoded(str(key)),))
        return found.fetchone() is not None

    def get(self, key: str) -> Item | None:
        """Return the last item of a key; None where there is none."""
        if not self._count:
            return None
        found = self._rows.execute(
            "SELECT value FROM item WHERE key = ? ORDER BY place DESC LIMIT 1", (_encoded(key),)
        ).fetchone()
        return None if found is None else self._decoded(found)

    def all_of(self, key: str) -> list[Item]:
        """Return the items of a key in the order in which they came."""
        found = self._rows.execute("SELECT value FROM item WHERE key = ? ORDER BY place", (_encoded(key),))
        return [self._decoded(row) for row in found]

    def is_single(self, key: str) -> bool:
        """Tell whether exactly one item has a key; takes the same time however many have it."""
        found = self._rows.execute("SELECT 1 FROM item WHERE key = ? LIMIT 2", (_encoded(key),))
        return len(found.fetchall()) == 1

    def _decoded(self, row: tuple[bytes]) -> Item:
        return self._unpack(pickle.loads(row[0]))  # noqa: S301 - of a file that nobody else can open


def no_room(error: Exception) -> StorageError:
    """Return what a person is told where a temporary file cannot be written."""
    return StorageError(
        f"temporary files need room in {tempfile.gettempdir()} ({error}): make some, or name another folder in TMPDIR"
    )


def _encoded(key: str) -> bytes:
    """Return a key as bytes that sort as the text does, whatever letters it holds."""
    return key.encode("utf-8", "surrogatepass")
