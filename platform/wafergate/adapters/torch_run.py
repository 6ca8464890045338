"""What the training backends share on PyTorch: device, seeds, threads, and weights read without running a pickle."""

import os
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wafergate.domain.training import TrainingJob
from wafergate.errors import ConfigError, HardwareError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["load_matching", "loader_workers", "prepare", "read_tensors"]

ENOUGH = 0.7
"""Share of a network's tensors that a weight file must bring: a new head alone leaves far more than this."""


def prepare(job: TrainingJob) -> str:
    """Seed everything random, ask for deterministic kernels, set the threads, and return the device to train on.

    Raises:
        HardwareError: a CUDA device is asked for and is not there.
    """
    import torch

    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 - the backends draw from the global generator
    torch.manual_seed(job.seed)
    if job.threads:
        torch.set_num_threads(job.threads)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that writes every buffer twice
    torch.backends.cudnn.benchmark = False
    found = torch.cuda.device_count()
    if job.device == "auto":
        return "cuda:0" if found else "cpu"
    if job.device == "cpu":
        return "cpu"
    name, _, number = job.device.partition(":")
    if name != "cuda" or not (number or "0").isdigit() or int(number or 0) >= found:
        message = f"training needs device {job.device!r}, but PyTorch finds {found} CUDA devices; set device = 'auto'"
        raise HardwareError(message)
    return f"cuda:{number or 0}"


def loader_workers(device: str) -> int:
    """Return how many processes load images: none on a CPU, where they would take the cores that train."""
    return 0 if device == "cpu" else min(8, max(1, (os.cpu_count() or 2) - 1))


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
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        message = (
            f"the weight file {path.name} must hold nothing but tensors and was refused unread: "
            f"{str(error).splitlines()[0][:160] if str(error) else type(error).__name__}"
        )
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
