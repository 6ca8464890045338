"""Files in any S3 through the MinIO client, addressed by SHA-256, with a local cache of bounded size."""

import contextlib
import io
import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

from wafergate.adapters.s3_client import CONNECTIONS, connect, translated
from wafergate.domain.identity import digest_bytes
from wafergate.errors import NotFoundError, ServiceError, StorageError
from wafergate.ports import FileReader

__all__ = ["ReadOnlyFiles", "S3Files"]

_LINK = timedelta(days=7)  # the longest that S3 signs


class S3Files:
    """`FileStore` on one bucket; safe to share between threads."""

    def __init__(  # noqa: PLR0913 - one keyword for each thing that is set once, when a store is opened
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        *,
        bucket: str,
        cache: Path,
        cache_bytes: int,
        secure: bool = False,
        region: str | None = None,
        pause_s: float = 0.2,
    ) -> None:
        """Remember where the bucket is; it is first spoken to when it is first needed."""
        self._client = connect(endpoint, access_key, secret_key, secure=secure, region=region, pause_s=pause_s)
        self._endpoint = endpoint
        self._bucket = bucket
        self._cache = _Cache(cache, cache_bytes)

    def _translated(self, digest: str = "") -> AbstractContextManager[None]:
        return translated(self._endpoint, no_bucket=self._no_bucket(), missing=digest)

    def check(self) -> None:
        """See `FileStore.check`."""
        with self._translated():
            found = self._client.bucket_exists(self._bucket)
        if not found:
            raise self._no_bucket()

    def _no_bucket(self) -> ServiceError:
        message = f"S3 at {self._endpoint} has no bucket {self._bucket!r}: create it, or check WAFERGATE_S3_BUCKET"
        return ServiceError(message)

    def put(self, data: bytes) -> str:
        """See `FileStore.put`."""
        digest = digest_bytes(data)
        if not self.has(digest):
            with self._translated(digest):
                self._client.put_object(self._bucket, _key(digest), io.BytesIO(data), len(data))
        return digest

    def put_all(self, items: Iterable[bytes]) -> list[str]:
        """See `FileStore.put_all`; at most two rounds of uploads are in memory at a time."""
        digests: list[str] = []
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            running: deque[Future[str]] = deque()
            for item in items:
                running.append(pool.submit(self.put, item))
                if len(running) >= 2 * CONNECTIONS:
                    digests.append(running.popleft().result())
            digests.extend(future.result() for future in running)
        return digests

    def get(self, digest: str) -> bytes:
        """See `FileStore.get`."""
        with self._translated(digest):
            response = self._client.get_object(self._bucket, _key(digest))
            try:
                data = bytes(response.read())
            finally:
                response.close()
                response.release_conn()
        if digest_bytes(data) != digest:
            message = (
                f"the file {digest} in bucket {self._bucket!r} was changed: its bytes have the digest "
                f"{digest_bytes(data)}; restore it from a backup"
            )
            raise StorageError(message)
        return data

    def fetch(self, digest: str) -> Path:
        """See `FileStore.fetch`."""
        return self._cache.find(digest) or self._cache.add(digest, self.get(digest))

    def has(self, digest: str) -> bool:
        """See `FileStore.has`."""
        try:
            with self._translated(digest):
                self._client.stat_object(self._bucket, _key(digest))
        except NotFoundError:
            return False
        return True

    def remove(self, digests: Iterable[str]) -> None:
        """See `FileStore.remove`."""
        for digest in digests:
            with self._translated(digest):
                self._client.remove_object(self._bucket, _key(digest))
            self._cache.drop(digest)

    def address(self, digest: str) -> str:
        """See `FileStore.address`."""
        return f"s3://{self._bucket}/{_key(digest)}"

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """See `FileStore.sizes`; lists the folders the digests lie in, a thousand objects a request."""
        wanted = set(digests)

        def listed(folder: str) -> list[tuple[str, int]]:
            with self._translated():
                found = self._client.list_objects(self._bucket, prefix=f"blobs/{folder}/", recursive=True)
                return [(folder + str(item.object_name).rpartition("/")[2], int(item.size or 0)) for item in found]

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            folders = pool.map(listed, sorted({digest[:2] for digest in wanted}))
            return {digest: size for found in folders for digest, size in found if digest in wanted}

    def link(self, digest: str, *, content_type: str) -> str:
        """See `FileStore.link`; who has the address can read this one file."""
        with self._translated(digest):
            return str(
                self._client.presigned_get_object(
                    self._bucket, _key(digest), expires=_LINK, response_headers={"response-content-type": content_type}
                )
            )


class ReadOnlyFiles:
    """`FileReader` over any store: what holds it can look at files and change none."""

    def __init__(self, files: FileReader) -> None:
        self._get, self._link = files.get, files.link

    def get(self, digest: str) -> bytes:
        """See `FileReader.get`."""
        return self._get(digest)

    def link(self, digest: str, *, content_type: str) -> str:
        """See `FileReader.link`."""
        return self._link(digest, content_type=content_type)


def _key(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest[2:]}"


class _Cache:
    """Local copies, the longest unused thrown out first."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._size: int | None = None
        self._lock = threading.Lock()

    def find(self, digest: str) -> Path | None:
        path = self._folder / digest[:2] / digest[2:]
        try:
            os.utime(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if digest_bytes(path.read_bytes()) != digest:
            path.unlink(missing_ok=True)
            return None
        return path

    def add(self, digest: str, data: bytes) -> Path:
        path = self._folder / digest[:2] / digest[2:]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(data)
            Path(file.name).chmod(0o444)
            Path(file.name).replace(path)
        except OSError as error:
            message = (
                f"the cache {self._folder} cannot take a file of {len(data)} bytes ({error.strerror}): make "
                "room there, or set WAFERGATE_CACHE_DIR to a folder that has some"
            )
            raise StorageError(message) from error
        with self._lock:
            self._make_room(len(data), keep=path)
        return path

    def drop(self, digest: str) -> None:
        (self._folder / digest[:2] / digest[2:]).unlink(missing_ok=True)

    def _held(self) -> Iterator[tuple[float, int, Path]]:
        """Yield time of use, bytes and path of every file; what another process moves meanwhile is passed over."""
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                yield stat.st_mtime, stat.st_size, path

    def _make_room(self, added: int, *, keep: Path) -> None:
        if self._size is not None and self._size + added <= self._limit:
            self._size += added
            return
        files = sorted(self._held(), key=lambda item: item[0])
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self._limit:
                break
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size
        self._size = total
