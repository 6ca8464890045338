"""Which checkpoints a training can still need, and the removal of the others from the store."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from wafergate.domain.identity import identify
from wafergate.domain.training_rows import CheckpointRemoval, ModelVersion, TrainingCheckpoint, TrainingEpoch
from wafergate.domain.weights import WeightFile
from wafergate.errors import ConfigError
from wafergate.jobs.parts import Parts

__all__ = ["abandoned", "kept_checkpoints", "remove_checkpoints", "remove_superseded"]

SPARE = 2
"""Newest checkpoints of a running training that stay: another machine may just be fetching the one before the last."""


def kept_checkpoints(parts: Parts, model_id: str) -> list[TrainingCheckpoint]:
    """Return the checkpoints of a training that are still in the store, the one to go on from first."""
    gone = {row.checkpoint_id for row in parts.facts.find(CheckpointRemoval, model_id=model_id)}
    rows = [row for row in parts.facts.find(TrainingCheckpoint, model_id=model_id) if row.id not in gone]
    return sorted(rows, key=lambda row: (row.epoch, row.created_at), reverse=True)


def remove_superseded(parts: Parts, model_id: str) -> list[CheckpointRemoval]:
    """Remove what a running training has gone past."""
    return remove_checkpoints(parts, kept_checkpoints(parts, model_id)[SPARE:], reason="newer ones are stored")


def abandoned(parts: Parts, days: int) -> list[TrainingCheckpoint]:
    """Return the checkpoints that nobody will go on from, oldest first.

    Those are all of a training whose model is stored, and all of one that has neither told an epoch nor stored a
    checkpoint for so many days.

    Raises:
        ConfigError: less than one day: a training that runs just now would lose its checkpoints.
    """
    if days < 1:
        message = f"checkpoints are kept for at least 1 day, found --days {days}"
        raise ConfigError(message)
    gone = {row.checkpoint_id for row in parts.facts.find(CheckpointRemoval)}
    rows = [row for row in parts.facts.find(TrainingCheckpoint) if row.id not in gone]
    since = parts.clock() - timedelta(days=days)
    trainings = {row.model_id for row in rows}
    over = {model_id for model_id in trainings if parts.facts.find(ModelVersion, id=model_id)}
    alive = {row.model_id for row in rows if row.created_at >= since}
    for model_id in trainings - over - alive:
        alive |= {
            row.model_id
            for row in parts.facts.find(TrainingEpoch, limit=1, model_id=model_id)
            if row.created_at >= since
        }
    return [row for row in rows[::-1] if row.model_id in over or row.model_id not in alive]


def remove_checkpoints(
    parts: Parts, rows: Sequence[TrainingCheckpoint], *, reason: str, actor: str = ""
) -> list[CheckpointRemoval]:
    """Remove checkpoints from the store, and say so in a row for each.

    The rows come first: whoever goes on with the training looks for the newest checkpoint without one. A file that
    another checkpoint, a model or a weight file also is stays.
    """
    sizes = parts.files.sizes({digest for row in rows for digest in _files(row)})
    needed = {
        digest
        for model_id in {row.model_id for row in rows}
        for other in kept_checkpoints(parts, model_id)
        if other not in rows
        for digest in _files(other)
    }
    free = {digest for digest in sizes if digest not in needed and not _is_elsewhere(parts, digest)}
    removals, counted = [], set[str]()
    for row in rows:
        own = (set(_files(row)) & free) - counted
        counted |= own
        removals.append(
            CheckpointRemoval(
                id=identify("checkpoint-removal", row.id),
                checkpoint_id=row.id,
                model_id=row.model_id,
                epoch=row.epoch,
                bytes=sum(sizes[digest] for digest in own),
                actor=actor,
                reason=reason,
                created_at=parts.clock(),
            )
        )
    parts.facts.save_all(removals)
    parts.files.remove(sorted(free))
    return removals


def _files(row: TrainingCheckpoint) -> Iterable[str]:
    return (row.last,) if row.best is None else (row.last, row.best)


def _is_elsewhere(parts: Parts, digest: str) -> bool:
    columns = ("weights", "onnx", "start")
    return bool(
        parts.facts.find(WeightFile, limit=1, digest=digest)
        or any(parts.facts.find(ModelVersion, limit=1, **{column: digest}) for column in columns)
    )
