"""Which names of files in a source may be used."""

import posixpath
import unicodedata
from pathlib import PurePosixPath

from wafergate.formats.storable import showable

__all__ = ["MAX_FILE_BYTES", "follow", "is_litter", "showable", "why_too_large", "why_unsafe"]

MAX_FILE_BYTES = 1 << 30
"""Files that claim to be larger are left out: an image of this size is a mistake or an attack."""


def why_unsafe(name: str) -> str | None:
    """Say why a relative path may not be used; None when it may.

    Control characters and bytes that are no UTF-8 are refused because neither PostgreSQL nor a label file can hold
    them; backslashes and drive letters because they are separators and roots on some systems and not on others.
    """
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        return "its name holds control characters or is not UTF-8"
    if name.startswith("/") or "\\" in name or name[1:2] == ":":
        return "its name is an absolute path or holds a backslash or a drive letter"
    if ".." in PurePosixPath(name).parts:
        return "its name holds '..' and may point outside the source"
    return None


def why_too_large(size: int) -> str | None:
    """Say why a file of `size` bytes may not be used; None when it may."""
    return f"it is larger than {MAX_FILE_BYTES >> 20} MiB" if size > MAX_FILE_BYTES else None


def is_litter(name: str) -> bool:
    """Tell what systems leave behind: hidden files, macOS resource forks, Windows thumbnails."""
    parts = [part for part in PurePosixPath(name).parts if part != ".."]
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return hidden or (bool(parts) and parts[-1] in {"Thumbs.db", "desktop.ini"})


def follow(link: str, target: str) -> str | None:
    """Return where a link inside a source leads, relative to the source's root; None when that is outside."""
    if target.startswith("/") or "\\" in target:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
    return None if path == ".." or path.startswith("../") else path
