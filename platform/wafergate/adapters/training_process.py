"""Run a training in a process of its own, follow it, and translate how it ends.

Why a process: the backends read switches at import, write into the working folder, set process-wide random and thread
state and may be killed for want of memory. Here each gets a fresh interpreter whose output goes to a log file, which
cannot reach the network, and which ends when its parent does.
"""

import importlib
import importlib.util
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psutil
from pydantic import TypeAdapter

from wafergate.adapters.torch_run import peak_memory_mib
from wafergate.adapters.training_group import Followers, group_environments
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.words import counted
from wafergate.errors import ConfigError, HardwareError, OutOfMemoryError, TrainingError, WafergateError

__all__ = ["Reporter", "TrainHere", "require_extra", "train_in_process"]

logger = logging.getLogger(__name__)

_JOB = TypeAdapter(TrainingJob)
_EPOCH = TypeAdapter(EpochReport)
_ARTEFACT = TypeAdapter(TrainedArtefact)
_CHECKPOINT = TypeAdapter(Checkpoint)
_OURS = (ConfigError, HardwareError, OutOfMemoryError, TrainingError)
_ERRORS: Mapping[str, type[WafergateError]] = {kind.__name__: kind for kind in _OURS}

LOG_NAME = "training.log"
SCRATCH_NAME = "scratch"
CHECKPOINTS_NAME = "checkpoints"
OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "insufficient memory",
    "cublas_status_alloc_failed",
    "std::bad_alloc",
    "memoryerror",
    "cudnn_status_alloc_failed",
    # CUDA's libraries, where a card has no room left for a handle
    "cublas_status_not_initialized",
    "cudnn_status_not_initialized",
    # cuDNN, where no algorithm finds the room to work in
    "cudnn_status_internal_error",
    "unable to find an engine",
    "unable to find a valid cudnn algorithm",
    # oneDNN at a process's limit
    "could not create a primitive",
    "could not create a memory",
    # a process that loads images, ended by the system or short of shared memory
    "is killed by signal: killed",
    "is killed by signal: bus error",
    "out of shared memory",
    # a thread's stack is memory as well
    "can't start new thread",
    "thread creation failed",
)
"""How CUDA, PyTorch's CPU allocator, oneDNN, OpenCV, the C++ runtime and the system say that memory ran out."""


class Reporter(Protocol):
    """What a training tells its parent."""

    def epoch(self, report: EpochReport) -> None:
        """Tell an epoch as it ends."""

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Tell a state to go on from; its files are the parent's from here on."""

    def note(self, text: str) -> None:
        """Tell something a person may want to read in the log."""


class TrainHere(Protocol):
    """A backend's training as it runs in the process made for it."""

    def __call__(self, job: TrainingJob, scratch: Path, report: Reporter) -> TrainedArtefact | None:
        """Train in this process, all scratch files below `scratch`; a process that follows another returns None."""


def require_extra(module: str, extra: str) -> None:
    """Fail early, without importing anything heavy, when a backend is not installed.

    Raises:
        ConfigError: it is not; names what to install.
    """
    if importlib.util.find_spec(module) is None:
        message = f"training with {module} needs an extra that is not installed; run: pip install 'wafergate[{extra}]'"
        raise ConfigError(message)


def train_in_process(
    entry: str,
    job: TrainingJob,
    *,
    on_epoch: Callable[[EpochReport], None],
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    processes: int = 1,
    cards: Sequence[str] = (),
) -> TrainedArtefact:
    """Run `entry` on a job in a new process and follow it to its end.

    What an earlier run left in the scratch folder is removed first; where to go on is the job's to say.

    Args:
        entry: `module:function` of a `TrainHere`.
        job: what to train; its folder is made if need be.
        on_epoch: told every epoch; what it raises ends the training.
        on_checkpoint: told every checkpoint; its files are removed when the next one comes.
        processes: how many train it together; the backend must find its group in the environment as torchrun sets it.
        cards: that these processes see, as `CUDA_VISIBLE_DEVICES` lists them; empty for all.

    Raises:
        ConfigError: as the backend says.
        OutOfMemoryError: memory ran out, or the system killed the process.
        HardwareError: the device asked for is not there.
        TrainingError: anything else that ended it without a model.
    """
    scratch = job.folder / SCRATCH_NAME
    for folder in (scratch, *job.folder.glob("rank-*")):
        shutil.rmtree(folder, ignore_errors=True)
    scratch.mkdir(parents=True)
    reading, writing = os.pipe()
    command = [sys.executable, "-P", "-m", __name__, entry]
    own, *others = [_environment(job, scratch) | group for group in group_environments(processes, cards)]
    with (
        (job.folder / LOG_NAME).open("wb") as log,
        os.fdopen(reading, encoding="utf-8") as events,
        Followers(_send, LOG_NAME) as followers,
        subprocess.Popen(
            [*command, str(writing)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=scratch,
            env=own,
            pass_fds=(writing,),
        ) as process,
    ):
        os.close(writing)
        try:
            _send(process, job)
            followers.start(command, job, others)
            followers.watch(process)
            artefact = _follow(events, on_epoch, on_checkpoint)
            code = process.wait()
        except BaseException:
            process.kill()
            raise
    if artefact is None:
        raise _death(*(followers.fallen or (code, job)))
    for folder in (scratch, *job.folder.glob("rank-*")):
        shutil.rmtree(folder, ignore_errors=True)
    return artefact


def _environment(job: TrainingJob, scratch: Path) -> dict[str, str]:
    """Caches and settings below the scratch folder; programs a library might start find no network either."""
    environment = dict(os.environ)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TORCH_HOME"):
        environment[name] = str(scratch / "home")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        environment[name] = environment[name.upper()] = "http://127.0.0.1:9"  # the discard port: refused at once
    environment |= {"PIP_NO_INDEX": "1", "PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    # threads that wait by spinning slow a shared machine several times over: a step of 0.3 s was seen to take 5 s
    # beside other work, and 1.4 s with waiting threads asleep
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if job.threads:
        environment["OMP_NUM_THREADS"] = str(job.threads)
    return environment


def _send(process: "subprocess.Popen[bytes]", job: TrainingJob) -> None:
    """Hand the job over; the pipe then stays open, and its end tells the child that its parent is gone."""
    if process.stdin is None:
        raise AssertionError
    absolute = {name: getattr(job, name) and getattr(job, name).resolve() for name in ("data", "folder", "weights")}
    resume = job.resume and replace(
        job.resume, last=job.resume.last.resolve(), best=job.resume.best and job.resume.best.resolve()
    )
    try:
        process.stdin.write(_JOB.dump_json(replace(job, **absolute, resume=resume)) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        logger.debug("the training process ended before it took the job; how it ended says why")


def _follow(
    events: Iterable[str],
    on_epoch: Callable[[EpochReport], None],
    on_checkpoint: Callable[[Checkpoint], None] | None,
) -> TrainedArtefact | None:
    held: set[Path] = set()
    for line in events:
        ((kind, value),) = json.loads(line).items()
        match kind:
            case "note":
                logger.info("%s", value)
            case "epoch":
                on_epoch(_EPOCH.validate_python(value))
            case "checkpoint":
                found = _CHECKPOINT.validate_python(value)
                if on_checkpoint is not None:
                    on_checkpoint(found)
                needed = {file for file in (found.last, found.best) if file is not None}
                for file in held - needed:
                    file.unlink(missing_ok=True)
                held = needed
            case "artefact":
                return _ARTEFACT.validate_python(value)
            case "error":
                raise _ERRORS[value["kind"]](value["message"])
    return None


def _death(code: int, job: TrainingJob) -> WafergateError:
    """Say why a process ended without a word."""
    log = job.folder / LOG_NAME
    if code == -signal.SIGKILL:
        there = f"this machine has {psutil.virtual_memory().total / 2**20:.0f} MiB"
        return OutOfMemoryError(f"{_named(job)} was killed by the system, most likely for want of memory; {there}")
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f": {lines[-1][:200]}" if lines else ""
    if any(sign in line.lower() for line in lines[-20:] for sign in OUT_OF_MEMORY):
        return OutOfMemoryError(f"memory ran out in {_named(job)}; it ended with code {code}{last}")
    return TrainingError(f"training {job.candidate.name} ended with code {code}{last} (the whole log is in {log})")


def _named(job: TrainingJob) -> str:
    images = counted(job.micro_batch or job.batch, "image")
    return f"training {job.candidate.name} at {job.image_size} px, {images} at a time"


class _PipeReporter:
    """Writes events as JSON lines; `note` also goes to the log file."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "w", encoding="utf-8")

    def epoch(self, report: EpochReport) -> None:
        """Tell an epoch."""
        self.event("epoch", _EPOCH.dump_python(report, mode="json"))

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Tell a state to go on from."""
        self.event("checkpoint", _CHECKPOINT.dump_python(checkpoint, mode="json"))

    def note(self, text: str) -> None:
        """Tell a person."""
        sys.stderr.write(f"{text}\n")
        self.event("note", text)

    def event(self, kind: str, value: object) -> None:
        """Write one event at once."""
        self._pipe.write(json.dumps({kind: value}) + "\n")
        self._pipe.flush()


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: sockets inside this machine only, as a data loader's workers use them."""
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    else:
        return
    if host is not None and host not in {"localhost", "127.0.0.1", "::1", b"localhost"}:
        sys.stderr.write(f"network refused: {host!r}\n")
        message = "a training may not use the network"
        raise ConnectionRefusedError(message)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def _read_job() -> TrainingJob:
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit("the parent ended before it sent a job")
        line += part
    return _JOB.validate_json(line)


def _translated(error: Exception, job: TrainingJob) -> WafergateError:
    if isinstance(error, _OURS):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in OUT_OF_MEMORY):
        held = "" if job.memory_mib else f"; {_held()}"  # a limit counts private data alone, this counts all
        return OutOfMemoryError(f"memory ran out in {_named(job)}: {text[:200]}{held}")
    return TrainingError(f"training {job.candidate.name} failed: {type(error).__name__}: {text[:400]}")


def _held() -> str:
    """Say how much memory this process has held, of how much there is."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        card = torch.cuda.current_device()
        held = torch.cuda.max_memory_reserved(card) / 2**20
        return f"it held {held:.0f} of the card's {torch.cuda.get_device_properties(card).total_memory / 2**20:.0f} MiB"
    return f"it held {peak_memory_mib('cpu'):.0f} of this machine's {psutil.virtual_memory().total / 2**20:.0f} MiB"


def main(entry: str, descriptor: int) -> None:
    """Take a job from standard input, train, and write events to `descriptor`."""
    job = _read_job()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.addaudithook(_refuse_network)
    report = _PipeReporter(descriptor)
    module, _, function = entry.partition(":")
    train_here: TrainHere = getattr(importlib.import_module(module), function)
    try:
        artefact = train_here(job, Path.cwd(), report)
    except Exception as error:
        traceback.print_exc()  # into the log, before the parent hears of it and ends this process
        ours = _translated(error, job)
        report.event("error", {"kind": type(ours).__name__, "message": str(ours)})
        raise SystemExit(ours.exit_code) from error
    if artefact is not None:
        report.event("artefact", _ARTEFACT.dump_python(artefact, mode="json"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
