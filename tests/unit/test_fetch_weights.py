"""Published weights: licence first, then the digest; without a network the command says what to do."""

import hashlib
import io
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from tests.unit.small_line import line_of, parts_in
from wafergate.adapters.download import download
from wafergate.adapters.published_weights import LibreYoloWeights, UltralyticsWeights
from wafergate.domain.weights import WeightFile
from wafergate.errors import ConfigError, LicenceError, ServiceError, StorageError
from wafergate.jobs.fetch_weights import fetch_weights
from wafergate.jobs.parts import Parts
from wafergate.jobs.training_job import choose_start
from wafergate.line import LineFile

pytestmark = pytest.mark.unit


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


GOOD = saved({"model": {"stem.weight": torch.zeros(4, 3)}})


class Evil:
    """Writes a file if anybody unpickles it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.trace, "run")


@dataclass
class Publisher:
    """A server on loopback: what it serves by path, and what was asked of it."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cut: int = 0

    def at(self, name: str, content: bytes) -> str:
        self.files[f"/{name}"] = content
        return f"{self.address}/{name}"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mine.asked.append(self.path)
            if self.path.startswith("/elsewhere"):
                self.send_response(302)
                self.send_header("Location", "ftp://127.0.0.1/weights.pt")
                self.end_headers()
                return
            content = mine.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - mine.cut])

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mine = Publisher(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield mine
    server.shutdown()
    server.server_close()


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    published = {"contrast": LibreYoloWeights()}
    return parts_in(tmp_path / "parts", published=published, download=download)


def line_with(folder: Path, url: str, *, sha256: str = "", licence: str = "MIT", policy: str = "") -> LineFile:
    stated = f'\nweights_url = "{url}"' + (f'\nweights_sha256 = "{sha256}"' if sha256 else "")
    return line_of(
        folder,
        weights_licence=f'weights_licence = "{licence}"',
        weights=f'weights = ""{stated}',
        random_start="random_start = false",
        min_images=f"min_images = 20\n{policy}",
    )


def test_a_published_file_is_kept_with_licence_source_and_who_and_training_starts_from_it(
    publisher: Publisher, parts: Parts, tmp_path: Path
) -> None:
    url = publisher.at("tiny.pt", GOOD)
    line = line_with(tmp_path, url, sha256=hashlib.sha256(GOOD).hexdigest())
    told: list[tuple[str, int, int]] = []
    done = fetch_weights(parts, line, "contrast", actor="Kim", progress=lambda *now: told.append(now))
    (row,) = parts.facts.find(WeightFile)
    assert (done.id, done.reused) == (row.id, False)
    assert (row.name, row.licence, row.added_by, row.bytes) == ("tiny.pt", "MIT", "Kim", len(GOOD))
    assert row.source.startswith(url)
    assert parts.files.get(row.digest) == GOOD
    assert told[-1] == ("downloading, KiB", len(GOOD) // 1024, len(GOOD) // 1024)
    assert choose_start(parts, line).digest == row.digest
    assert not list(parts.work.iterdir())


def test_what_is_there_is_fetched_again_only_when_asked_and_must_be_the_same(
    publisher: Publisher, parts: Parts, tmp_path: Path
) -> None:
    line = line_with(tmp_path, publisher.at("tiny.pt", GOOD))
    first = fetch_weights(parts, line, "contrast", actor="Kim")
    assert fetch_weights(parts, line, "contrast", actor="Lee") == (first.id, True)
    assert publisher.asked == ["/tiny.pt"]
    assert fetch_weights(parts, line, "contrast", actor="Lee", again=True) == (first.id, True)
    publisher.at("tiny.pt", saved({"model": {"stem.weight": torch.ones(4, 3)}}))
    with pytest.raises(StorageError, match=r"SHA-256 [0-9a-f]{64}, but the download of 2026-03-01 had"):
        fetch_weights(parts, line, "contrast", actor="Lee", again=True)
    assert len(parts.facts.find(WeightFile)) == 1


def test_another_digest_than_the_makers_state_keeps_nothing(publisher: Publisher, parts: Parts, tmp_path: Path) -> None:
    line = line_with(tmp_path, publisher.at("tiny.pt", GOOD), sha256="0" * 64)
    with pytest.raises(StorageError, match="its makers state 0000"):
        fetch_weights(parts, line, "contrast", actor="Kim")
    assert not parts.facts.find(WeightFile)


@pytest.mark.parametrize(
    ("licence", "told"),
    [("CC-BY-NC-4.0", "the weights are under CC-BY-NC-4.0"), ("", "nobody names the licence of the published weights")],
)
def test_a_refused_licence_stops_before_the_server_is_asked(
    publisher: Publisher, parts: Parts, tmp_path: Path, licence: str, told: str
) -> None:
    line = line_with(tmp_path, publisher.at("tiny.pt", GOOD), licence=licence)
    with pytest.raises(LicenceError, match=told):
        fetch_weights(parts, line, "contrast", actor="Kim")
    assert publisher.asked == []


def test_without_the_file_or_the_network_one_sentence_says_how_to_bring_it(
    publisher: Publisher, parts: Parts, tmp_path: Path
) -> None:
    how = r"`wafergate weights add none\.pt --model contrast --licence MIT --source http://"
    with pytest.raises(ServiceError, match=rf"^127\.0\.0\.1 answers 404 .*{how}"):
        fetch_weights(parts, line_with(tmp_path, f"{publisher.address}/none.pt"), "contrast", actor="Kim")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/none.pt"
        with pytest.raises(ServiceError, match=rf"^127\.0\.0\.1 cannot be reached \(.*refused\): .*{how}"):
            fetch_weights(parts, line_with(tmp_path, closed), "contrast", actor="Kim")
    assert not parts.facts.find(WeightFile)
    assert not list(parts.work.iterdir())


def test_a_download_that_breaks_off_or_leaves_http_keeps_nothing(publisher: Publisher, tmp_path: Path) -> None:
    target = tmp_path / "weights.pt"
    publisher.cut = 10
    with pytest.raises(ServiceError, match=f"broke off after {len(GOOD) - 10:,} of {len(GOOD):,} bytes"):
        download(publisher.at("tiny.pt", GOOD), target, progress=lambda *_: None)
    with pytest.raises(ServiceError, match="which is not encrypted"):
        download(f"{publisher.address}/elsewhere", target, progress=lambda *_: None)
    with pytest.raises(ConfigError, match="https://host/file"):
        download(f"file://{tmp_path}", target, progress=lambda *_: None)
    assert not target.exists()


@pytest.mark.parametrize("backend", [LibreYoloWeights(), UltralyticsWeights()])
def test_a_hostile_file_is_refused_unrun_and_not_kept(
    publisher: Publisher, tmp_path: Path, backend: LibreYoloWeights | UltralyticsWeights
) -> None:
    trace = tmp_path / "trace"
    line = line_with(tmp_path, publisher.at("evil.pt", saved({"model": Evil(trace)})))
    mine = parts_in(tmp_path / "mine", published={"contrast": backend}, download=download)
    with pytest.raises(ConfigError, match=r"evil\.pt .* refused") as refusal:
        fetch_weights(mine, line, "contrast", actor="Kim")
    assert "weights_only" not in str(refusal.value), "nobody is told how to read it all the same"
    assert not trace.exists()
    assert not mine.facts.find(WeightFile)


def test_a_hostile_file_is_refused_unrun_where_ultralytics_was_imported_without_its_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.nn import tasks

    monkeypatch.setattr(tasks, "SAFE_LOAD", False)
    trace, file = tmp_path / "trace", tmp_path / "evil.pt"
    file.write_bytes(saved({"model": Evil(trace)}))
    with pytest.raises(ConfigError, match=r"evil\.pt .* refused"):
        UltralyticsWeights().check(file)
    assert not trace.exists()


def test_both_backends_say_where_their_weights_lie() -> None:
    for backend, architecture in ((LibreYoloWeights(), "LibreYOLOXn"), (UltralyticsWeights(), "yolo11n")):
        assert backend.address(architecture).startswith("https://")
        assert backend.address(architecture).endswith(f"/{architecture}.pt")
    with pytest.raises(ConfigError, match="yolo99n"):
        UltralyticsWeights().address("yolo99n")


def test_an_unknown_candidate_and_a_malformed_digest_are_said(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no candidate 'other'; .* have contrast"):
        fetch_weights(parts, line_with(tmp_path, "http://127.0.0.1/x"), "other", actor="Kim")
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        line_with(tmp_path, "http://127.0.0.1/x", sha256="abc")
