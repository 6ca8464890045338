"""Checkpoints leave the store when nobody can go on from them, and never the newest of a training that may."""

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.small_line import parts_in
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import CheckpointRemoval, TrainingCheckpoint, TrainingEpoch
from wafergate.domain.weights import WeightFile
from wafergate.errors import ConfigError, StorageError
from wafergate.jobs.alone import alone
from wafergate.jobs.checkpoints import abandoned, kept_checkpoints, remove_checkpoints, remove_superseded
from wafergate.jobs.ladder import train_within_memory
from wafergate.jobs.parts import Parts
from wafergate.jobs.training_folder import prune_folders

pytestmark = pytest.mark.unit
START = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(tmp_path: Path, clock: Clock) -> Parts:
    return replace(parts_in(tmp_path), clock=clock)


def keep(parts: Parts, model: str, epoch: int, *, best: bytes | None = None) -> TrainingCheckpoint:
    row = TrainingCheckpoint(
        id=f"{model}-{epoch}-{parts.clock()}",
        model_id=model,
        epoch=epoch,
        last=parts.files.put(f"{model} after {epoch}".encode()),
        best=None if best is None else parts.files.put(best),
        created_at=parts.clock(),
    )
    parts.facts.save(row)
    return row


def test_a_running_training_keeps_its_newest_two_and_the_best_state_they_share(parts: Parts) -> None:
    rows = [keep(parts, "m", epoch, best=b"best") for epoch in (1, 2, 3, 4)]
    removed = remove_superseded(parts, "m")
    assert [row.epoch for row in kept_checkpoints(parts, "m")] == [4, 3]
    assert {row.epoch: row.bytes for row in removed} == {2: len("m after 2"), 1: len("m after 1")}
    assert [parts.files.has(row.last) for row in rows] == [False, False, True, True]
    assert parts.files.get(str(rows[0].best)) == b"best"
    assert remove_superseded(parts, "m") == []


def test_a_file_that_is_also_a_weight_file_stays(parts: Parts) -> None:
    row = keep(parts, "m", 1)
    parts.facts.save(WeightFile("w", "yolox-nano", row.last, "w.pt", 9, "MIT", "the team", "kim", START))
    (removal,) = remove_checkpoints(parts, [row], reason="the disk is full", actor="kim")
    assert (removal.bytes, removal.actor, removal.reason) == (0, "kim", "the disk is full")
    assert parts.files.has(row.last)
    assert kept_checkpoints(parts, "m") == []


def test_only_trainings_that_have_not_moved_for_so_many_days_are_abandoned(parts: Parts, clock: Clock) -> None:
    old, slow = keep(parts, "stopped", 3), keep(parts, "slow", 1)
    clock.now = START + timedelta(days=29)
    parts.facts.save(TrainingEpoch("e", "slow", 2, 9, 1.0, 1.0, None, clock.now))
    young = keep(parts, "young", 1)
    clock.now = START + timedelta(days=31)
    assert abandoned(parts, 30) == [old]
    assert abandoned(parts, 1) == [old, slow, young]
    remove_checkpoints(parts, abandoned(parts, 30), reason="over", actor="kim")
    assert abandoned(parts, 30) == []
    assert kept_checkpoints(parts, "slow") == [slow]
    with pytest.raises(ConfigError, match="at least 1 day, found --days 0"):
        abandoned(parts, 0)


def test_a_training_that_begins_anew_after_its_checkpoints_went_keeps_new_ones(parts: Parts, clock: Clock) -> None:
    keep(parts, "m", 1)
    remove_checkpoints(parts, kept_checkpoints(parts, "m"), reason="over", actor="kim")
    clock.now += timedelta(days=1)
    again = keep(parts, "m", 1)
    assert kept_checkpoints(parts, "m") == [again]
    assert parts.files.has(again.last)


class Stepping:
    """A trainer of five epochs that fails in the epoch it is told to."""

    def __init__(self, fails_in: int) -> None:
        self.fails_in = fails_in
        self.began: list[int] = []

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        first = job.resume.epoch + 1 if job.resume else 1
        self.began.append(first)
        for epoch in range(first, 6):
            if epoch == self.fails_in:
                message = "power"
                raise OSError(message)
            on_epoch(EpochReport(epoch, 5, 1.0, 1.0))
            state = job.folder / f"state-{epoch}"
            state.write_text(f"{epoch}")
            if on_checkpoint is not None:
                on_checkpoint(Checkpoint(epoch, state, None))
        return TrainedArtefact(state, state, "yolo", 5, 1, 1.0, {})  # type: ignore[arg-type]


def test_a_training_killed_again_and_again_goes_on_from_its_newest_each_time(parts: Parts, tmp_path: Path) -> None:
    candidate = Candidate("steps", "steps", "steps", "MIT")
    job = TrainingJob(
        candidate, ("a",), tmp_path, tmp_path, None, Channels.IMAGE, 32, 5, 1, 0.0, 0.0, 0, "cpu",
    )  # fmt: skip
    began = []
    for fails_in in (2, 4, 5, 9):
        trainer = Stepping(fails_in)
        mine = replace(parts, trainers={"steps": trainer})
        with contextlib.suppress(OSError):
            train_within_memory(mine, job, "m", on_epoch=lambda _: None, on_step=lambda _: None, checkpoint_seconds=0.0)
        began += trainer.began
        assert len(kept_checkpoints(parts, "m")) <= 2
    assert began == [1, 2, 4, 5]
    assert {row.epoch for row in parts.facts.find(CheckpointRemoval)} == {1, 2, 3}


def test_a_work_folder_is_pruned_when_nothing_in_it_has_moved_for_so_many_days(parts: Parts, clock: Clock) -> None:
    files = {
        "model-00000000000000aa": "data/images/train/1.png",
        "probe-00000000000000ab": "8/data/images/train/1.png",
        "curve-run-00000000000000ac": "data/images/train/1.png",
        "model-00000000000000ad": "training.log",  # no training was laid out
        "photographs": "data/images/train/1.png",  # somebody else's
        "lines": "release.toml",
    }
    old = (START - timedelta(days=31)).timestamp()
    for name, inside in files.items():
        file = parts.work / name / inside
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(300))
    first, probe, waits = (parts.work / name for name in list(files)[:3])
    cached = parts.work / "cached"
    cached.write_bytes(bytes(5000))
    os.link(cached, first / "data/images/train/2.png")
    for path in parts.work.rglob("*"):
        os.utime(path, (old, old))
    os.utime(cached)  # another training takes it from the cache
    assert prune_folders(parts, 32, remove=True) == {}
    with alone(parts, f"work on {waits.name}", lambda: None):  # for its card, say
        assert prune_folders(parts, 30, remove=False) == {first: 300, probe: 300}
        os.utime(first / "data/images/train/1.png", (START.timestamp(), START.timestamp()))
        assert prune_folders(parts, 30, remove=True) == {probe: 300}, "a training writes in the first"
    assert prune_folders(parts, 30, remove=True) == {waits: 300}
    assert {path.name for path in parts.work.iterdir()} == {*files, "cached"} - {probe.name, waits.name}


def test_a_work_folder_that_cannot_be_removed_is_said(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = parts.work / "model-00000000000000aa"
    (folder / "data").mkdir(parents=True)
    for path in (folder / "data", folder):
        os.utime(path, (0, 0))

    def refused(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path / "data"))

    monkeypatch.setattr("wafergate.jobs.training_folder.shutil.rmtree", refused)
    with pytest.raises(StorageError, match=r"cannot be removed: Permission denied \(.*data\); check who may"):
        prune_folders(parts, 30, remove=True)
