"""What a training begins with and is asked for: the candidate, its weights, and what the line file says of the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wafergate.domain.augmentation import OperationKind
from wafergate.domain.few_images import PLAIN, teach
from wafergate.domain.identity import digest_bytes
from wafergate.domain.models import Candidate, Channels, named_candidate
from wafergate.domain.splits import Side
from wafergate.domain.training import TrainingJob
from wafergate.domain.training_rows import TrainingItem
from wafergate.errors import ConfigError
from wafergate.jobs.licences import licensed_parts, require_trainable
from wafergate.jobs.parts import Parts
from wafergate.jobs.weights import licence_of, newest_weights, read_weights
from wafergate.line import LineFile

__all__ = ["Start", "choose_start", "find_weights", "training_job"]

_TURNS = {OperationKind.TURN_90, OperationKind.TURN_180, OperationKind.TURN_270}


@dataclass(frozen=True, slots=True)
class Start:
    """What a training begins with: the candidate and, unless random, the weights.

    Attributes:
        candidate: the catalogue entry, or the line's own.
        weights: the file.
        digest: its SHA-256.
        licence: of the file where somebody stated it, else of the candidate's own weights; empty for a file given by
            hand that nobody stated one of. It trains, and no model of it is promoted (rule M2).
    """

    candidate: Candidate
    weights: Path | None
    digest: str | None
    licence: str | None = None


def choose_start(parts: Parts, line: LineFile, *, weights: Path | None = None) -> Start:
    """Find the line's candidate and the weights it starts from, licences checked.

    Args:
        parts: the real parts.
        line: the line file.
        weights: a file that takes the place of the candidate's own.

    Raises:
        ConfigError: no such candidate or not at this input size, or its weights are not there and the line forbids a
            random start.
        LicenceError: the policy refuses code, weights or images.
    """
    candidate = named_candidate(parts.catalogue, line.models)
    name = candidate.name
    if weights is not None and not weights.is_file():
        message = f"there is no weight file {weights}; check --weights"
        raise ConfigError(message)
    file, digest = find_weights(parts, line, candidate, weights=weights)
    if digest is None and not line.models.random_start:
        wanted = candidate.weights or "a file given with --weights"
        message = (
            f"{name} starts from weights ({wanted}), which are not there: give the file with --weights, bring it with "
            f"`wafergate weights add FILE --model {name}`, fetch what its makers publish with `wafergate weights fetch "
            f"{name} --line {line.path.name}`, or set random_start = true in [models] to start from random weights"
        )
        raise ConfigError(message)
    stated = licence_of(parts.facts, digest)
    from_weights = digest is not None
    needed = licensed_parts(parts.catalogue, line, candidate, from_weights=from_weights, weights_licence=stated or None)
    require_trainable(line, needed, today=parts.clock().date())
    if digest is None:
        return Start(candidate, None, None)
    own = weights is None or _is_own(parts, line, candidate, digest)
    licence = stated or (candidate.weights_licence if own else "")
    return Start(candidate, file or parts.files.fetch(digest), digest, licence)


def find_weights(
    parts: Parts, line: LineFile, candidate: Candidate, *, weights: Path | None = None
) -> tuple[Path | None, str | None]:
    """Return the file a training would start from, None where it lies in the store or nowhere, and its SHA-256.

    That is the file given, else the candidate's own beside the line file, else the one brought last.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    own = line.path.parent / candidate.weights if candidate.weights else None
    file = weights or (own if own is not None and own.is_file() else None)
    if file is not None:
        return file, digest_bytes(read_weights(file))
    kept = newest_weights(parts, candidate.name)
    return None, kept.digest if kept else None


def _is_own(parts: Parts, line: LineFile, candidate: Candidate, digest: str) -> bool:
    """Tell whether a file that was given holds what the candidate would start from without it."""
    try:
        return digest == find_weights(parts, line, candidate)[1]
    except ConfigError:  # its own cannot be read, which is no hindrance to another one
        return False


def training_job(
    line: LineFile, start: Start, folder: Path, items: Sequence[TrainingItem], *, channels: Channels
) -> TrainingJob:
    """Return what a trainer is asked for, from the line's policies and the folder the images lie in.

    Args:
        line: the line file.
        start: the candidate and its weights.
        folder: where the images lie.
        items: the images; how a training teaches depends on how many of them are originals.
        channels: what they hold.
    """
    models, hardware = line.models, line.hardware.train
    adapts = models.few_images and start.weights is not None
    originals = sum(item.side == Side.TRAIN.value and not item.operations for item in items)
    return TrainingJob(
        candidate=start.candidate,
        classes=line.classes,
        data=folder / "data",
        folder=folder,
        weights=start.weights,
        channels=channels,
        image_size=models.image_size,
        epochs=models.epochs,
        batch=models.batch,
        learning_rate=models.learning_rate,
        mosaic=models.mosaic,
        seed=models.seed,
        device=hardware.device,
        threads=hardware.threads,
        flip_horizontal=OperationKind.FLIP_HORIZONTAL in line.augment.operations,
        flip_vertical=OperationKind.FLIP_VERTICAL in line.augment.operations,
        memory_mib=hardware.memory_mib,
        window=models.window,
        turns=adapts and set(line.augment.operations) >= _TURNS,
        iou=line.gate.iou,
        teaching=teach(originals) if adapts else PLAIN,
    )
