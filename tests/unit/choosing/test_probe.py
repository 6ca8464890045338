"""What a candidate is measured to need before anything is trained, and what a training makes of it."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.choosing.weighed import Weighed
from tests.unit.small_line import ContrastTrainer
from wafergate.domain.training import TrainedArtefact
from wafergate.domain.training_rows import MemoryStep, ModelVersion
from wafergate.errors import HardwareError, OutOfMemoryError
from wafergate.jobs.choose import with_winner
from wafergate.jobs.ladder import hold_devices
from wafergate.jobs.parts import Parts
from wafergate.jobs.probe import probe, require_room, room_for
from wafergate.jobs.train import train
from wafergate.line import LineFile

pytestmark = pytest.mark.unit


class Crowded(Weighed):
    """A trainer that has room for so many images at a time, and remembers what it was asked."""

    def __init__(self, trainer: ContrastTrainer, mib: float, fits: int) -> None:
        super().__init__(trainer, mib)
        self.fits = fits
        self.asked: list[int] = []
        self.windows: list[int] = []

    def __call__(self, job: Any, **tell: Any) -> TrainedArtefact:
        self.asked.append(job.micro_batch or job.batch)
        self.windows.append(job.window)
        if self.asked[-1] > self.fits:
            message = f"room for {self.fits}"
            raise OutOfMemoryError(message)
        return super().__call__(job, **tell)


def crowded(parts: Parts, fits: int) -> tuple[Parts, Crowded]:
    trainer = Crowded(ContrastTrainer(), 400.0, fits)
    return replace(parts, trainers={**parts.trainers, "contrast": trainer}), trainer


@pytest.mark.parametrize(
    ("fits", "asked", "kept"), [(8, [1, 8], [1, 8]), (5, [1, 8, 2, 4], [1, 2, 4]), (1, [1, 8, 2], [1])]
)
def test_one_image_and_all_are_probed_and_what_lies_between_only_where_all_do_not_fit(
    parts: Parts, line: Callable[..., LineFile], fits: int, asked: list[int], kept: list[int]
) -> None:
    some, trainer = crowded(parts, fits)
    of = with_winner(line(), "contrast")
    known = next(one for one in of.models.candidates if one.name == "contrast")
    found = probe(some, of, known)
    assert (trainer.asked, [use.images for use in found.memory]) == (asked, kept)
    assert probe(some, of, known) == found
    assert trainer.asked == asked
    assert room_for(some, of, known) == kept[-1]


def test_a_training_begins_with_as_many_images_at_a_time_as_the_probe_found_room_for(
    thread: tuple[Parts, str], parts: Parts, line: Callable[..., LineFile]
) -> None:
    some, trainer = crowded(parts, 5)
    of = with_winner(line("[hardware.train]\nmemory_mib = 3333"), "contrast")
    require_room(some, of, next(one for one in of.models.candidates if one.name == "contrast"))
    trainer.asked.clear()
    model = some.facts.get(ModelVersion, train(some, of, thread[1]).id)
    assert (trainer.asked, model.batch, model.micro_batch) == ([4], 8, 8)
    assert not some.facts.find(MemoryStep, model_id=model.id)


def test_a_candidate_that_cannot_train_one_image_is_refused_and_asked_again_when_the_machine_may_be_idle(
    parts: Parts, line: Callable[..., LineFile]
) -> None:
    some, trainer = crowded(parts, 0)
    of = with_winner(line(), "contrast")
    known = next(one for one in of.models.candidates if one.name == "contrast")
    with pytest.raises(HardwareError, match=r"contrast at 96 px cannot be trained here: one image at a time does not"):
        require_room(some, of, known)
    trainer.fits = 8
    assert require_room(some, of, known).dropped_by == ""
    tight, trainer = crowded(parts, 0)
    limited = with_winner(line("[hardware.train]\nmemory_mib = 77"), "contrast")
    for _ in range(2):
        with pytest.raises(HardwareError, match=r"does not fit into 77 MiB.*room for 0\. Choose a smaller candidate"):
            require_room(tight, limited, known)
    assert trainer.asked == [1, 1], "other work may have had the memory"


def test_windows_are_what_is_measured_where_windows_are_taught(parts: Parts, line: Callable[..., LineFile]) -> None:
    some, trainer = crowded(parts, 8)
    whole = with_winner(line(), "contrast")
    cut = whole.model_copy(update={"models": replace(whole.models, window=32)})
    known = next(one for one in whole.models.candidates if one.name == "contrast")
    first = probe(some, whole, known)
    assert probe(some, cut, known).id != first.id
    assert trainer.windows == [0, 0, 32, 32]


def test_a_probe_waits_for_a_training_that_runs_on_the_same_device(parts: Parts, line: Callable[..., LineFile]) -> None:
    known = line().models.candidates[0]
    told: list[str] = []
    held, done = threading.Event(), threading.Event()

    def waiting(stage: str, *_: object, **__: object) -> None:
        told.append(stage)
        held.set()

    def ask() -> None:
        probe(parts, line("[hardware.train]\nmemory_mib = 4321"), known, progress=waiting)
        done.set()

    thread = threading.Thread(target=ask)
    with hold_devices(parts, line().hardware.train.device, lambda: None):
        thread.start()
        assert held.wait(30)
        assert told == ["waiting: another training runs on this machine"]
        assert not done.is_set()
    thread.join(30)
    assert done.is_set()
