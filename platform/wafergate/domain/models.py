"""What a line may train: candidates, what they see, the `[models]` section and the hardware it must fit."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, MinLen

from wafergate.domain.devices import card_numbers
from wafergate.domain.licences import held_at_once, held_in_common
from wafergate.errors import ConfigError

__all__ = [
    "Candidate",
    "Channels",
    "Decoder",
    "HardwareProfile",
    "ModelPolicy",
    "TrainProfile",
    "choosable",
    "known_code_licence",
    "named_candidate",
    "require_backend",
]


class Channels(StrEnum):
    """What the three input channels of the model hold."""

    IMAGE = "image"
    GOLDEN = "golden"  # image, golden reference, tolerant difference


class Decoder(StrEnum):
    """How the raw output of an exported model becomes boxes."""

    YOLOX = "yolox"  # (n, anchors, 5 + classes) on a grid: centre, size, objectness, class scores
    YOLO = "yolo"  # (n, 4 + classes, anchors): centre, size in input pixels, class scores
    END_TO_END = "end2end"  # (n, detections, 6): corners in input pixels, score, class; no suppression needed


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could be trained.

    Attributes:
        name: as in the catalogue, e.g. `yolox-nano`.
        backend: `libreyolo` or `ultralytics`.
        architecture: the backend's own name for it.
        parameters: in millions.
        code_licence: SPDX identifier of the code; what the catalogue says of backend and architecture holds beside it.
        weights_licence: SPDX identifier of the published weights; empty when it starts from random weights.
        licence_source: where the licences are written.
        weights: a file, relative to the line file; empty for the architecture alone.
        weights_url: where its makers publish weights; empty leaves it to the backend to know.
        weights_sha256: of that file, where its makers state it; else the first download is the one that counts.
        image_step: input sizes are multiples of this, pixels.
        smallest_image: smallest input size, pixels: a detection transformer chooses its queries among the cells of its
            feature maps, which must be as many.
        largest_image: largest input size, pixels.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: Annotated[str, MinLen(1)]
    backend: Annotated[str, MinLen(1)]
    architecture: Annotated[str, MinLen(1)]
    code_licence: Annotated[str, MinLen(1)]
    parameters: Annotated[float, Gt(0)] = 1.0
    weights_licence: str = ""
    licence_source: str = ""
    weights: str = ""
    weights_url: str = ""
    weights_sha256: str = ""
    image_step: Annotated[int, Ge(1)] = 32
    smallest_image: Annotated[int, Ge(1)] = 32
    largest_image: Annotated[int, Ge(1)] = 4096

    def __post_init__(self) -> None:
        if self.weights_sha256 and not re.fullmatch("[0-9a-f]{64}", self.weights_sha256):
            message = f"weights_sha256 must be 64 hexadecimal digits, found {self.weights_sha256!r}"
            raise ValueError(message)

    def takes(self, image_size: int) -> bool:
        """Tell whether the architecture works at an input size, pixels."""
        return not image_size % self.image_step and self.smallest_image <= image_size <= self.largest_image


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """What is trained and for how long.

    Attributes:
        candidate: name in the catalogue or in `[[models.candidates]]`, or `auto` for the best of those that fit.
        choose_from: names that `auto` chooses between; empty for all.
        candidates: the team's own entries.
        channels: what the model sees.
        image_size: the longer side, pixels, a multiple of 32.
        epochs: at most this many.
        batch: effective batch size.
        learning_rate: peak; 0 leaves it to the backend.
        random_start: whether a candidate may start from random weights.
        mosaic: probability of pasting four training images into one during training, 0..1.
        window: side of the windows that LibreYOLO's YOLOX and YOLOv9 cut around defects in training, pixels of
            `image_size`, a multiple of 32; 0 for whole images. Judging and inspection always see whole images. The same
            time shows several times as many defects, and none is shrunk.
        few_images: whether training from given weights adapts to the number of originals (`domain/few_images.py`): even
            classes, a backbone that thaws, the weakest class choosing the state that is kept; and turns images by right
            angles where the augmentation may.
        seed: of everything random in training.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    candidate: str = "yolox-nano"
    candidates: tuple[Candidate, ...] = ()
    channels: Channels = Channels.IMAGE
    image_size: Annotated[int, Ge(32), Le(4096)] = 416
    epochs: Annotated[int, Ge(1), Le(2000)] = 30
    batch: Annotated[int, Ge(1), Le(1024)] = 8
    learning_rate: Annotated[float, Ge(0), Le(1)] = 0.0
    random_start: bool = False
    mosaic: Annotated[float, Ge(0), Le(1)] = 0.5
    seed: int = 0
    choose_from: tuple[str, ...] = ()
    window: Annotated[int, Ge(0), Le(4096)] = 0
    few_images: bool = True

    def __post_init__(self) -> None:
        if self.window % 32 or self.window > self.image_size:
            message = f"window must be 0 or a multiple of 32 up to image_size = {self.image_size}, found {self.window}"
            raise ValueError(message)
        if self.image_size % 32:
            message = f"image_size must be a multiple of 32, found {self.image_size}"
            raise ValueError(message)


def named_candidate(catalogue: Mapping[str, Candidate], models: ModelPolicy) -> Candidate:
    """Return the candidate that a line file names, out of the package's and, over them, its own.

    Raises:
        ConfigError: there is none of that name, or it does not work at the line's input size.
    """
    known = dict(catalogue) | {item.name: item for item in models.candidates}
    if models.candidate not in known:
        message = f"[models] candidate must be one of {', '.join(sorted(known))}; found {models.candidate!r}"
        raise ConfigError(message)
    candidate = known[models.candidate]
    if not candidate.takes(models.image_size):
        message = (
            f"[models] image_size must be a multiple of {candidate.image_step} from {candidate.smallest_image} to "
            f"{candidate.largest_image} for {candidate.name}, found {models.image_size}"
        )
        raise ConfigError(message)
    return candidate


def choosable(catalogue: Mapping[str, Candidate], models: ModelPolicy) -> Mapping[str, Candidate]:
    """Return the candidates a choice is between: those of `[models] choose_from`, or all that are known.

    Raises:
        ConfigError: one is unknown.
    """
    known = dict(catalogue) | {item.name: item for item in models.candidates}
    unknown = [repr(name) for name in models.choose_from if name not in known]
    if unknown:
        message = f"[models] choose_from must name candidates of {', '.join(sorted(known))}; found {', '.join(unknown)}"
        raise ConfigError(message)
    return {name: known[name] for name in models.choose_from or known}


def known_code_licence(catalogue: Mapping[str, Candidate], candidate: Candidate) -> str:
    """Return the licence of the code that a candidate trains with, as the package knows it; empty where it does not.

    It is that of the same backend and architecture, whatever a line calls them; of an architecture the catalogue lacks,
    what all of the backend's have in common.
    """
    kin = [known for known in catalogue.values() if known.backend == candidate.backend]
    same = [known.code_licence for known in kin if known.architecture == candidate.architecture]
    return held_at_once(same) if same else held_in_common(known.code_licence for known in kin)


def require_backend(candidate: Candidate, backends: Iterable[str]) -> None:
    """Refuse a candidate whose backend is none of these.

    Raises:
        ConfigError: it is none.
    """
    there = sorted(backends)
    if candidate.backend not in there:
        message = f"candidate {candidate.name} needs a backend of {', '.join(there)}; found {candidate.backend!r}"
        raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class HardwareProfile:
    """What computes.

    Attributes:
        device: `auto`, `cpu`, `cuda`, `cuda:1`, several cards as `cuda:0,1`, or `cuda:all`.
        threads: CPU threads; 0 takes as many as there are.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: str = "auto"
    threads: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        card_numbers(self.device)


@dataclass(frozen=True, slots=True)
class TrainProfile(HardwareProfile):
    """`[hardware.train]`.

    Attributes:
        memory_mib: memory that a training may use, MiB; 0 means no limit.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    memory_mib: Annotated[float, Ge(0)] = 0.0
