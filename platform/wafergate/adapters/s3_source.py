"""A prefix of a bucket as a source: `s3://bucket/exports/week12` reads like the folder of that name."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from minio import Minio

from wafergate.adapters.s3_client import translated
from wafergate.adapters.safe_names import is_litter, showable, why_too_large, why_unsafe
from wafergate.adapters.unnamed import unnamed
from wafergate.errors import NotFoundError, SourceError

__all__ = ["SCHEME", "S3Source"]

SCHEME = "s3://"
_PIECE = 1 << 20
_BUCKET = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$")


class S3Source:
    """The objects below a prefix, listed once and read one by one; safe to use from several threads."""

    def __init__(self, client: Minio, endpoint: str, address: str) -> None:
        """List the prefix.

        Args:
            client: to the server that holds the bucket.
            endpoint: that server, for messages.
            address: `s3://bucket` or `s3://bucket/prefix`.

        Raises:
            SourceError: there is no such bucket, or the address names one file.
            ServiceError: the server does not answer or refuses.
        """
        self._client, self._endpoint = client, endpoint
        place = address.removeprefix(SCHEME).rstrip("/")
        self._address = SCHEME + place
        self._bucket, _, prefix = place.partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._unsafe: list[tuple[str, str]] = []
        self._etags: dict[str, str | None] = {}
        if not _BUCKET.match(self._bucket):
            message = f"a source on S3 is {SCHEME}bucket/prefix, found {address!r}; check --source"
            raise SourceError(message)
        self._no_bucket = SourceError(f"S3 at {endpoint} has no bucket {self._bucket!r}; check --source {address}")
        with translated(endpoint, no_bucket=self._no_bucket):
            for found in client.list_objects(self._bucket, prefix=self._prefix, recursive=True):
                self._admit(found.object_name.removeprefix(self._prefix), found.size or 0, found.etag)
        if not self._etags and not self._unsafe:
            self._refuse_single_file(prefix)

    @property
    def title(self) -> str:
        """Name it for a person."""
        return f"S3 prefix {self._address}"

    def _admit(self, name: str, size: int, etag: str | None) -> None:
        if not name or name.endswith("/"):
            return  # what consoles put there to show an empty folder
        why = why_unsafe(name)
        if not why and is_litter(name):
            return
        if not why and posixpath.normpath(name) != name:
            why = "its name holds empty or '.' parts, which no folder can"
        why = why or why_too_large(size)
        if why:
            self._unsafe.append((showable(name), why))
        else:
            self._etags[name] = etag

    def _refuse_single_file(self, key: str) -> None:
        if not key:
            return
        try:
            with translated(self._endpoint, no_bucket=self._no_bucket):
                self._client.stat_object(self._bucket, key)
        except NotFoundError:
            return
        message = (
            f"{self._address} is one file; a source on S3 is a prefix with images and labels below it: unpack an "
            "archive there, or fetch it and give its path"
        )
        raise SourceError(message)

    def names(self) -> Sequence[str]:
        """List every file as a relative path with `/`, sorted; unsafe names are left out."""
        return tuple(sorted(self._etags))

    def stamps(self) -> dict[str, str]:
        """Return every file with its ETag: another one once the object is replaced."""
        return {name: etag or "" for name, etag in self._etags.items()}

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """List what was refused: (name, why)."""
        return tuple(self._unsafe)

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            SourceError: it was not listed, or is gone or another since it was.
            ServiceError: the server does not answer or refuses.
        """
        return b"".join(self._pieces(name))

    def open(self, name: str) -> BinaryIO:
        """Open an object; raises as `read` does."""
        return unnamed(self._pieces(name))

    def _pieces(self, name: str) -> Iterator[bytes]:
        if name not in self._etags:
            message = f"there is no file {showable(name)} in {self.title}"
            raise SourceError(message)
        try:
            with translated(self._endpoint, no_bucket=self._no_bucket, missing=name):
                response = self._client.get_object(self._bucket, self._prefix + name)
                try:
                    etag = response.headers.get("ETag", "").strip('"')
                    yield from response.stream(_PIECE)
                finally:
                    response.close()
                    response.release_conn()
        except NotFoundError as error:
            message = f"{showable(name)} in {self.title} is gone since it was listed"
            raise SourceError(message) from error
        if self._etags[name] and etag != self._etags[name]:
            message = f"{showable(name)} in {self.title} was replaced since it was listed; run intake again"
            raise SourceError(message)
