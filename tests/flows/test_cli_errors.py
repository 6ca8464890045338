"""Bad input: one sentence that says what to do, an exit code of its kind, and nothing half-written."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests import rows
from tests.flows.commands import ForkedCommands, Said, run_fresh
from tests.flows.small import LineRun, write_line
from wafergate.domain.runs import LineFileVersion
from wafergate.domain.samples import DatasetVersion, Quarantined, QuarantineReason
from wafergate.domain.validation_rows import ValidationResult
from wafergate.errors import (
    ConfigError,
    LicenceError,
    NotFoundError,
    PromotionError,
    ServiceError,
    SourceError,
    StorageError,
    TaxonomyError,
    ValidationFailedError,
)
from wafergate.ports import FactStore
from wafergate.sample.generate import Batch, write_sample
from wafergate.settings import Settings
from wafergate.stages.alerts import flow_alert

TOLD = {"line_file", "flow_run", "alert"}
"""A run that fails is itself a fact: its line file, its start and the alert about it are kept."""

Rows = Callable[[], dict[str, int]]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO export of nine images."""
    folder = tmp_path_factory.mktemp("few")
    classes = {"particle": 3, "scratch": 3}
    write_sample(folder, seed=5, batches=(Batch(images=classes, normal=3, lots=3),), size=96)
    return folder


@pytest.fixture
def line(tmp_path: Path) -> Path:
    return write_line(tmp_path / "bad.toml", "bad")


@pytest.fixture
def copy(few: Path, tmp_path: Path) -> Path:
    """A copy of the export to spoil."""
    return Path(shutil.copytree(few, tmp_path / "spoilt"))


def intake(wafergate: ForkedCommands, line: Path, source: Path, format_name: str = "coco", **environment: str) -> Said:
    return wafergate("intake", "--line", str(line), "--source", str(source), "--format", format_name, **environment)


@contextmanager
def nothing_written(count_rows: Rows) -> Iterator[None]:
    """Fail if a table holds more rows or fewer at the end, those about the failed run itself aside."""
    before = count_rows()
    yield
    after = count_rows()
    assert {name: after[name] for name in after if name not in TOLD} == {
        name: before[name] for name in before if name not in TOLD
    }


def edit(copy: Path, change: Callable[[dict[str, list[dict[str, object]]]], None]) -> None:
    file = copy / "annotations.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# The services


def unreachable(name: str) -> dict[str, str]:
    """Return an environment in which a service is where nobody listens."""
    at = f"127.0.0.1:{closed_port()}"
    databases = ("WAFERGATE_DATABASE_URL", "WAFERGATE_DATABASE_ADMIN_URL", "WAFERGATE_DATABASE_READONLY_URL")
    return {
        "PostgreSQL": dict.fromkeys(databases, f"postgresql://role:secret@{at}/wafergate"),
        "S3": {
            "WAFERGATE_S3_ENDPOINT": at,
            "WAFERGATE_S3_ACCESS_KEY": "key",
            "WAFERGATE_S3_SECRET_KEY": "secret",
            "WAFERGATE_S3_SECURE": "false",
        },
        "Prefect": {"PREFECT_API_URL": f"http://{at}/api"},
    }[name]


@pytest.mark.services
@pytest.mark.parametrize("name", ["PostgreSQL", "S3", "Prefect"])
def test_a_stopped_service_is_named_before_anything_starts(
    wafergate: ForkedCommands, line: Path, few: Path, count_rows: Rows, name: str
) -> None:
    before = count_rows()
    said = intake(wafergate, line, few, **unreachable(name))
    assert said.code == ServiceError.exit_code
    assert said.sentence.startswith(f"{name} at ")
    assert "does not answer" in said.sentence
    assert "run `wafergate up`" in said.sentence
    assert "secret" not in said.err
    assert count_rows() == before


@pytest.mark.services
@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("WAFERGATE_S3_SECRET_KEY", "refuses the key"),
        ("WAFERGATE_S3_ACCESS_KEY", "refuses the key"),
    ],
)
def test_a_wrong_s3_key_is_said_with_the_variable_to_check(
    wafergate: ForkedCommands, line: Path, few: Path, count_rows: Rows, variable: str, told: str
) -> None:
    before = count_rows()
    said = intake(wafergate, line, few, **{variable: "wrong"})
    assert said.code == ServiceError.exit_code
    assert told in said.sentence
    assert "check WAFERGATE_S3_ACCESS_KEY and _SECRET_KEY" in said.sentence
    assert count_rows() == before


@pytest.mark.services
def test_a_wrong_database_password_is_said_and_not_shown(
    wafergate: ForkedCommands, line: Path, few: Path, service_settings: Settings
) -> None:
    given = service_settings.database_url.get_secret_value()
    role, _, rest = given.removeprefix("postgresql://").partition(":")
    wrong = f"postgresql://{role}:hunter2@{rest.partition('@')[2]}"
    names = ("WAFERGATE_DATABASE_URL", "WAFERGATE_DATABASE_ADMIN_URL", "WAFERGATE_DATABASE_READONLY_URL")
    said = intake(wafergate, line, few, **dict.fromkeys(names, wrong))
    assert said.code == ServiceError.exit_code
    assert "password authentication failed" in said.sentence
    assert "hunter2" not in said.err


@pytest.mark.services
def test_a_failure_nobody_foresaw_is_one_sentence_as_well(wafergate: ForkedCommands, line: Path, few: Path) -> None:
    class Confused(BaseHTTPRequestHandler):
        """A Prefect server that says it is healthy and knows nothing else."""

        def do_GET(self) -> None:
            self.send_response(200 if self.path.endswith("/health") else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Confused)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        # In a fresh interpreter: Prefect reads the address when it is imported.
        said = run_fresh(
            "intake", "--line", str(line), "--source", str(few), "--format", "coco",
            PREFECT_API_URL=f"http://127.0.0.1:{server.server_port}/api",
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    assert said.code == 1
    assert "not foreseen" in said.sentence
    assert "--verbose" in said.sentence


@pytest.mark.services
def test_no_network_is_needed_past_this_machine_whatever_proxy_is_set(few: Path, line: Path, services: object) -> None:
    proxy = f"http://127.0.0.1:{closed_port()}"
    names = [name for lower in ("http_proxy", "https_proxy", "all_proxy") for name in (lower, lower.upper())]
    said = run_fresh(
        "intake", "--line", str(line), "--source", str(few), "--format", "coco",
        NO_PROXY="", no_proxy="", **dict.fromkeys(names, proxy),
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.out.startswith("data-")


# The source


@pytest.mark.services
@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Path.exists, "there is no folder or archive {path}; check --source"),
        (Path.mkdir, "folder {path} holds no usable files; a source holds images and their labels"),
        (lambda path: path.write_text("x"), "{path} is a file, but no zip or tar archive; a source is a folder"),
    ],
    ids=["missing", "empty", "no archive"],
)
def test_a_source_that_holds_nothing_is_said(
    wafergate: ForkedCommands, line: Path, count_rows: Rows, tmp_path: Path, made: Callable[[Path], object], told: str
) -> None:
    path = tmp_path / "source"
    made(path)
    with nothing_written(count_rows):
        said = intake(wafergate, line, path)
    assert said.code == SourceError.exit_code
    assert said.sentence.startswith(told.format(path=path))


@pytest.mark.services
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--source", "no/where", "--format", "coco"), "there is no folder or archive no/where; check --source"),
        (("--version", "99"), "line 'bad' has no dataset version"),
    ],
    ids=["source", "version"],
)
def test_nothing_is_measured_for_a_retraining_on_what_is_not_there(
    wafergate: ForkedCommands, line: Path, given: tuple[str, ...], told: str
) -> None:
    said = wafergate("retrain", "--line", str(line), *given)
    assert said.sentence.startswith(told), said.err
    assert "can be trained here" not in said.err


@pytest.mark.services
def test_an_unknown_format_names_those_there_are(
    wafergate: ForkedCommands, line: Path, few: Path, count_rows: Rows
) -> None:
    with nothing_written(count_rows):
        said = intake(wafergate, line, few, "tiff")
    assert said.code == ConfigError.exit_code
    assert said.sentence == "--format must be one of coco, deeppcb, images, masks, voc, yolo; found 'tiff'"


@pytest.mark.services
def test_labels_of_another_format_are_said(wafergate: ForkedCommands, line: Path, few: Path, count_rows: Rows) -> None:
    with nothing_written(count_rows):
        said = intake(wafergate, line, few, "voc")
    assert said.code == SourceError.exit_code
    assert str(few) in said.sentence


@pytest.mark.services
def test_unknown_classes_are_all_named(wafergate: ForkedCommands, line: Path, copy: Path, count_rows: Rows) -> None:
    def rename(document: dict[str, list[dict[str, object]]]) -> None:
        document["categories"][0]["name"], document["categories"][1]["name"] = "dirt", "[red]hole"

    edit(copy, rename)
    with nothing_written(count_rows):
        said = intake(wafergate, line, copy)
    assert said.code == TaxonomyError.exit_code
    assert "'[red]hole', 'dirt'" in said.sentence
    assert "map it in [taxonomy]" in said.sentence


@pytest.mark.services
def test_an_image_that_is_none_and_a_label_without_image_are_quarantined_and_the_run_goes_on(
    wafergate: ForkedCommands, stored: FactStore, tmp_path: Path, copy: Path
) -> None:
    line = write_line(tmp_path / "line.toml", "spoilt")
    pictures = sorted(path for path in (copy / "images").iterdir() if "golden" not in path.name)
    pictures[0].write_bytes(b"no image")
    pictures[1].unlink()
    said = intake(wafergate, line, copy)
    assert said.code == 0, said.err
    assert stored.get(DatasetVersion, said.out.strip()).images == len(pictures) - 2
    reasons = {row.path: row.reason for row in stored.find(Quarantined, line="spoilt")}
    assert reasons[f"images/{pictures[0].name}"] is QuarantineReason.UNREADABLE_IMAGE
    assert reasons[pictures[1].name] is QuarantineReason.LABEL_WITHOUT_IMAGE
    listed = wafergate("quarantine", "list", "--line", "spoilt")
    assert f"{len(reasons)} in quarantine" in listed.out
    assert "unreadable_image" in listed.out


@pytest.mark.services
def test_a_box_outside_its_image_stops_and_is_named_and_the_finding_is_stored(
    wafergate: ForkedCommands, stored: FactStore, line: Path, copy: Path
) -> None:
    def move(document: dict[str, list[dict[str, object]]]) -> None:
        document["annotations"][0]["bbox"] = [90, 90, 20, 20]

    edit(copy, move)
    said = intake(wafergate, line, copy)
    assert said.code == ValidationFailedError.exit_code
    assert "box_inside_image: " in said.sentence
    assert ".png [excess 90, 90, 110, 110]" in said.sentence
    newest = stored.find(DatasetVersion, line="bad", limit=1)[0]
    (result,) = stored.find(ValidationResult, dataset_id=newest.id)
    assert not result.success


# What a run needs to know before it starts


@pytest.mark.services
def test_an_unknown_candidate_and_missing_weights_are_said_before_intake(
    wafergate: ForkedCommands, line: Path, few: Path, count_rows: Rows, tmp_path: Path
) -> None:
    text = line.read_text()
    line.write_text(text.replace("yolox-nano", "yolo99"))
    with nothing_written(count_rows):
        said = wafergate("retrain", "--line", str(line), "--source", str(few), "--format", "coco")
        line.write_text(text)
        weights = str(tmp_path / "none.pt")
        lost = wafergate("retrain", "--line", str(line), "--source", str(few), "--format", "coco", "--weights", weights)
    assert said.code == lost.code == ConfigError.exit_code
    assert said.sentence.startswith("[models] candidate must be one of ")
    assert said.sentence.endswith("found 'yolo99'")
    assert lost.sentence == f"there is no weight file {weights}; check --weights"


@pytest.mark.services
def test_a_refused_licence_is_said_before_intake(
    wafergate: ForkedCommands, line: Path, few: Path, count_rows: Rows
) -> None:
    line.write_text(line.read_text().replace("yolox-nano", "yolo11n"))
    with nothing_written(count_rows):
        said = wafergate("retrain", "--line", str(line), "--source", str(few), "--format", "coco")
    assert said.code == LicenceError.exit_code
    assert "the code is under AGPL-3.0-only" in said.sentence


@pytest.mark.services
@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (("inspect", "--source", "{few}"), PromotionError.exit_code, "line 'bad' has no champion"),
        (("inspect",), ConfigError.exit_code, "inspect needs one source"),
        (("inspect", "{few}", "--source", "{few}"), ConfigError.exit_code, "inspect needs one source"),
        (("watch", "--source", "{few}"), NotFoundError.exit_code, "line 'bad' has no model yet"),
        (("rollback", "--as", "kim", "--reason", "x"), PromotionError.exit_code, "does not have an earlier champion"),
        (("rollback", "--as", "kim", "--reason", "x", "--to", "model-1"), PromotionError.exit_code, "'model-1'"),
        (("approve", "decision-1", "--as", "kim", "--reason", "x"), NotFoundError.exit_code, "'decision-1'"),
        (("release", "--reason", "x"), ConfigError.exit_code, "release needs either --decision or --to"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_line_that_never_had_a_model_is_told_so(
    wafergate: ForkedCommands, line: Path, few: Path, count_rows: Rows,
    command: tuple[str, ...], code: int, told: str,
) -> None:  # fmt: skip
    with nothing_written(count_rows):
        said = wafergate(*(word.format(few=few) for word in command), "--line", str(line))
    assert said.code == code
    assert told in said.sentence


LISTINGS = (
    "alerts list", "audit list", "choice", "data list", "drift list", "golden list", "governor list",
    "inspections list", "inspections months", "ledger show", "lot show A1", "quarantine list", "review list",
)  # fmt: skip


@pytest.mark.services
@pytest.mark.parametrize("command", LISTINGS)
def test_a_line_that_is_not_there_is_told_with_those_that_are(
    wafergate: ForkedCommands, stored: FactStore, command: str
) -> None:
    stored.save(LineFileVersion("be" * 32, "there", "", rows.NOW))
    said = wafergate(*command.split(), "--line", "thre")
    assert said.code == NotFoundError.exit_code
    assert said.out == ""
    assert "nothing is stored of a line 'thre'; the lines there are: " in said.sentence
    assert "there" in said.sentence.split("are: ")[1].split(", ")


@pytest.mark.services
@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("audit list", "line quiet has no inspection yet: run `wafergate inspect`"),
        ("inspections list", "line quiet has no inspection yet: run `wafergate inspect`"),
        ("inspections months", "line quiet has no inspection yet: run `wafergate inspect`"),
        ("data list", "line quiet has no dataset version yet: run `wafergate intake`"),
        ("drift list", "line 'quiet' has no drift report yet: run `wafergate watch`"),
        ("golden list", "no check yet: run `wafergate golden check`"),
        ("alerts list", "no alert"),
    ],
)
def test_a_line_of_which_nothing_is_stored_lists_nothing_and_says_what_to_run(
    wafergate: ForkedCommands, tmp_path: Path, command: str, told: str
) -> None:
    said = wafergate(*command.split(), "--line", str(write_line(tmp_path / "line.toml", "quiet")))
    assert (said.code, said.out) == (0, f"{told}\n")


@pytest.mark.services
def test_a_line_without_alerts_has_nothing_to_send(wafergate: ForkedCommands, tmp_path: Path) -> None:
    said = wafergate("alerts", "send", "--line", str(write_line(tmp_path / "line.toml", "quiet")))
    assert (said.code, said.out) == (0, "0 sent, 0 waiting\n")


@pytest.mark.services
def test_alerts_that_wait_without_a_channel_are_an_error_of_the_line_file(
    wafergate: ForkedCommands, stored: FactStore, tmp_path: Path
) -> None:
    stored.save(flow_alert("unheard", "retrain", "run-1", "it broke", now=rows.NOW))
    said = wafergate("alerts", "send", "--line", str(write_line(tmp_path / "line.toml", "unheard")))
    assert (said.code, said.out) == (3, "0 sent, 1 waiting\n")
    assert "no channel is set: name one in [alerts] channels" in said.sentence


# No disk space


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KiB."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root on a system that mounts can make a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.services
@pytest.mark.training
@pytest.mark.parametrize("variable", ["WAFERGATE_WORK_DIR", "WAFERGATE_CACHE_DIR"])
def test_a_full_disk_is_said_and_leaves_no_model(
    wafergate: ForkedCommands, line_run: LineRun, count_rows: Rows, tmp_path: Path, full: Path, variable: str
) -> None:
    line = write_line(tmp_path / "small.toml", line_run.name, epochs=99)  # another model of the same training set
    with nothing_written(count_rows):
        said = wafergate(
            "retrain",
            "--line",
            str(line),
            "--source",
            str(line_run.source),
            "--format",
            "coco",
            **{variable: str(full)},
        )
    assert said.code == StorageError.exit_code
    assert "space" in said.sentence
    assert str(full) in said.sentence
    assert not list(full.rglob("*.png"))
