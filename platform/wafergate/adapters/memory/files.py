"""Files in memory, for unit tests."""

import base64
from collections.abc import Iterable
from pathlib import Path

from wafergate.domain.identity import digest_bytes
from wafergate.errors import NotFoundError, StorageError

__all__ = ["MemoryFiles"]


class MemoryFiles:
    """`FileStore` in a dictionary; `fetch` writes below the folder given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, bytes] = {}

    def check(self) -> None:
        """See `FileStore.check`."""

    def put(self, data: bytes) -> str:
        """See `FileStore.put`."""
        digest = digest_bytes(data)
        self._files[digest] = data
        return digest

    def put_all(self, items: Iterable[bytes]) -> list[str]:
        """See `FileStore.put_all`."""
        return [self.put(item) for item in items]

    def get(self, digest: str) -> bytes:
        """See `FileStore.get`."""
        if digest not in self._files:
            message = f"there is no file {digest} in the store"
            raise NotFoundError(message)
        data = self._files[digest]
        if digest_bytes(data) != digest:
            message = f"the file {digest} was changed: its bytes have the digest {digest_bytes(data)}"
            raise StorageError(message)
        return data

    def fetch(self, digest: str) -> Path:
        """See `FileStore.fetch`."""
        path = self._folder / digest
        path.write_bytes(self.get(digest))
        return path

    def has(self, digest: str) -> bool:
        """See `FileStore.has`."""
        return digest in self._files

    def remove(self, digests: Iterable[str]) -> None:
        """See `FileStore.remove`."""
        for digest in digests:
            self._files.pop(digest, None)

    def address(self, digest: str) -> str:
        """See `FileStore.address`."""
        return f"memory:{digest}"

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """See `FileStore.sizes`."""
        return {digest: len(self._files[digest]) for digest in digests if digest in self._files}

    def link(self, digest: str, *, content_type: str) -> str:
        """See `FileStore.link`."""
        return f"data:{content_type};base64,{base64.b64encode(self.get(digest)).decode()}"
