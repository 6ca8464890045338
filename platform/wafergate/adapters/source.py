"""Open what a person points at as a source of images and labels: a folder, a zip or a tar archive."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from wafergate.adapters.archives import TarSource, ZipSource, looks_like_tar, looks_like_zip
from wafergate.adapters.safe_names import is_litter, showable, why_too_large, why_unsafe
from wafergate.errors import SourceError
from wafergate.ports import Progress, Source

__all__ = ["FolderSource", "TarSource", "WatchedSource", "ZipSource", "open_source", "require_files", "require_there"]


class FolderSource:
    """A folder with everything below it; links are followed only where they stay inside."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._title = f"folder {root}"
        self._unsafe: list[tuple[str, str]] = []
        self._names = tuple(sorted(self._walk("")))

    @property
    def title(self) -> str:
        """Name it for a person."""
        return self._title

    def _walk(self, below: str) -> Iterator[str]:
        try:
            with os.scandir(self._root / below) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._unsafe.append((below or ".", f"the folder cannot be opened ({error.strerror})"))
            return
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            unsafe = why_unsafe(entry.name)
            if not unsafe and is_litter(entry.name):
                continue
            why = unsafe or self._why_special(entry, name)
            if why:
                self._unsafe.append((showable(name), why))
            elif entry.is_dir(follow_symlinks=False):
                yield from self._walk(name)
            else:
                yield name

    def _why_special(self, entry: os.DirEntry[str], name: str) -> str | None:
        if entry.is_symlink():
            return self._why_link(name)
        if entry.is_dir(follow_symlinks=False):
            return None
        if not entry.is_file(follow_symlinks=False):
            return "it is neither a file nor a folder"
        return why_too_large(entry.stat(follow_symlinks=False).st_size)

    def _why_link(self, name: str) -> str | None:
        try:
            target = (self._root / name).resolve(strict=True)
        except (OSError, RuntimeError):
            return "it is a link to nothing"
        if not target.is_relative_to(self._root):
            return "it is a link that points outside the source"
        if target.is_dir():
            return "it is a link to a folder of the source; what lies there is listed under its own name"
        if not target.is_file():
            return "it is a link to something that is neither a file nor a folder"
        return why_too_large(target.stat().st_size)

    def names(self) -> Sequence[str]:
        """List every file as a relative path with `/`, sorted; unsafe names are left out."""
        return self._names

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """List what was refused: (name, why)."""
        return tuple(self._unsafe)

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            SourceError: it is not there, cannot be read, or its path leads outside.
        """
        with self._telling(name):
            return self._path(name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """Open a file; raises as `read` does."""
        with self._telling(name):
            return self._path(name).open("rb")

    def _path(self, name: str) -> Path:
        path = self._root / name
        why = why_unsafe(name)
        # Asked again here, because a link may have been put there after the listing.
        if not why and not path.resolve().is_relative_to(self._root):
            why = "it points outside the source"
        if why:
            message = f"{showable(name)} in {self._title} is refused: {why}"
            raise SourceError(message)
        return path

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            message = f"there is no file {showable(name)} in {self._title}"
            raise SourceError(message) from error
        except OSError as error:
            message = f"{showable(name)} in {self._title} cannot be read ({error.strerror})"
            raise SourceError(message) from error


class WatchedSource:
    """Any source, telling how many of its files have been read; readers know nothing of progress."""

    def __init__(self, source: Source, progress: Progress, *, stage: str = "reading labels") -> None:
        self._source = source
        self._progress = progress
        self._stage = stage
        self._done = 0

    @property
    def title(self) -> str:
        """Name it for a person."""
        return self._source.title

    def names(self) -> Sequence[str]:
        """List every file, as the source does."""
        return self._source.names()

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """List what was refused, as the source does."""
        return self._source.unsafe()

    def read(self, name: str) -> bytes:
        """Return a file's bytes and tell one more; the total is not known, as readers open what they need.

        Raises:
            SourceError: it is not there or cannot be read.
        """
        data = self._source.read(name)
        self._tell()
        return data

    def open(self, name: str) -> BinaryIO:
        """Open a file and tell one more; raises as `read` does."""
        file = self._source.open(name)
        self._tell()
        return file

    def _tell(self) -> None:
        self._done += 1
        self._progress(self._stage, self._done, 0)


def open_source(path: Path) -> Source:
    """Open a folder, a .zip, or a .tar (also .tar.gz, .tar.bz2, .tar.xz) by its content, not its name.

    Files are read one by one when asked for. Nothing is extracted, except that a compressed tar is unpacked once into
    an unnamed temporary file, because its members cannot be reached in any other order than their own.
    Hidden files and what systems leave behind (`.DS_Store`, `__MACOSX/`, `Thumbs.db`) are not listed at all.

    Raises:
        SourceError: there is nothing at `path`, it is neither folder nor archive, is damaged, or holds no usable file.
    """
    source: Source
    require_there(path)
    if path.is_dir():
        source = FolderSource(path)
    elif not path.is_file():
        message = f"{path} is neither a folder nor a file; a source is a folder, a .zip, a .tar or s3://bucket/prefix"
        raise SourceError(message)
    elif looks_like_zip(path):
        source = ZipSource(path)
    elif looks_like_tar(path):
        source = TarSource(path)
    else:
        message = f"{path} is a file, but no zip or tar archive; a source is a folder, a .zip or a .tar"
        raise SourceError(message)
    return require_files(source)


def require_there(path: Path) -> None:
    """Refuse a place where nothing is.

    Raises:
        SourceError: there is nothing.
    """
    if not path.exists():
        message = f"there is no folder or archive {path}; check --source"
        raise SourceError(message)


def require_files(source: Source) -> Source:
    """Return a source that holds at least one file that may be read.

    Raises:
        SourceError: it holds none; what was refused is told.
    """
    if not source.names():
        refused = source.unsafe()
        seen = f"; {len(refused)} were refused, the first is {refused[0][0]}: {refused[0][1]}" if refused else ""
        message = f"{source.title} holds no usable files{seen}; a source holds images and their labels"
        raise SourceError(message)
    return source
