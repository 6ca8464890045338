"""Which row a person means who types the first digits of its id, as lists show them."""

from typing import Protocol, TypeVar

from wafergate.errors import NotFoundError
from wafergate.ports import FactStore

__all__ = ["find_by_digits"]

_FEWEST = 4
"""Digits that have to be typed: fewer would name another row as soon as the store grows."""


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=_Identified)


def find_by_digits(facts: FactStore, kind: type[Row], key: str, *, prefix: str, shown_by: str) -> Row:
    """Return the row of an id, or of the first digits of one.

    Args:
        facts: the store.
        kind: of the row.
        key: what was typed, with or without the id's prefix.
        prefix: what ids of this kind begin with, e.g. `review-`.
        shown_by: the command that lists the ids.

    Raises:
        NotFoundError: there is none, or there are several.
    """
    digits = key.removeprefix(prefix)
    rows = facts.find(kind) if len(digits) >= _FEWEST else []
    found = [row for row in rows if row.id.removeprefix(prefix).startswith(digits)]
    if len(found) != 1:
        wrong = f"{len(found)} ids begin" if found else "no id begins"
        message = f"{wrong} with {key!r} ({_FEWEST} digits and more); `{shown_by}` shows them"
        raise NotFoundError(message)
    return found[0]
