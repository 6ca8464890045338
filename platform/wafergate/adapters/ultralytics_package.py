"""The installed Ultralytics: its switches before the first import, what it knows, and its weight files read safely."""

import difflib
import importlib.util
import inspect
import os
import re
import shutil
from pathlib import Path

from wafergate.errors import ConfigError

__all__ = ["check_architecture", "check_weights", "configure", "published_at", "readable_weights"]

OFFLINE = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false", "ULTRALYTICS_SAFE_LOAD": "1"}
"""Read when the package is imported: no look at the network, no pip, no banners, no pickled code in weights."""

INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


def configure(folder: Path) -> None:
    """Set every switch before the first import, settings and font below `folder`."""
    os.environ |= {**OFFLINE, "YOLO_CONFIG_DIR": str(folder)}
    home = folder / "Ultralytics"
    home.mkdir(parents=True)
    # its font check reaches for the network whatever the switches say, unless a file of this name is there
    spec = importlib.util.find_spec("matplotlib")
    fonts = Path((spec.submodule_search_locations or [""])[0] if spec else "", "mpl-data", "fonts", "ttf")
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        shutil.copyfile(fonts / "DejaVuSans.ttf", home / name)

    from ultralytics import settings

    settings.update({"sync": False, **dict.fromkeys(INTEGRATIONS, False)})


def check_architecture(architecture: str) -> None:
    """Look the architecture up among the files of the installed package, without importing it.

    Raises:
        ConfigError: it is not there; a name that Ultralytics does not know would be looked for on the network.
    """
    spec = importlib.util.find_spec("ultralytics")
    folders = (spec.submodule_search_locations if spec else None) or []
    stems = {path.stem for folder in folders for path in Path(folder, "cfg", "models").rglob("*.yaml")}
    detectors = {stem for stem in stems if re.fullmatch(r"yolov?\d+[a-z]?|rtdetr-[lx]", stem)}
    family = re.sub(r"(?<=\d)[nslmx]$", "", architecture)
    if architecture in detectors or family in detectors:
        return
    near = difflib.get_close_matches(architecture, sorted(detectors), n=3, cutoff=0.0)
    message = (
        f"Ultralytics has no detector called {architecture!r}; near it are {', '.join(near)}, where yolo11 and others "
        "take a size as in yolo11n"
    )
    raise ConfigError(message)


def published_at(architecture: str, scratch: Path) -> str:
    """Return where the installed Ultralytics fetches the weights of an architecture; empty where it names no place."""
    configure(scratch)
    from ultralytics.utils import downloads

    name = f"{architecture}.pt"
    if name not in downloads.GITHUB_ASSETS_NAMES:
        return ""
    release = inspect.signature(downloads.attempt_download_asset).parameters["release"].default
    return f"https://github.com/{downloads.GITHUB_ASSETS_REPO}/releases/download/{release}/{name}"


def check_weights(file: Path, scratch: Path) -> None:
    """Load a weight file as a training does.

    Raises:
        ConfigError: it is missing, damaged or carries anything but a model of known classes.
    """
    configure(scratch)
    readable_weights(file, scratch)


def readable_weights(weights: Path, scratch: Path) -> str:
    """Load the file once, known classes only, and return a copy whose name Ultralytics accepts.

    Raises:
        ConfigError: it is missing, damaged or carries anything but a model of known classes.
    """
    from ultralytics.nn import tasks

    tasks.SAFE_LOAD = True  # its switch is read at the first import, which may have been before this
    copy = scratch / "start.pt"
    try:
        shutil.copyfile(weights, copy)
        tasks.load_checkpoint(copy)
    except OSError as error:
        message = f"the weight file {weights} cannot be read: {error}"
        raise ConfigError(message) from error
    except Exception as error:  # unpickling fails in as many ways as there are damaged files
        message = (
            f"the weight file {weights.name} must be an Ultralytics checkpoint of known classes and was refused: "
            f"{' '.join(str(error).split())[:200]}"
        )
        raise ConfigError(message) from error
    return str(copy)
