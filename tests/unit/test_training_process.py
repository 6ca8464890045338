"""How a training in its own process is followed and how its end is told; the backend is a few lines of Python here."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from pydantic import TypeAdapter

from wafergate.adapters.torch_run import peak_memory_mib
from wafergate.adapters.training_data import write_fitted_data
from wafergate.adapters.training_process import _translated, train_in_process
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.errors import ConfigError, OutOfMemoryError, TrainingError, WafergateError

pytestmark = pytest.mark.unit

BACKEND = """
import os, signal, socket, sys, time, urllib.request
from wafergate.domain.models import Decoder
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact
from wafergate.errors import ConfigError

def good(job, scratch, report):
    print("a banner")
    report.note("a note")
    (scratch / "rubbish").write_text("x")
    for epoch in range(1, job.epochs + 1):
        report.epoch(EpochReport(epoch, job.epochs, 1 / epoch, 0.1))
    for name in ("weights.pt", "model.onnx"):
        (job.folder / name).write_text(str(job.weights))
    weights, onnx = job.folder / "weights.pt", job.folder / "model.onnx"
    versions = {"threads": os.environ["OMP_NUM_THREADS"]}
    return TrainedArtefact(weights, onnx, Decoder.YOLO, job.epochs, job.batch, 1.0, versions)

def network(job, scratch, report):
    for attempt in (lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
                    lambda: urllib.request.urlopen("http://example.com", timeout=1),
                    lambda: socket.getaddrinfo("example.com", 80)):
        try:
            attempt()
        except OSError:
            continue
        raise AssertionError("reached the network")
    return good(job, scratch, report)

def together(job, scratch, report):
    (job.folder / f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}").touch()
    report.note(f"rank {os.environ['RANK']}")
    return None if int(os.environ["RANK"]) else good(job, scratch, report)

def deserted(job, scratch, report):
    if int(os.environ["RANK"]):
        raise MemoryError("no room for another image")
    time.sleep(600)

def config(job, scratch, report):
    raise ConfigError("weights do not fit")

def foreign(job, scratch, report):
    raise KeyError("surprise")

def memory(job, scratch, report):
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: 99 bytes")

def killed(job, scratch, report):
    os.kill(os.getpid(), signal.SIGKILL)

def aborted(job, scratch, report):
    print("terminate called after throwing an instance of 'std::bad_alloc'", flush=True)
    os.abort()

def checkpoints(job, scratch, report):
    begun = job.resume.epoch if job.resume else 0
    for epoch in range(begun + 1, job.epochs + 1):
        last, best = job.folder / f"last-{epoch}.pt", job.folder / f"best-{max(epoch, 2)}.pt"
        last.write_text(str(epoch))
        best.write_text("best")
        report.checkpoint(Checkpoint(epoch, last, best))
    return good(job, scratch, report)

def silent(job, scratch, report):
    print("the last words", flush=True)
    os._exit(7)

def endless(job, scratch, report):
    report.epoch(EpochReport(1, job.epochs, 1.0, 0.1))
    time.sleep(600)
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingJob:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "handmade_backend.py").write_text(BACKEND)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    candidate = Candidate("tiny", "handmade", "none", "MIT")
    return TrainingJob(
        candidate, ("a", "b"), tmp_path / "data", tmp_path / "job", tmp_path / "w.pt", Channels.IMAGE,
        64, 3, 4, 0.0, 0.0, 0, "cpu", 2,
    )  # fmt: skip


def run(
    function: str, job: TrainingJob, on_epoch: Callable[[EpochReport], None] = lambda _report: None
) -> TrainedArtefact:
    return train_in_process(f"handmade_backend:{function}", job, on_epoch=on_epoch)


def test_epochs_artefact_and_notes_arrive_and_output_goes_to_the_log(
    job: TrainingJob, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reports: list[EpochReport] = []
    artefact = run("good", job, reports.append)
    assert [(report.epoch, report.epochs, report.map50) for report in reports] == [
        (1, 3, None),
        (2, 3, None),
        (3, 3, None),
    ]
    assert artefact.weights.read_text() == str(job.weights)
    assert artefact.versions["threads"] == "2"
    assert "a note" in caplog.messages
    assert capfd.readouterr() == ("", "")
    assert "a banner" in (job.folder / "training.log").read_text()
    assert sorted(path.name for path in job.folder.iterdir()) == ["model.onnx", "training.log", "weights.pt"]


def test_what_a_killed_run_left_behind_does_not_matter(job: TrainingJob) -> None:
    (job.folder / "scratch" / "data").mkdir(parents=True)
    (job.folder / "scratch" / "data" / "old").write_text("x")
    run("good", job)
    assert not (job.folder / "scratch").exists()


def test_checkpoints_arrive_whole_and_only_the_newest_stays(job: TrainingJob) -> None:
    seen: list[tuple[int, str, str]] = []

    def read(checkpoint: Checkpoint) -> None:
        assert checkpoint.best is not None
        seen.append((checkpoint.epoch, checkpoint.last.read_text(), checkpoint.best.name))

    train_in_process("handmade_backend:checkpoints", job, on_epoch=lambda _report: None, on_checkpoint=read)
    assert seen == [(1, "1", "best-2.pt"), (2, "2", "best-2.pt"), (3, "3", "best-3.pt")]
    assert sorted(path.name for path in job.folder.glob("*-*.pt")) == ["best-3.pt", "last-3.pt"]
    state = Checkpoint(2, job.folder / "last-3.pt", None)
    train_in_process(
        "handmade_backend:checkpoints", replace(job, resume=state), on_epoch=lambda _report: None, on_checkpoint=read
    )
    assert [epoch for epoch, *_ in seen] == [1, 2, 3, 3]


def test_the_network_cannot_be_reached_and_attempts_are_in_the_log(job: TrainingJob) -> None:
    run("network", job)
    assert (job.folder / "training.log").read_text().count("network refused") >= 2


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        ("config", ConfigError, "^weights do not fit$"),
        ("foreign", TrainingError, "training tiny failed: KeyError: 'surprise'"),
        ("memory", OutOfMemoryError, "memory ran out in training tiny at 64 px, 4 images at a time"),
        ("killed", OutOfMemoryError, "killed by the system"),
        ("aborted", OutOfMemoryError, "memory ran out in training tiny.*ended with code -6"),
        ("silent", TrainingError, "code 7: the last words"),
    ],
)
def test_each_end_has_its_error(job: TrainingJob, function: str, kind: type[WafergateError], said: str) -> None:
    with pytest.raises(kind, match=said):
        run(function, job)
    if function == "foreign":
        assert "Traceback" in (job.folder / "training.log").read_text()


def test_processes_that_train_together_are_told_of_once_and_leave_nothing(
    job: TrainingJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reports: list[EpochReport] = []
    artefact = train_in_process("handmade_backend:together", job, on_epoch=reports.append, processes=3)
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert [message for message in caplog.messages if message.startswith("rank")] == ["rank 0"]
    assert artefact.weights.parent == job.folder
    assert "rank 0 of 3" in {path.name for path in job.folder.iterdir()}
    assert not list(job.folder.glob("rank-*"))


def test_one_that_fails_ends_those_that_would_wait_for_it_and_its_reason_is_told(job: TrainingJob) -> None:
    began = time.monotonic()
    with pytest.raises(OutOfMemoryError, match="memory ran out in training tiny"):
        train_in_process("handmade_backend:deserted", job, on_epoch=lambda _report: None, processes=2)
    assert time.monotonic() - began < 300  # and not the ten minutes that the leader sleeps
    assert not [child for child in psutil.Process().children() if "handmade_backend" in " ".join(child.cmdline())]


def test_an_error_while_an_epoch_is_told_ends_the_training(job: TrainingJob) -> None:
    def fail(report: EpochReport) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run("endless", job, fail)
    assert not [child for child in psutil.Process().children() if "handmade_backend" in " ".join(child.cmdline())]


def test_a_training_ends_with_its_parent(job: TrainingJob, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_bytes(TypeAdapter(TrainingJob).dump_json(job))
    parent = tmp_path / "modules" / "parent.py"
    parent.write_text(
        "import sys\nfrom pathlib import Path\nfrom pydantic import TypeAdapter\n"
        "from wafergate.adapters.training_process import train_in_process\n"
        "from wafergate.domain.training import TrainingJob\n"
        "job = TypeAdapter(TrainingJob).validate_json(Path(sys.argv[1]).read_bytes())\n"
        "train_in_process('handmade_backend:endless', job, on_epoch=lambda e: print('epoch', flush=True))\n"
    )
    command = [sys.executable, str(parent), str(tmp_path / "job.json")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(parent.parent)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"epoch\n"
        (child,) = psutil.Process(process.pid).children()
        process.kill()
    deadline = time.monotonic() + 20
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def put(job: TrainingJob, side: str, name: str, *, label: str | None, size: tuple[int, int] = (40, 20)) -> None:
    for kind in ("images", "labels"):
        (job.data / kind / side).mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(job.data / "images" / side / name), np.full((*size[::-1], 3), 90, np.uint8))
    if label is not None:
        (job.data / "labels" / side / name).with_suffix(".txt").write_text(label)


def test_images_are_fitted_and_an_image_without_labels_is_background(job: TrainingJob, tmp_path: Path) -> None:
    put(job, "train", "a.png", label="1 0.5 0.5 0.25 0.5\n")
    put(job, "train", "b.jpg", label=None, size=(300, 100))
    put(job, "train", "c.png", label="\n", size=(64, 64))
    put(job, "val", "a.png", label="0 0.5 0.5 1 1\n0 0.2 0.2 0.1 0.1\n")
    data = write_fitted_data(job, tmp_path / "fitted")
    assert (data.train, data.validation, data.boxes) == (3, 1, 1)
    shapes = {path.name: cv2.imread(str(path)).shape for path in sorted((tmp_path / "fitted/images/train").iterdir())}
    assert shapes == {"a.png": (32, 64, 3), "b.png": (21, 64, 3), "c.png": (64, 64, 3)}
    assert (tmp_path / "fitted/labels/train/a.txt").read_text() == "1 0.5 0.5 0.25 0.5\n"


@pytest.mark.parametrize(
    "label", ["2 0.5 0.5 0.1 0.1", "-1 0.5 0.5 0.1 0.1", "0.5 0.5 0.5 0.1 0.1", "0 1.5 0.5 0.1 0.1", "0 0.5 0.5 0 0.1",
              "0 0.5 0.5 0.1", "0 nan 0.5 0.1 0.1", "scratch 0.5 0.5 0.1 0.1"],
)  # fmt: skip
def test_a_label_that_a_backend_would_drop_silently_is_an_error(job: TrainingJob, tmp_path: Path, label: str) -> None:
    put(job, "train", "a.png", label=f"0 0.5 0.5 0.1 0.1\n{label}\n")
    with pytest.raises(TrainingError, match=r"train/a\.txt:2 must be"):
        write_fitted_data(job, tmp_path / "fitted")


def test_no_box_at_all_is_an_error(job: TrainingJob, tmp_path: Path) -> None:
    put(job, "train", "a.png", label=None)
    with pytest.raises(TrainingError, match="found 1 images with 0 boxes"):
        write_fitted_data(job, tmp_path / "fitted")


def test_two_images_of_one_name_are_an_error(job: TrainingJob, tmp_path: Path) -> None:
    put(job, "train", "a.png", label="0 0.5 0.5 0.1 0.1")
    put(job, "train", "a.jpg", label=None)
    with pytest.raises(TrainingError, match="two images called 'a'"):
        write_fitted_data(job, tmp_path / "fitted")


def test_an_image_that_is_none_is_an_error(job: TrainingJob, tmp_path: Path) -> None:
    put(job, "train", "a.png", label="0 0.5 0.5 0.1 0.1")
    (job.data / "images" / "train" / "b.png").write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"images/train/b\.png cannot be decoded"):
        write_fitted_data(job, tmp_path / "fitted")


def test_squares_hold_the_image_where_the_detector_puts_it_and_boxes_move_along(
    job: TrainingJob, tmp_path: Path
) -> None:
    put(job, "train", "a.png", label="1 0.25 0.5 0.5 1\n", size=(128, 64))
    write_fitted_data(job, tmp_path / "fitted", square=True)
    square = cv2.imread(str(tmp_path / "fitted/images/train/a.png"))
    assert square.shape == (64, 64, 3)
    assert [int(square[row, 0, 0]) for row in (0, 15, 16, 47, 48, 63)] == [114, 114, 90, 90, 114, 114]
    words = (tmp_path / "fitted/labels/train/a.txt").read_text().split()
    assert [float(word) for word in words] == [1, 0.25, 0.5, 0.5, 0.5]


def test_a_training_is_not_charged_with_what_its_parent_once_held() -> None:
    held = bytearray(600 * 2**20)
    assert peak_memory_mib("cpu") > 600
    del held
    ask = "from wafergate.adapters.torch_run import peak_memory_mib; print(peak_memory_mib('cpu'))"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert 10 < float(said) < 500


@pytest.mark.parametrize(
    "said",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "could not create a primitive",
        "DataLoader worker (pid 7) is killed by signal: Killed.",
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
        "shared memory.",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    ],
)
def test_however_memory_runs_out_fewer_images_are_the_answer_and_what_was_held_is_told(
    job: TrainingJob, said: str
) -> None:
    found = _translated(RuntimeError(said), job)
    assert isinstance(found, OutOfMemoryError)
    assert re.search(r"it held \d+ of this machine's \d+ MiB$", str(found))
    limited = _translated(RuntimeError(said), replace(job, memory_mib=300.0))
    assert "it held" not in str(limited), "a limit counts otherwise"
