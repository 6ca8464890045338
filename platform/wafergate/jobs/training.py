"""Images and a start to a trained artefact: laid out in a folder and trained within the memory there is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wafergate.domain.models import Channels
from wafergate.domain.training import EpochReport, TrainedArtefact
from wafergate.domain.training_rows import MemoryStep, TrainingItem
from wafergate.jobs.ladder import CHECKPOINT_SECONDS, train_within_memory
from wafergate.jobs.parts import Parts
from wafergate.jobs.probe import room_for
from wafergate.jobs.training_folder import bring_weights, write_yolo
from wafergate.jobs.training_job import Start, training_job
from wafergate.line import LineFile
from wafergate.ports import Progress

__all__ = ["Told", "train_items"]


class Told(NamedTuple):
    """Who hears of a training.

    Attributes:
        on_epoch: told after every epoch.
        progress: told how far the other steps are, and when another training is waited for.
        on_step: told when memory ran out and fewer images at a time are taken.
    """

    on_epoch: Callable[[EpochReport], None]
    progress: Progress
    on_step: Callable[[MemoryStep], None] = lambda _step: None


def train_items(
    parts: Parts,
    line: LineFile,
    start: Start,
    items: Sequence[TrainingItem],
    folder: Path,
    *,
    channels: Channels,
    told: Told,
    micro_batch: int = 0,
) -> TrainedArtefact:
    """Train on the items in an empty folder, whose name finds the checkpoints of a run that was killed.

    Args:
        parts: the real parts.
        line: the line file, `on_version` of the images.
        start: the candidate and its weights.
        items: what is taught, and the validation images if any.
        folder: see `work_folder`.
        channels: what the images hold.
        told: who hears of it.
        micro_batch: images in memory at a time to begin with; 0 takes what a probe found room for.

    Raises:
        StorageError: the folder cannot take the images.
        ConfigError, HardwareError, TrainingError: see `train_within_memory`.
    """
    start = bring_weights(parts, start, folder)
    write_yolo(parts, items, line.classes, folder, tile=line.tile, progress=told.progress)
    job = training_job(line, start, folder, items, channels=channels)
    return train_within_memory(
        parts,
        replace(job, micro_batch=micro_batch or room_for(parts, line, start.candidate)),
        folder.name,
        on_epoch=told.on_epoch,
        on_step=told.on_step,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        on_wait=lambda: told.progress("waiting: another training runs on this machine", 0, 0),
    )
