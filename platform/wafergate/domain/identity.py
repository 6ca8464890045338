"""Digests and ids: the same inputs give the same id, so a rerun finds its own work."""

import dataclasses
import enum
import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import islice
from pathlib import PurePath
from typing import TypeGuard

__all__ = ["canonical_json", "digest_bytes", "digest_of", "identify"]

_CHUNK = 1000


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    message = f"a digest needs plain values, found {type(value).__name__}: {value!r}"
    raise TypeError(message)


def canonical_json(value: object) -> str:
    """Write `value` as JSON with sorted keys and no spaces, so that equal values give equal text."""
    return json.dumps(value, default=_plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of `value`; a long list is never text as a whole.

    An iterator, at the top or one level below, counts as the list of what it yields.
    """
    digest = hashlib.sha256()
    for piece in _pieces(value):
        digest.update(piece.encode())
    return digest.hexdigest()


def _pieces(value: object) -> Iterator[str]:
    """Yield the canonical JSON of a value in parts: long lists, at the top or one level below, in chunks."""
    if _is_long(value):
        items, begun = iter(value), False
        while chunk := list(islice(items, _CHUNK)):
            yield ("," if begun else "[") + canonical_json(chunk)[1:-1]
            begun = True
        yield "]" if begun else "[]"
    elif isinstance(value, (list, tuple)) and any(map(_is_long, value)):
        for place, item in enumerate(value):
            yield "," if place else "["
            yield from _pieces(item)
        yield "]"
    else:
        yield canonical_json(value)


def _is_long(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, Iterator) or (isinstance(value, (list, tuple)) and len(value) > _CHUNK)


def identify(kind: str, *inputs: object) -> str:
    """Return an id such as `split-3f2a…` (16 hexadecimal digits) that depends on `inputs` alone."""
    return f"{kind}-{digest_of(inputs)[:16]}"
