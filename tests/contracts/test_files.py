"""One suite for every file store: the one in memory behaves as the one on S3."""

import hashlib
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from wafergate.adapters.memory import MemoryFiles
from wafergate.adapters.s3 import S3Files
from wafergate.errors import NotFoundError, ServiceError, StorageError
from wafergate.ports import FileStore
from wafergate.settings import Settings

SEEDS = count()


def on_s3(values: Settings, cache: Path, *, cache_bytes: int = 10**6, **changed: str) -> S3Files:
    return S3Files(
        changed.get("endpoint", values.s3_endpoint),
        values.s3_access_key.get_secret_value(),
        changed.get("secret", values.s3_secret_key.get_secret_value()),
        bucket=changed.get("bucket", values.s3_bucket),
        cache=cache,
        cache_bytes=cache_bytes,
        secure=values.s3_secure,
    )


@pytest.fixture(params=[pytest.param("memory", marks=pytest.mark.unit), pytest.param("s3", marks=pytest.mark.services)])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStore]:
    if request.param == "memory":
        yield MemoryFiles(tmp_path)
    else:
        yield on_s3(request.getfixturevalue("service_settings"), tmp_path)


def fresh() -> bytes:
    return b"bytes of test %d " % next(SEEDS) * 100


def test_a_file_is_found_under_the_digest_of_its_bytes(files: FileStore) -> None:
    data = fresh()
    digest = files.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert files.get(digest) == data
    assert files.fetch(digest).read_bytes() == data
    assert files.has(digest)


def test_a_removed_file_is_gone_its_local_copy_too_and_may_be_removed_twice(files: FileStore) -> None:
    data, other = fresh(), fresh()
    gone, stays = files.put(data), files.put(other)
    files.fetch(gone)
    files.remove([gone])
    files.remove([gone, "0" * 64])
    assert (files.has(gone), files.has(stays)) == (False, True)
    with pytest.raises(NotFoundError):
        files.get(gone)
    assert files.put(data) == gone
    assert files.fetch(gone).read_bytes() == data


def test_many_files_keep_their_order_and_one_may_come_twice(files: FileStore) -> None:
    items = [fresh() for _ in range(40)]
    items[7] = items[3]
    assert files.put_all(iter(items)) == [hashlib.sha256(item).hexdigest() for item in items]
    assert files.put_all([]) == []


def test_a_file_has_an_address_that_ends_in_its_digest(files: FileStore) -> None:
    digest = files.put(fresh())
    assert files.address(digest).replace("/", "").endswith(digest)


def test_the_sizes_of_many_are_asked_at_once_and_what_is_missing_is_left_out(files: FileStore) -> None:
    items = [fresh() + b"x" * place for place in range(12)]
    digests = files.put_all(items)
    asked = [*digests[:10], "0" * 64]
    assert files.sizes(asked) == {digest: len(data) for digest, data in zip(digests[:10], items, strict=False)}
    assert files.sizes([]) == {}


def test_a_link_opens_the_file_as_what_it_is(files: FileStore) -> None:
    data = fresh()
    with urllib.request.urlopen(files.link(files.put(data), content_type="text/html")) as answer:  # noqa: S310 - our own link
        assert answer.read() == data
        assert answer.headers.get_content_type() == "text/html"


def test_an_empty_file_is_a_file(files: FileStore) -> None:
    assert files.get(files.put(b"")) == b""


def test_a_store_that_works_passes_its_check(files: FileStore) -> None:
    files.check()


def test_a_missing_file_is_named(files: FileStore) -> None:
    assert not files.has("0" * 64)
    with pytest.raises(NotFoundError, match="0" * 64):
        files.get("0" * 64)


@pytest.mark.services
class TestS3:
    """What only a real S3 and a real cache can do."""

    def test_changed_bytes_are_not_handed_out(self, service_settings: Settings, tmp_path: Path) -> None:
        files = on_s3(service_settings, tmp_path)
        digest = files.put(fresh())
        import io

        files._client.put_object(service_settings.s3_bucket, f"blobs/{digest[:2]}/{digest[2:]}", io.BytesIO(b"no"), 2)
        with pytest.raises(StorageError, match="was changed"):
            files.get(digest)
        with pytest.raises(StorageError, match="was changed"):
            files.fetch(digest)

    def test_a_changed_cache_copy_is_fetched_again(self, service_settings: Settings, tmp_path: Path) -> None:
        files, data = on_s3(service_settings, tmp_path), fresh()
        copy = files.fetch(files.put(data))
        copy.chmod(0o644)
        copy.write_bytes(b"something else")
        assert files.fetch(hashlib.sha256(data).hexdigest()).read_bytes() == data

    def test_the_cache_stays_within_its_bound_and_keeps_what_was_used_last(
        self, service_settings: Settings, tmp_path: Path
    ) -> None:
        files = on_s3(service_settings, tmp_path, cache_bytes=50_000)
        digests = [files.put(bytes([place]) * 10_000) for place in range(12)]
        for digest in digests:
            files.fetch(digest)
        kept = {path.parent.name + path.name for path in tmp_path.glob("??/*")}
        assert sum(path.stat().st_size for path in tmp_path.glob("??/*")) <= 50_000
        assert digests[-1] in kept
        assert digests[0] not in kept

    def test_a_wrong_key_is_one_sentence_without_the_key(self, service_settings: Settings, tmp_path: Path) -> None:
        with pytest.raises(ServiceError, match="refuses the key") as caught:
            on_s3(service_settings, tmp_path, secret="not-the-secret").put(fresh())
        assert "not-the-secret" not in str(caught.value)

    def test_a_bucket_that_is_not_there_is_named_and_not_made(self, service_settings: Settings, tmp_path: Path) -> None:
        elsewhere = on_s3(service_settings, tmp_path, bucket="elsewhere")
        for _ in range(2):
            with pytest.raises(ServiceError, match=r"no bucket 'elsewhere'.*WAFERGATE_S3_BUCKET"):
                elsewhere.check()

    def test_a_file_that_another_process_moves_meanwhile_is_passed_over(
        self, service_settings: Settings, tmp_path: Path
    ) -> None:
        moved = tmp_path / "ab" / "tmp-of-another-process"
        moved.parent.mkdir()
        moved.symlink_to(tmp_path / "nowhere")  # listed, and gone when it is looked at
        files = on_s3(service_settings, tmp_path)
        assert files.fetch(files.put(b"whole")).read_bytes() == b"whole"

    def test_a_full_cache_says_what_to_do(self, service_settings: Settings, tmp_path: Path) -> None:
        blocked = tmp_path / "cache"
        blocked.touch()  # a file where the folder should be: nothing can be written below it
        files = on_s3(service_settings, blocked)
        with pytest.raises(StorageError, match="WAFERGATE_CACHE_DIR"):
            files.fetch(files.put(fresh()))

    def test_a_closed_port_is_named(self, service_settings: Settings, tmp_path: Path) -> None:
        with pytest.raises(ServiceError, match=r"127\.0\.0\.1:9 does not answer"):
            on_s3(service_settings, tmp_path, endpoint="127.0.0.1:9").put(fresh())
