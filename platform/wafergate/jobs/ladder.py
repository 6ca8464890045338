"""Train within the memory there is: half as many images at a time when it runs out, from the last checkpoint on."""

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from wafergate.domain.identity import identify
from wafergate.domain.models import Candidate, require_backend
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import MemoryStep, TrainingCheckpoint
from wafergate.errors import HardwareError, OutOfMemoryError
from wafergate.jobs.alone import alone
from wafergate.jobs.checkpoints import kept_checkpoints, remove_superseded
from wafergate.jobs.parts import Parts
from wafergate.ports import Trainer

__all__ = ["CHECKPOINT_SECONDS", "hold_devices", "train_within_memory", "trainer_of"]

CHECKPOINT_SECONDS = 60.0
"""How long a training may run before its state is stored again: a killed machine costs that long and an epoch."""


def train_within_memory(
    parts: Parts,
    job: TrainingJob,
    model_id: str,
    *,
    on_epoch: Callable[[EpochReport], None],
    on_step: Callable[[MemoryStep], None],
    checkpoint_seconds: float,
    on_wait: Callable[[], None] = lambda: None,
) -> TrainedArtefact:
    """Train a job, going on from its newest stored checkpoint, down to one image at a time.

    The images behind one step of the optimiser stay as many as asked for (to a rounding where they do not divide):
    the gradients of several small batches are added up. Training takes longer and learns the same (rule M13).

    Args:
        parts: the real parts.
        job: what to train.
        model_id: the model it will be; checkpoints and steps are kept under it.
        on_epoch: told every epoch.
        on_step: told every step down, and once more the lowest one of a run before on this machine, which binds.
        checkpoint_seconds: how long a training may run before its state is stored again.
        on_wait: told when another training holds one of the job's devices; two at once would share its memory.

    Raises:
        ConfigError: no such backend.
        HardwareError: memory ran out with one image at a time.
        TrainingError: see `Trainer`.
    """
    trainer = trainer_of(parts, job.candidate)
    with hold_devices(parts, job.device, on_wait):
        return _climb_down(parts, job, model_id, trainer, on_epoch, on_step, checkpoint_seconds)


@contextmanager
def hold_devices(parts: Parts, device: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold what a training computes on, alone among all runs on this machine.

    Args:
        parts: the real parts.
        device: as in `wafergate.domain.devices`.
        on_wait: told when another run holds one of them.

    Raises:
        HardwareError: a card that is asked for is not there.
    """
    with ExitStack() as held:
        for name in sorted(parts.devices(device)):  # in one order everywhere: nobody waits in a circle
            held.enter_context(alone(parts, f"training on {platform.node()}, {name}", on_wait))
        yield


def trainer_of(parts: Parts, candidate: Candidate) -> Trainer:
    """Return the trainer of a candidate's backend.

    Raises:
        ConfigError: there is no such backend.
    """
    require_backend(candidate, parts.trainers)
    return parts.trainers[candidate.backend]


def _climb_down(
    parts: Parts,
    job: TrainingJob,
    model_id: str,
    trainer: Trainer,
    on_epoch: Callable[[EpochReport], None],
    on_step: Callable[[MemoryStep], None],
    checkpoint_seconds: float,
) -> TrainedArtefact:
    kept = _Kept(parts, model_id, checkpoint_seconds)
    machine = parts.machine(job.device, job.candidate.backend)
    at_a_time = job.micro_batch or job.batch
    before = parts.facts.find(MemoryStep, model_id=model_id, machine=machine, budget_mib=job.memory_mib)
    if before:
        lowest = min(before, key=lambda step: step.after)
        on_step(lowest)
        at_a_time = min(at_a_time, lowest.after)
    job = replace(job, resume=kept.fetch(job.folder), micro_batch=at_a_time)
    while True:
        try:
            return trainer(job, on_epoch=on_epoch, on_checkpoint=kept.take)
        except OutOfMemoryError as error:
            step = _step(parts, job, model_id, error, epoch=kept.epoch, machine=machine)
            parts.facts.save(step)
            on_step(step)
            job = replace(job, micro_batch=step.after, resume=kept.newest)


def _step(
    parts: Parts, job: TrainingJob, model_id: str, error: OutOfMemoryError, *, epoch: int, machine: str
) -> MemoryStep:
    cards = len(parts.devices(job.device))  # each takes an image at least
    if job.micro_batch <= cards:
        budget = (
            f"the {job.memory_mib:.0f} MiB of [hardware.train] memory_mib" if job.memory_mib else "this machine has"
        )
        least = f"one image at a time{f' on each of {cards} cards' if cards > 1 else ''}"
        message = (
            f"{job.candidate.name} at {job.image_size} px needs more memory than {budget}, even with {least} "
            f"({error}): choose a smaller candidate or a smaller models.image_size"
        )
        raise HardwareError(message) from error
    after = max(job.micro_batch // 2, cards)
    return MemoryStep(
        id=identify("memory-step", model_id, epoch, job.micro_batch, after, machine, job.memory_mib),
        model_id=model_id,
        epoch=epoch,
        batch=job.batch,
        before=job.micro_batch,
        after=after,
        budget_mib=job.memory_mib,
        detail=str(error),
        created_at=parts.clock(),
        machine=machine,
    )


class _Kept:
    """The checkpoints of one training: the newest on this machine, and one now and then in the store."""

    def __init__(self, parts: Parts, model_id: str, seconds: float) -> None:
        self._parts, self._model_id, self._seconds = parts, model_id, seconds
        self._stored_at = time.monotonic()
        self.newest: Checkpoint | None = None

    @property
    def epoch(self) -> int:
        return self.newest.epoch if self.newest else 0

    def fetch(self, folder: Path) -> Checkpoint | None:
        """Bring the newest stored checkpoint into a folder."""
        row = next(iter(kept_checkpoints(self._parts, self._model_id)), None)
        if row is not None:
            best = self._write(folder / "resume-best.pt", row.best) if row.best else None
            self.newest = Checkpoint(row.epoch, self._write(folder / "resume-last.pt", row.last), best)
        return self.newest

    def _write(self, path: Path, digest: str) -> Path:
        path.write_bytes(self._parts.files.get(digest))
        return path

    def take(self, checkpoint: Checkpoint) -> None:
        """Remember a checkpoint, and store it when the last stored one is old."""
        self.newest = checkpoint
        if time.monotonic() - self._stored_at < self._seconds:
            return
        files, now = self._parts.files, self._parts.clock()
        row = TrainingCheckpoint(
            id=identify("checkpoint", self._model_id, checkpoint.epoch, now),
            model_id=self._model_id,
            epoch=checkpoint.epoch,
            last=files.put(checkpoint.last.read_bytes()),
            best=files.put(checkpoint.best.read_bytes()) if checkpoint.best else None,
            created_at=now,
        )
        self._parts.facts.save(row)
        remove_superseded(self._parts, self._model_id)
        self._stored_at = time.monotonic()
