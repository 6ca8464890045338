"""Sources: the same files from a folder, a zip or a tar, and nothing that leads outside."""

import io
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.memory_source import MemorySource
from wafergate.adapters import safe_names
from wafergate.adapters.safe_names import follow, showable, why_unsafe
from wafergate.adapters.source import WatchedSource, open_source
from wafergate.errors import SourceError

pytestmark = pytest.mark.unit

FILES = {"a.txt": b"one", "deep/er/b.bin": bytes(range(256)) * 40, "deep/c d.png": b"", "한글/사진.jpg": b"pixels"}
LITTER = {".DS_Store": b"x", "__MACOSX/a.txt": b"x", "deep/.hidden/x.txt": b"x", "Thumbs.db": b"x"}


def _folder(path: Path) -> Path:
    for name, data in (FILES | LITTER).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def _zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("deep")
        for name, data in (FILES | LITTER).items():
            archive.writestr(name, data)
    return path


def _tar(path: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in (FILES | LITTER).items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "folder": _folder,
    "zip": lambda path: _zip(path / "s.zip"),
    "tar": lambda path: _tar(path / "s.tar", "w"),
    "tar.gz": lambda path: _tar(path / "s.tar.gz", "w:gz"),
    "tar.bz2": lambda path: _tar(path / "s.tbz", "w:bz2"),
    "tar.xz": lambda path: _tar(path / "named-otherwise.data", "w:xz"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_of_source_gives_the_same_files(kind: str, tmp_path: Path) -> None:
    source = open_source(MAKERS[kind](tmp_path))
    assert {name: source.read(name) for name in source.names()} == FILES
    assert list(source.names()) == sorted(FILES)
    assert not source.unsafe()
    assert str(tmp_path) in source.title


@pytest.mark.parametrize("kind", MAKERS)
def test_a_file_that_is_not_there_is_named(kind: str, tmp_path: Path) -> None:
    source = open_source(MAKERS[kind](tmp_path))
    for name in ("lost.png", "deep", "a.txt/below"):
        with pytest.raises(SourceError, match=name):
            source.read(name)


@pytest.mark.parametrize("kind", MAKERS)
def test_threads_read_at_the_same_time_what_one_reads_alone(kind: str, tmp_path: Path) -> None:
    source = open_source(MAKERS[kind](tmp_path))
    names = list(source.names()) * 50
    gate = threading.Barrier(4)

    def read(part: int) -> bool:
        gate.wait(timeout=10)
        return all(source.read(name) == FILES[name] for name in names[part::4])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))


def test_links_of_a_folder_are_followed_only_inside(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_bytes(b"secret")
    root = tmp_path / "in"
    root.mkdir()
    (root / "real.txt").write_bytes(b"mine")
    (root / "sub").mkdir()
    (root / "good.txt").symlink_to("real.txt")
    (root / "out.txt").symlink_to("../outside.txt")
    (root / "abs.txt").symlink_to(tmp_path / "outside.txt")
    (root / "gone.txt").symlink_to("nowhere")
    (root / "loop.txt").symlink_to("loop.txt")
    (root / "folder").symlink_to("sub")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    source = open_source(root)
    assert list(source.names()) == ["good.txt", "real.txt"]
    assert source.read("good.txt") == b"mine"
    refused = dict(source.unsafe())
    assert sorted(refused) == ["abs.txt", "folder", "gone.txt", "loop.txt", "out.txt", "pipe", "up"]
    assert all("outside" in refused[name] for name in ("abs.txt", "out.txt", "up"))
    for name in ("out.txt", "../outside.txt", str(tmp_path / "outside.txt")):
        with pytest.raises(SourceError, match="refused"):
            source.read(name)


def test_a_link_swapped_in_after_listing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.txt").write_bytes(b"mine")
    source = open_source(root)
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to("../secret")
    with pytest.raises(SourceError, match="outside"):
        source.read("a.txt")


BAD_NAMES = ["../up.txt", "/etc/abs.txt", "a/../../up.txt", "C:/x.txt", "..\\win.txt", "line\nbreak.txt"]


def _zip_of(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def _tar_of(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, data in entries:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", BAD_NAMES)
def test_archives_with_dangerous_names_lose_only_those(name: str, tmp_path: Path) -> None:
    packed = [
        _zip_of(tmp_path / "s.zip", (name, b"x"), ("ok.txt", b"ok")),
        _tar_of(tmp_path / "s.tar", (tarfile.TarInfo(name), b"x"), (tarfile.TarInfo("ok.txt"), b"ok")),
    ]
    for path in packed:
        source = open_source(path)
        assert list(source.names()) == ["ok.txt"]
        ((refused, why),) = source.unsafe()
        assert refused == showable(name)
        assert why


def _zip_link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


def _tar_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def test_links_of_archives_are_followed_only_inside(tmp_path: Path) -> None:
    plain = tarfile.TarInfo("deep/real.txt")
    packed = [
        _zip_of(
            tmp_path / "s.zip",
            ("deep/real.txt", b"mine"),
            _zip_link("deep/good.txt", "real.txt"),
            _zip_link("chain.txt", "deep/good.txt"),
            _zip_link("out.txt", "../../etc/passwd"),
            _zip_link("abs.txt", "/etc/passwd"),
            _zip_link("loop.txt", "loop.txt"),
        ),
        _tar_of(
            tmp_path / "s.tar",
            (plain, b"mine"),
            _tar_link("deep/good.txt", "deep/real.txt", tarfile.LNKTYPE),
            _tar_link("chain.txt", "deep/good.txt"),
            _tar_link("out.txt", "../../etc/passwd"),
            _tar_link("abs.txt", "/etc/passwd", tarfile.LNKTYPE),
            _tar_link("loop.txt", "loop.txt"),
        ),
    ]
    for path in packed:
        source = open_source(path)
        assert {name: source.read(name) for name in source.names()} == dict.fromkeys(
            ("chain.txt", "deep/good.txt", "deep/real.txt"), b"mine"
        )
        assert sorted(name for name, _ in source.unsafe()) == ["abs.txt", "loop.txt", "out.txt"]


def test_a_device_in_a_tar_an_encrypted_file_in_a_zip_and_a_name_twice_are_refused(tmp_path: Path) -> None:
    device = tarfile.TarInfo("dev")
    device.type = tarfile.CHRTYPE
    first, again = tarfile.TarInfo("ok.txt"), tarfile.TarInfo("./ok.txt")
    source = open_source(_tar_of(tmp_path / "s.tar", (device, b""), (first, b"first"), (again, b"second")))
    assert source.read("ok.txt") == b"first"
    assert sorted(name for name, _ in source.unsafe()) == ["./ok.txt", "dev"]

    path = _zip_of(tmp_path / "s.zip", ("locked.txt", b"x"), ("ok.txt", b"ok"))
    data = bytearray(path.read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(magic) + flags] |= 1
    path.write_bytes(data)
    source = open_source(path)
    assert (list(source.names()), source.unsafe()) == (["ok.txt"], (("locked.txt", "it is encrypted"),))


def test_a_file_that_claims_to_be_huge_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_names, "MAX_FILE_BYTES", 100)
    for kind in ("folder", "zip", "tar.gz"):
        (tmp_path / kind).mkdir()
        source = open_source(MAKERS[kind](tmp_path / kind))
        assert [name.removeprefix("./") for name, _ in source.unsafe()] == ["deep/er/b.bin"]


def test_a_damaged_member_is_named_when_read_and_the_others_are_not_lost(tmp_path: Path) -> None:
    path = _zip_of(tmp_path / "s.zip", ("bad.txt", b"A" * 500), ("ok.txt", b"ok"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"A" * 500, b"A" * 499 + b"B", 1))
    source = open_source(path)
    with pytest.raises(SourceError, match=r"bad\.txt"):
        source.read("bad.txt")
    assert source.read("ok.txt") == b"ok"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_an_archive_not_copied_to_its_end_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match=str(path)):
        open_source(path)


def test_what_is_no_source_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "litter").mkdir()
    (tmp_path / "litter" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "named.zip").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    with zipfile.ZipFile(tmp_path / "nothing.zip", "w"):
        pass
    expected = {
        "missing": "there is no folder",
        "empty": "no usable files",
        "litter": "no usable files",
        "note.txt": "no zip or tar",
        "named.zip": "no zip or tar",
        "pipe": "neither a folder nor a file",
        "nothing.zip": "no usable files",
    }
    for name, says in expected.items():
        with pytest.raises(SourceError, match=says) as caught:
            open_source(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_archive_of_nothing_but_refused_files_says_what_was_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"1 were refused.*\.\./up\.txt"):
        open_source(_zip_of(tmp_path / "s.zip", ("../up.txt", b"x")))


def test_names_of_other_encodings_are_refused_and_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / "ok.txt").write_bytes(b"x")
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x")
    source = open_source(tmp_path)
    assert list(source.names()) == ["ok.txt"]
    ((name, _),) = source.unsafe()
    assert name.isprintable()
    assert "caf" in name


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=200)
def test_no_name_that_counts_as_safe_leads_outside(link: str, target: str) -> None:
    root = Path("/base/of/source")
    for name in (link, follow(link, target)):
        if name is not None and why_unsafe(name) is None and why_unsafe(link) is None:
            assert Path(os.path.normpath(root / name)).is_relative_to(root)


def test_a_watched_source_reads_the_same_and_counts() -> None:
    told: list[tuple[str, int, int]] = []
    source = WatchedSource(MemorySource(FILES), lambda *step: told.append(step), stage="reading")
    assert {name: source.read(name) for name in source.names()} == FILES
    assert [done for _, done, _ in told] == [1, 2, 3, 4]
