"""Zip and tar archives as sources: safe names only, links resolved inside the archive, nothing extracted."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, BinaryIO

from wafergate.adapters.safe_names import follow, is_litter, showable, why_too_large, why_unsafe
from wafergate.adapters.unnamed import unnamed
from wafergate.errors import SourceError

__all__ = ["TarSource", "ZipSource", "looks_like_tar", "looks_like_zip"]

_OPENERS: Mapping[bytes, Callable[[Path], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
_UNPACK_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
_CHUNK = 1 << 20
_ENCRYPTED = 1  # APPNOTE.TXT 4.4.4, general purpose bit 0


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror})"
        raise SourceError(message) from error


def looks_like_zip(path: Path) -> bool:
    """Tell whether a file begins like a zip archive (also an empty one)."""
    return _start(path).startswith((b"PK\x03\x04", b"PK\x05\x06"))


def looks_like_tar(path: Path) -> bool:
    """Tell whether a file begins like a tar archive or like something compressed that may hold one."""
    start = _start(path)
    return start[257:262] == b"ustar" or start.startswith(tuple(_OPENERS)) or tarfile.is_tarfile(path)


class _Contents:
    """The entries of an archive that may be used, and what was refused."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []
        self._files: set[str] = set()
        self._links: dict[str, str | None] = {}

    def admit(self, raw: str, size: int, why: str | None) -> str | None:
        """Return the normal form of an entry's name if the entry is used."""
        unsafe = why_unsafe(raw)
        if not unsafe and is_litter(raw):
            return None
        why = unsafe or why or why_too_large(size)
        name = posixpath.normpath(raw)
        if not why and (name in self._files or name in self._links):
            why = "the archive holds this name before; the first entry is used"
        if why:
            self.refused.append((showable(raw), why))
            return None
        return name

    def add_file(self, name: str) -> None:
        self._files.add(name)

    def add_link(self, name: str, target: str | None) -> None:
        self._links[name] = target

    def resolve(self) -> dict[str, str]:
        """Return each usable name and the file it stands for: itself, or what its link leads to."""
        found = {name: name for name in self._files}
        for name in self._links:
            target, steps = self._links[name], 0
            while target in self._links and steps <= len(self._links):
                target, steps = self._links[target], steps + 1
            if target in self._files:
                found[name] = target
            else:
                self.refused.append((showable(name), "it is a link that points outside the archive or to nothing"))
        return found


class _Archive:
    """What zip and tar sources share."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._contents = _Contents()
        self._files: dict[str, str] = {}

    @property
    def title(self) -> str:
        """Name it for a person."""
        return self._title

    def names(self) -> Sequence[str]:
        """List every file as a relative path with `/`, sorted; unsafe names are left out."""
        return tuple(sorted(self._files))

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """List what was refused: (name, why)."""
        return tuple(self._contents.refused)

    def _entry(self, name: str) -> str:
        try:
            return self._files[name]
        except KeyError as error:
            message = f"there is no file {showable(name)} in {self._title}"
            raise SourceError(message) from error

    def _unreadable(self, name: str, error: Exception) -> SourceError:
        return SourceError(f"{showable(name)} in {self._title} cannot be read ({error})")


def _why_zip(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if kind and kind not in {stat.S_IFREG, stat.S_IFLNK}:
        return "it is neither a file nor a folder"
    return None


class ZipSource(_Archive):
    """A zip archive, read member by member; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"archive {path}")
        try:
            self._zip = zipfile.ZipFile(path)
            members = self._zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            message = f"{path} cannot be opened as a zip archive ({error}); it may be damaged or not copied to its end"
            raise SourceError(message) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in members:
            self._add(info)
        self._files = self._contents.resolve()

    def _add(self, info: zipfile.ZipInfo) -> None:
        if info.is_dir():
            return
        # The name as stored: zipfile itself cuts at a NUL and turns the separators of this system into slashes.
        name = self._contents.admit(info.orig_filename, info.file_size, _why_zip(info))
        if name is None:
            return
        self._members[name] = info
        if stat.S_ISLNK(info.external_attr >> 16):
            target = self._bytes(name)[:4096].decode("utf-8", "surrogateescape")
            self._contents.add_link(name, follow(name, target))
        else:
            self._contents.add_file(name)

    def _bytes(self, name: str) -> bytes:
        return b"".join(self._pieces(name))

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(self._members[name]) as member:
                while piece := member.read(_CHUNK):
                    yield piece
        except (zipfile.BadZipFile, *_UNPACK_ERRORS, NotImplementedError, RuntimeError) as error:
            raise self._unreadable(name, error) from error

    def read(self, name: str) -> bytes:
        """Return a file's bytes; its checksum is verified.

        Raises:
            SourceError: it is not there or is damaged.
        """
        return self._bytes(self._entry(name))

    def open(self, name: str) -> BinaryIO:
        """Open a file, its checksum verified; raises as `read` does."""
        return unnamed(self._pieces(self._entry(name)))


def _copy(packed: io.BufferedIOBase, plain: IO[bytes], path: Path) -> None:
    room = shutil.disk_usage(tempfile.gettempdir()).free // 2
    done = 0
    while chunk := packed.read(_CHUNK):
        done += len(chunk)
        if done > room:
            message = f"{path} unpacks to more than {room >> 20} MiB, half of the free space; extract it to a folder"
            raise SourceError(message)
        plain.write(chunk)
    plain.seek(0)


def _unpack(packed: io.BufferedIOBase, path: Path) -> IO[bytes]:
    """Copy a compressed tar into an unnamed temporary file, which goes when it is closed."""
    with contextlib.ExitStack() as on_error:
        plain = on_error.enter_context(tempfile.TemporaryFile())
        try:
            _copy(packed, plain, path)
        except _UNPACK_ERRORS as error:
            message = f"{path} cannot be unpacked ({error}); it may be damaged or not copied to its end"
            raise SourceError(message) from error
        on_error.pop_all()  # from here on the source closes it
    return plain


def _open_tar(path: Path) -> IO[bytes]:
    start = _start(path)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            with opener(path) as packed:
                return _unpack(packed, path)
    return path.open("rb")


def _why_tar(info: tarfile.TarInfo) -> str | None:
    if info.issparse():
        return "it is a sparse file"
    if not (info.isreg() or info.issym() or info.islnk()):
        return "it is neither a file nor a folder"
    return None


class TarSource(_Archive):
    """A tar archive, plain or compressed; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"archive {path}")
        self._file = _open_tar(path)
        weakref.finalize(self, self._file.close)
        self._places: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as archive:
                for info in archive:
                    self._add(info)
                end = os.pread(self._file.fileno(), tarfile.BLOCKSIZE, archive.offset)
        except (tarfile.TarError, OSError, ValueError) as error:
            message = f"{path} cannot be opened as a tar archive ({error}); it may be damaged or not copied to its end"
            raise SourceError(message) from error
        if end != bytes(tarfile.BLOCKSIZE):
            # Cut between two members it would look whole and shorter (POSIX.1-2017, pax, 'ustar Interchange Format').
            message = f"{path} has no end-of-archive block; it was not copied to its end"
            raise SourceError(message)
        self._files = self._contents.resolve()

    def _add(self, info: tarfile.TarInfo) -> None:
        if info.isdir():
            return
        name = self._contents.admit(info.name, info.size, _why_tar(info))
        if name is None:
            return
        if info.issym() or info.islnk():
            # A symbolic link is relative to its own folder, a hard link to the root of the archive.
            place = name if info.issym() else posixpath.basename(name)
            self._contents.add_link(name, follow(place, info.linkname))
        else:
            self._places[name] = (info.offset_data, info.size)
            self._contents.add_file(name)

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            SourceError: it is not there or the archive ends before it does.
        """
        return b"".join(self._pieces(name))

    def open(self, name: str) -> BinaryIO:
        """Open a file; raises as `read` does."""
        return unnamed(self._pieces(name))

    def _pieces(self, name: str) -> Iterator[bytes]:
        offset, size = self._places[self._entry(name)]
        for start in range(0, size, _CHUNK):
            length = min(_CHUNK, size - start)
            try:
                data = os.pread(self._file.fileno(), length, offset + start)
            except OSError as error:
                raise self._unreadable(name, error) from error
            if len(data) != length:
                message = f"{showable(name)} in {self._title} is cut off: {start + len(data)} of {size} bytes are there"
                raise SourceError(message)
            yield data
