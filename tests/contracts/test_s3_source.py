"""A prefix on a real S3 reads like a folder, and what cannot be a file of a folder is refused one by one."""

import io
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import pytest
from minio import Minio

from tests.unit.exports import as_bytes, coco_export
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import parts_in
from wafergate import wiring
from wafergate.adapters.s3_client import connect
from wafergate.adapters.s3_source import S3Source
from wafergate.errors import ServiceError, SourceError
from wafergate.jobs.ingest import ingest
from wafergate.line import parse_line
from wafergate.settings import Settings
from wafergate.wiring import open_source

pytestmark = pytest.mark.services

FILES = {"a.txt": b"one", "deep/er/b.bin": bytes(range(256)) * 40, "deep/c d.png": b"", "한글/사진.jpg": b"pixels"}
PREFIXES = count()
Upload = Callable[[Mapping[str, bytes]], str]


@pytest.fixture(scope="module")
def client(service_settings: Settings) -> Minio:
    access, secret = service_settings.s3_access_key, service_settings.s3_secret_key
    return connect(
        service_settings.s3_endpoint,
        access.get_secret_value(),
        secret.get_secret_value(),
        secure=service_settings.s3_secure,
        region=service_settings.s3_region,
    )


@pytest.fixture
def upload(client: Minio, service_settings: Settings) -> Upload:
    """Return a function that puts files below a prefix of their own and returns its address."""

    def put(files: Mapping[str, bytes]) -> str:
        prefix = f"exports/week {next(PREFIXES)}"
        for name, data in files.items():
            client.put_object(service_settings.s3_bucket, f"{prefix}/{name}", io.BytesIO(data), len(data))
        return f"s3://{service_settings.s3_bucket}/{prefix}"

    return put


def key_of(address: str, name: str) -> tuple[str, str]:
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return bucket, f"{prefix}/{name}"


@pytest.mark.parametrize("end", ["", "/"])
def test_a_prefix_gives_the_files_below_it_and_nothing_beside_it(upload: Upload, client: Minio, end: str) -> None:
    address = upload(FILES | {".DS_Store": b"x", "deep/.hidden/x.txt": b"x"})
    client.put_object(*key_of(address + "b", "beside.txt"), io.BytesIO(b"x"), 1)
    source = open_source(address + end)
    assert {name: source.read(name) for name in source.names()} == FILES
    assert list(source.names()) == sorted(FILES)
    assert not source.unsafe()
    assert source.title == f"S3 prefix {address}"
    with pytest.raises(SourceError, match=r"no file lost\.png"):
        source.read("lost.png")


def test_the_same_images_make_the_same_version_from_s3_as_from_anywhere(upload: Upload, tmp_path: Path) -> None:
    line = parse_line('[line]\nname = "x"\nclasses = ["pit"]', Path("x.toml"))
    parts = parts_in(tmp_path)
    first = ingest(parts, line, open_source(upload(as_bytes(coco_export()))), "coco")
    assert ingest(parts, line, MemorySource(coco_export()), "coco") == (first.id, True)


def test_keys_no_folder_could_hold_are_refused_one_by_one(client: Minio, service_settings: Settings) -> None:
    class Listing:
        """A bucket that lists keys our own S3 would not take, as others do."""

        def list_objects(self, bucket: str, **options: object) -> list[object]:
            del bucket, options
            keys = ["p/ok.txt", "p/../up.txt", "p//etc/x.txt", "p/a\\b.txt", "p/./c.txt", "p/folder/", "p/n\n.txt"]
            return [type("Found", (), {"object_name": key, "size": 1, "etag": "e"}) for key in keys]

    source = S3Source(Listing(), service_settings.s3_endpoint, "s3://bucket/p")  # type: ignore[arg-type]
    assert list(source.names()) == ["ok.txt"]
    assert [name for name, _ in source.unsafe()] == ["../up.txt", "/etc/x.txt", "a\\b.txt", "./c.txt", "n\\n.txt"]


def test_a_file_replaced_or_gone_since_the_listing_is_told(upload: Upload, client: Minio) -> None:
    address = upload(FILES)
    source = open_source(address)
    client.put_object(*key_of(address, "a.txt"), io.BytesIO(b"two"), 3)
    client.remove_object(*key_of(address, "deep/c d.png"))
    with pytest.raises(SourceError, match=r"a\.txt .*was replaced"):
        source.read("a.txt")
    with pytest.raises(SourceError, match="is gone"):
        source.read("deep/c d.png")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://no-such-bucket/x", "no bucket 'no-such-bucket'"),
        ("s3://", "s3://bucket/prefix"),
        ("s3://no bucket!/x", "s3://bucket/prefix"),
        ("s3://{bucket}/nothing/here", "no usable files"),
        ("s3://{bucket}/one/export.zip", "is one file"),
    ],
)
def test_what_is_no_prefix_is_refused_in_one_sentence(
    client: Minio, service_settings: Settings, address: str, says: str
) -> None:
    bucket = service_settings.s3_bucket
    client.put_object(bucket, "one/export.zip", io.BytesIO(b"PK"), 2)
    with pytest.raises(SourceError, match=says) as caught:
        open_source(address.format(bucket=bucket))
    assert "\n" not in str(caught.value)


def test_a_stopped_server_is_a_service_that_does_not_answer() -> None:
    with pytest.raises(ServiceError, match="does not answer"):
        S3Source(connect("127.0.0.1:9", "k", "s", secure=False, region=None), "127.0.0.1:9", "s3://bucket/x")


def test_in_a_followed_prefix_a_replaced_object_is_another_one(upload: Upload, client: Minio) -> None:
    address = upload({"a.png": b"one", "b.png": b"two"})
    look = wiring.open_arrivals(address)
    first, again = look(), look()
    assert first.stamps == again.stamps
    assert first.growing == frozenset()
    client.put_object(*key_of(address, "a.png"), io.BytesIO(b"six"), 3)
    replaced = look()
    assert first.stamps["a.png"] != replaced.stamps["a.png"]
    assert first.stamps["b.png"] == replaced.stamps["b.png"]
    assert replaced.read("a.png") == b"six"
