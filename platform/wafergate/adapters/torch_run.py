"""What the training backends share on PyTorch: device, seeds, threads, and weights read without running a pickle."""

import os
import random
import resource
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wafergate.adapters.training_group import rank, ranks
from wafergate.domain.devices import device_names
from wafergate.domain.training import Checkpoint, TrainingJob
from wafergate.errors import ConfigError, HardwareError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "batch_sizes",
    "keep_checkpoint",
    "load_matching",
    "loader_workers",
    "peak_memory_mib",
    "prepare",
    "read_tensors",
    "reseed",
    "take_up",
]

ENOUGH = 0.7
"""Share of a network's tensors that a weight file must bring: a new head alone leaves far more than this."""


def prepare(job: TrainingJob) -> str:
    """Seed everything random, ask for deterministic kernels, set the threads, and return the device to train on.

    Raises:
        HardwareError: a CUDA device is asked for and is not there.
    """
    import torch

    reseed(job)
    if job.threads:
        torch.set_num_threads(job.threads)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that writes every buffer twice
    torch.backends.cudnn.benchmark = False
    device = _device(job, torch.cuda.device_count())
    if job.memory_mib:
        _limit_memory(device, int(job.memory_mib * 2**20))
    return device


def reseed(job: TrainingJob, *, after: int | None = None) -> None:
    """Seed what is drawn after so many epochs; by default after those that the job goes on from.

    A training that goes on draws what an undisturbed one draws in the same epoch.
    """
    import torch

    epoch = after if after is not None else (job.resume.epoch if job.resume else 0)
    own = (rank(),) if rank() else ()  # processes that train together draw different augmentations
    seed = int(np.random.SeedSequence((job.seed, epoch, *own)).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the backends draw from the global generator
    torch.manual_seed(seed)


def _device(job: TrainingJob, found: int) -> str:
    try:
        names = device_names(job.device, found)
    except LookupError as error:
        message = f"training needs device {job.device!r}, but PyTorch finds {found} CUDA devices; set device = 'auto'"
        raise HardwareError(message) from error
    return names[min(rank(), len(names) - 1)]


def _limit_memory(device: str, limit: int) -> None:
    """Hold this process to a number of bytes: its private data on a CPU, PyTorch's allocator on a GPU."""
    if device == "cpu":
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        return
    import torch

    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)


def peak_memory_mib(device: str) -> float:
    """Return the most memory this process has held so far, MiB; see `TrainedArtefact.peak_memory_mib`."""
    if device != "cpu":
        import torch

        return float(torch.cuda.max_memory_reserved(device)) / 2**20
    status = Path("/proc/self/status")
    if status.is_file():  # `ru_maxrss` is inherited on Linux from the process that started this one
        for line in status.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 2**10
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def batch_sizes(job: TrainingJob, images: int) -> tuple[int, int]:
    """Return the images behind one step of the optimiser and those in memory at a time; a small set has no more.

    Where processes train together, both are for all of them: a multiple of their number, at least one each.
    """
    batch = _shared(min(job.batch, images))
    return batch, _shared(min(job.micro_batch or batch, batch))


def _shared(images: int) -> int:
    return max(1, images // ranks()) * ranks()


def keep_checkpoint(folder: Path, epoch: int, last: Path, best: Path | None, *, best_is_new: bool) -> Checkpoint:
    """Copy a backend's state out of its reach, for it writes the next one over it.

    Args:
        folder: where the copies go.
        epoch: how many epochs the state has seen.
        last: the state to go on from.
        best: the best state on validation so far.
        best_is_new: whether it was reached in this very epoch; otherwise the copy made then still stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = Path(shutil.copyfile(last, folder / f"last-{epoch}.pt"))
    if best is None or not best.is_file():
        return Checkpoint(epoch, kept, None)
    copies = list(folder.glob("best-*.pt"))
    if best_is_new or not copies:
        return Checkpoint(epoch, kept, Path(shutil.copyfile(best, folder / f"best-{epoch}.pt")))
    return Checkpoint(epoch, kept, max(copies, key=lambda path: int(path.stem.partition("-")[2])))


def take_up(checkpoint: Checkpoint, folder: Path) -> Path:
    """Lay a checkpoint where a backend keeps its states; return the one to go on from."""
    folder.mkdir(parents=True, exist_ok=True)
    if checkpoint.best is not None:
        shutil.copyfile(checkpoint.best, folder / "best.pt")
    return Path(shutil.copyfile(checkpoint.last, folder / "resume.pt"))


def loader_workers(device: str) -> int:
    """Return how many processes load images: none on a CPU, where they would take the cores that train."""
    return 0 if device == "cpu" else min(8, max(1, (os.cpu_count() or 2) - 1))


def _found(error: Exception) -> str:
    """Return what PyTorch found in a file, without its advice on how to read such a one all the same."""
    told = str(error).rpartition("WeightsUnpickler error:")[2]
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Weights only load failed"):
        del lines[0]
    return (lines or [type(error).__name__])[0][:160]


def read_tensors(path: Path) -> dict[str, "Tensor"]:
    """Read a state dict, plain or inside a checkpoint, without running code that the file may carry.

    Raises:
        ConfigError: the file is missing, damaged, or holds anything but tensors and plain values.
    """
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        message = f"the weight file {path} cannot be read: {error}"
        raise ConfigError(message) from error
    except Exception as error:  # a damaged file ends the reader in dozens of ways, and runs no code in any
        message = f"the weight file {path.name} must hold nothing but tensors and was refused unread: {_found(error)}"
        raise ConfigError(message) from error
    for name in ("model", "state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict):
            loaded = loaded[name]
    if not isinstance(loaded, dict) or not all(torch.is_tensor(value) for value in loaded.values()) or not loaded:
        message = (
            f"the weight file {path.name} must hold a state dict (names to tensors), found {type(loaded).__name__}"
        )
        raise ConfigError(message)
    return loaded


def load_matching(network: "nn.Module", tensors: Mapping[str, "Tensor"], *, source: Path) -> list[str]:
    """Load every tensor whose name and shape fit, which leaves a head of another class count as it was made.

    Args:
        network: what to load into.
        tensors: a state dict.
        source: where it comes from, for the message.

    Returns:
        The names that keep their first values.

    Raises:
        ConfigError: too few fit; the weights are of another architecture.
    """
    own: dict[str, Any] = network.state_dict()
    fitting = {name: value for name, value in tensors.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < ENOUGH * len(own):
        message = (
            f"weights {source.name} do not fit the architecture: {len(fitting)} of its {len(own)} tensors match by "
            "name and shape; choose the candidate these weights were trained for"
        )
        raise ConfigError(message)
    network.load_state_dict({**own, **fitting})
    return sorted(set(own) - set(fitting))
