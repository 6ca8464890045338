"""What this machine is: processor, memory, cards, and the versions of what runs on it."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from wafergate import __version__
from wafergate.adapters.onnx.runtimes import loads_cuda
from wafergate.domain.devices import device_names
from wafergate.errors import HardwareError

__all__ = ["Gpu", "Machine", "code_version", "describe", "find_machine", "training_devices", "visible_cards"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """A CUDA card as its driver names it; memory in MiB."""

    name: str
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found: processor, cores this process may use, memory in MiB, cards."""

    processor: str
    cores: int
    memory_mib: float
    gpus: tuple[Gpu, ...]


def find_machine() -> Machine:
    """Look at processor, memory and cards, without importing a training framework."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(_processor(), cores, psutil.virtual_memory().total / 2**20, _gpus())


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[Gpu, ...]:
    if shutil.which("nvidia-smi") is None:
        return ()
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return ()  # a driver without a card
    rows = [line.rpartition(",") for line in said.splitlines() if "," in line]
    return tuple(Gpu(name.strip(), float(memory) if memory.strip().isdecimal() else 0.0) for name, _, memory in rows)


def training_devices(device: str) -> tuple[str, ...]:
    """Return the devices a training computes on, by names that mean the same to every process of this machine.

    Args:
        device: as in `wafergate.domain.devices`.

    Raises:
        HardwareError: a card that is asked for is not there.
    """
    if device == "cpu":
        return ("cpu",)
    cards = visible_cards()
    try:
        names = device_names(device, len(cards))
    except LookupError as error:
        message = (
            f"training needs device {device!r}, but this machine shows {len(cards)} CUDA cards; set device = 'auto'"
        )
        raise HardwareError(message) from error
    return tuple("cpu" if name == "cpu" else f"cuda:{cards[int(name.partition(':')[2])]}" for name in names)


def visible_cards() -> tuple[str, ...]:
    """Return the cards that CUDA shows this process, each by its number or name among all of the machine."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return tuple(str(number) for number in range(len(_gpus())))
    return tuple(name.strip() for name in shown.split(",") if name.strip() and name.strip() != "-1") if _gpus() else ()


def describe(device: str, backend: str) -> str:
    """Name what a candidate is measured on: the cards or the processor, and the versions of what runs on it.

    Args:
        device: as in `wafergate.domain.devices`.
        backend: the package that trains; `openvino` where an exported model is run, on a card by ONNX Runtime alone.
    """
    machine = find_machine()
    versions = [f"{name} {_version(name)}" for name in (backend, "torch", "onnxruntime")]
    cards = _cards(device, machine) if backend != "openvino" or (machine.gpus and loads_cuda()) else ""
    return f"{cards or machine.processor}, {machine.cores} cores; {', '.join(versions)}"


def _cards(device: str, machine: Machine) -> str:
    """Name the cards that a device means; empty for the processor, and for cards that are not here."""
    try:
        numbers = [name.partition(":")[2] for name in training_devices(device) if name != "cpu"]
    except HardwareError:
        return ""
    known = {
        str(number): f"{gpu.name} {gpu.memory_mib:.0f} MiB" if gpu.memory_mib else gpu.name
        for number, gpu in enumerate(machine.gpus)
    }
    return " + ".join(known.get(number, number) for number in numbers)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@cache
def code_version() -> str:
    """Return wafergate's version and, where it runs from a git checkout, its commit; `+` says that files differ."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return __version__
    try:
        commit, changed = (_git(root, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain")))
    except subprocess.SubprocessError:
        return __version__  # a checkout of somebody else, which git refuses to read
    return f"{__version__} {commit[:12]}{'+' if changed else ''}"


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
