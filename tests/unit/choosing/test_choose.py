"""Which candidate is trained: what licences and hardware drop, and what validation decides among the rest."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.choosing.weighed import NEEDS, Weighed, candidate
from tests.unit.small_line import BlindTrainer, ContrastTrainer, open_contrast
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.ablation import Ablation
from wafergate.domain.choice import BriefTraining, CandidateStanding, MemoryUse, ModelChoice, Probe, RungResult
from wafergate.domain.evaluation import Detections
from wafergate.domain.latency import Latency
from wafergate.domain.learning_curve import LearningCurve
from wafergate.domain.models import TrainProfile
from wafergate.domain.out_of_fold import OutOfFold
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.serving import ServeProfile
from wafergate.domain.splits import Split, SplitMember
from wafergate.domain.training import TrainedArtefact
from wafergate.domain.training_rows import ModelVersion, TrainingItem, TrainingSet
from wafergate.errors import ConfigError, HardwareError, LicenceError, OutOfMemoryError, TrainingError
from wafergate.jobs.ablate import ablate
from wafergate.jobs.choose import as_chosen, choose, with_winner
from wafergate.jobs.curve import CurvePlan, draw_curve
from wafergate.jobs.out_of_fold import out_of_fold
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.train import train
from wafergate.jobs.training_job import choose_start
from wafergate.line import LineFile
from wafergate.ports import Detector
from wafergate.stages.choose import drop_misfits, halve, rung_epochs

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_best_on_validation_of_those_that_fit_is_chosen_and_every_other_says_why_not(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    told: list[str] = []
    of = line("[hardware.train]\nmemory_mib = 4000")
    done = choose(parts, of, thread[1], tell=told.append)
    row = parts.facts.get(ModelChoice, done.id)
    assert row.winner == "contrast"
    dropped = {one.candidate: (one.dropped_by, one.memory_mib) for one in row.standings}
    assert dropped == {"contrast": ("", 401.0), "blind": ("validation", 301.0), "heavy": ("memory", 9001.0)}
    reasons = {one.candidate: one.reason for one in row.standings}
    assert "takes 9001.0 MiB, the limit memory_mib in [hardware.train] is 4000 MiB" in reasons["heavy"]
    assert reasons["blind"].startswith("after 1 epoch recall of")
    assert parts.facts.find(ModelVersion) == []  # nothing brief is kept as a model
    runs = {name: trainer.runs for name, trainer in trainers.items()}
    assert choose(parts, of, thread[1]) == (done.id, True)
    assert {name: trainer.runs for name, trainer in trainers.items()} == runs
    assert any("heavy is dropped by memory" in sentence for sentence in told)


def test_what_is_measured_of_a_line_that_leaves_its_candidate_open_is_of_the_one_chosen_last(
    thread: tuple[Parts, str], parts: Parts, line: Callable[..., LineFile]
) -> None:
    of = line("[hardware.train]\nmemory_mib = 4000")
    split = parts.facts.get(TrainingSet, thread[1]).split_id
    dataset = parts.facts.get(Split, split).dataset_id
    another = of.model_copy(update={"line": of.line.model_copy(update={"name": "another"})})
    with pytest.raises(ConfigError, match=r"none was chosen for line 'another' yet: run `wafergate retrain` first"):
        as_chosen(parts, another)
    choose(parts, of, thread[1])
    out_of_fold(parts, of, dataset, folds=2, epochs=1)
    draw_curve(parts, of, dataset, CurvePlan(sizes=(1, 2, 3)), epochs=1)
    ablate(parts, of, split, factors=(0,), epochs=1)
    assert {parts.facts.find(kind)[0].candidate for kind in (OutOfFold, LearningCurve, Ablation)} == {"contrast"}


def open_loud(model: ModelVersion, onnx: Path) -> Detector:
    """Open what was trained: `heavy` alarms everywhere and misses nothing, the others overlook some images."""
    right = open_contrast(model, onnx)
    corners = np.mgrid[0:96:8, 0:96:8].reshape(2, -1).T.astype(np.float32)
    boxes = np.tile(np.hstack([corners, corners + 8]), (2, 1))
    alarms = Detections(boxes, np.ones(len(boxes), np.float32), np.repeat([0, 1], len(corners)))

    def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        said = right(images, min_score=min_score)
        if model.candidate.name == "heavy":
            return [both(alarms, item) for item in said]
        seen = [zlib.crc32(image.tobytes()) % 8 > 0 for image in images]
        return [item if kept else Detections.empty() for item, kept in zip(said, seen, strict=True)]

    return detect


def both(first: Detections, second: Detections) -> Detections:
    names = ("boxes", "scores", "classes")
    return Detections(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


def test_false_alarms_everywhere_buy_no_candidate_its_way(
    thread: tuple[Parts, str], parts: Parts, line: Callable[..., LineFile]
) -> None:
    loud = replace(parts, load_detector=open_loud)
    row = loud.facts.get(ModelChoice, choose(loud, line("[hardware.train]\nmemory_mib = 10000"), thread[1]).id)
    assert row.winner == "contrast"
    rungs = {one.candidate: one.rungs[0] for one in row.standings}
    assert rungs["contrast"].lowest_recall > rungs["heavy"].lowest_recall


def test_a_budget_that_only_one_candidate_meets_trains_exactly_that_one(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    of = line("[hardware.train]\nmemory_mib = 350")
    row = parts.facts.get(ModelChoice, choose(parts, of, thread[1]).id)
    assert row.winner == "blind"
    assert all(one.rungs == () for one in row.standings)
    probed = {name: trainer.runs for name, trainer in trainers.items()}
    train(parts, with_winner(of, row.winner), thread[1])
    trained = {name: trainer.runs - probed[name] for name, trainer in trainers.items()}
    assert trained == {"contrast": 0, "blind": 1, "heavy": 0}


class HeldToLimit(Weighed):
    """A trainer whose process needs 250 MiB beyond what it was seen to hold, as address space does."""

    def __call__(self, job: Any, **tell: Any) -> TrainedArtefact:
        if job.memory_mib and self.mib + 250 > job.memory_mib:
            message = "the system gives no more"
            raise OutOfMemoryError(message)
        return super().__call__(job, **tell)


def test_a_candidate_is_probed_within_the_very_limit_that_its_training_is_held_to(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    held = replace(parts, trainers={name: HeldToLimit(one, NEEDS[name]) for name, one in trainers.items()})
    of = line("[hardware.train]\nmemory_mib = 600")
    row = held.facts.get(ModelChoice, choose(held, of, thread[1]).id)
    assert row.winner == "blind"
    (reason,) = (one.reason for one in row.standings if one.candidate == "contrast")
    assert reason == (
        "one image at a time does not fit into 600 MiB, the limit memory_mib in [hardware.train]: "
        "the system gives no more"
    )
    train(held, with_winner(of, row.winner), thread[1])


def test_what_does_not_fit_at_all_stops_with_every_need(
    thread: tuple[Parts, str], parts: Parts, line: Callable[..., LineFile]
) -> None:
    with pytest.raises(HardwareError, match=r"contrast: .*401.0 MiB.*blind: .*301.0 MiB.*heavy: .*9001.0 MiB"):
        choose(parts, line("[hardware.train]\nmemory_mib = 100"), thread[1])
    assert not parts.facts.find(ModelChoice, winner="")


def test_an_input_size_that_is_not_a_candidates_own_stops_or_drops_it_before_anything_is_trained(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    picky = (
        candidate("picky")
        .replace('"MIT"', '"MIT"\nsmallest_image = 256\nimage_step = 64')
        .replace('backend = "picky"', 'backend = "contrast"')
    )
    of = line(picky + "[hardware.train]\nmemory_mib = 350")
    said = r"image_size must be a multiple of 64 from 256 to 4096 for picky, found 96"
    with pytest.raises(ConfigError, match=said):
        choose_start(parts, with_winner(of, "picky"))
    row = parts.facts.get(ModelChoice, choose(parts, of, thread[1]).id)
    standing = next(one for one in row.standings if one.candidate == "picky")
    assert (standing.dropped_by, standing.memory_mib, row.winner) == ("image size", None, "blind")
    assert "a multiple of 64" in standing.reason


def test_a_refused_licence_drops_a_candidate_before_it_is_measured(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    of = line("[hardware.train]\nmemory_mib = 350", licence="GPL-3.0-only")
    row = parts.facts.get(ModelChoice, choose(parts, of, thread[1]).id)
    standing = next(one for one in row.standings if one.candidate == "heavy")
    assert (standing.dropped_by, standing.memory_mib, trainers["heavy"].runs) == ("licence", None, 0)
    assert "GPL-3.0-only" in standing.reason
    with pytest.raises(LicenceError, match="no candidate of"):
        choose(parts, line('[licences]\nallowed = ["CC0-1.0"]'), thread[1])
    assert trainers["heavy"].runs == 0


def probed(peak: float, ms: float, mib: float) -> Probe:
    memory, latency = (MemoryUse(1, peak),), (Latency(1, ms, ms, ms), Latency(2, 2 * ms, 2 * ms, 2 * ms))
    return Probe("p", "c", 64, "here", memory, latency, mib, "", NOW)


@pytest.mark.parametrize(
    ("peak", "ms", "mib", "dropped_by"),
    [(100, 10, 5, ""), (101, 10, 5, "memory"), (100, 11, 5, "latency"), (100, 10, 6, "size"), (101, 11, 6, "memory")],
)
def test_each_limit_alone_drops(peak: float, ms: float, mib: float, dropped_by: str) -> None:
    train_on, serve_on = TrainProfile(memory_mib=100), ServeProfile(latency_ms=10, size_mib=5)
    standing = drop_misfits(CandidateStanding("c", {}), probed(peak, ms, mib), train=train_on, serve=serve_on)
    assert standing.dropped_by == dropped_by
    free = drop_misfits(CandidateStanding("c", {}), probed(peak, ms, mib), train=TrainProfile(), serve=ServeProfile())
    assert free.dropped_by == ""


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (ServeProfile(pair_latency_ms=19), "two images at once in onnxruntime is 20.0 ms, the limit pair_latency_ms"),
        (ServeProfile(latency_p99_ms=9), "99th percentile for one image in onnxruntime is 10.0 ms, the limit latency"),
    ],
)
def test_two_images_and_the_slowest_answers_have_limits_of_their_own(serve: ServeProfile, told: str) -> None:
    standing = drop_misfits(CandidateStanding("c", {}), probed(100, 10, 5), train=TrainProfile(), serve=serve)
    assert standing.dropped_by == "latency"
    assert told in standing.reason


RESULTS = st.builds(
    RungResult, st.just(4), st.sampled_from([0.0, 0.5, 0.7, 1.0]), st.just("void"), st.floats(0, 1, allow_nan=False)
)


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), RESULTS, min_size=1, max_size=9))
def test_a_round_keeps_the_better_half_by_its_weakest_class_first(results: dict[str, RungResult]) -> None:
    kept, reasons = halve(results)
    assert len(kept) == (len(results) + 1) // 2
    assert set(kept) | set(reasons) == set(results)
    worst_kept = min((results[name].lowest_recall, results[name].map50) for name in kept)
    assert all((results[name].lowest_recall, results[name].map50) <= worst_kept for name in reasons)


def test_of_two_that_are_equal_on_validation_the_smaller_model_stays_and_the_other_says_so() -> None:
    same = RungResult(2, 0.0, "void", 0.0)
    kept, reasons = halve({"a": same, "b": same}, sizes={"a": 7.5, "b": 3.5})
    assert kept == ["b"]
    assert reasons["a"].endswith("(mean AP 0.00), as b has, whose model is smaller: 3.5 of 7.5 MiB")


@given(st.integers(1, 40), st.integers(1, 300))
def test_rounds_end_with_one_candidate_and_never_train_in_full(candidates: int, epochs: int) -> None:
    rounds = rung_epochs(candidates, epochs)
    left = candidates
    for _ in rounds:
        left = (left + 1) // 2
    assert left == 1
    assert list(rounds) == sorted(rounds)
    assert all(1 <= each <= max(1, epochs // 2) for each in rounds)


class Failing(Weighed):
    """A trainer that fails as soon as it is asked for more than a probe."""

    def __init__(self, trainer: ContrastTrainer, mib: float, error: Exception, *, probes: bool = True) -> None:
        super().__init__(trainer, mib)
        self.error, self.probes = error, probes

    def __call__(self, job: Any, **tell: Any) -> TrainedArtefact:
        if not (self.probes and job.epochs == 1 and job.weights is None and (job.folder / "data/images/val").is_dir()
                and not any((job.folder / "data/images/val").iterdir())):  # fmt: skip
            raise self.error
        return super().__call__(job, **tell)


@pytest.mark.parametrize("probes", [True, False])
@pytest.mark.parametrize(
    "error", [TrainingError("the loss is nan"), HardwareError("no room"), ConfigError("an extra is not installed")]
)
def test_a_candidate_that_cannot_be_trained_is_dropped_and_the_others_compete(
    thread: tuple[Parts, str], parts: Parts, line: Callable[..., LineFile], error: Exception, probes: bool
) -> None:
    broken = Failing(BlindTrainer(), NEEDS["blind"], error, probes=probes)
    some = replace(parts, trainers={**parts.trainers, "blind": broken})
    row = some.facts.get(
        ModelChoice, choose(some, line(f"[hardware.train]\nmemory_mib = {4000 + probes}"), thread[1]).id
    )
    standing = next(one for one in row.standings if one.candidate == "blind")
    assert (standing.dropped_by, standing.reason, row.winner) == ("training", str(error), "contrast")


def test_a_candidate_that_failed_competes_when_the_choice_is_asked_again(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    of = line("[hardware.train]\nmemory_mib = 4004")
    full = Failing(BlindTrainer(), NEEDS["blind"], OutOfMemoryError("other work has it"), probes=False)
    some = replace(parts, trainers={**parts.trainers, "blind": full})
    first = choose(some, of, thread[1])
    assert choose(some, of, thread[1]).id == first.id, "failed again: the same row"
    again = choose(parts, of, thread[1])
    assert (again.id != first.id, again.reused) == (True, False)
    rows = [parts.facts.get(ModelChoice, row.id) for row in (first, again)]
    assert [next(one.dropped_by for one in row.standings if one.candidate == "blind") for row in rows] == [
        "memory", "validation",
    ]  # fmt: skip
    assert choose(parts, of, thread[1]) == Outcome(again.id, reused=True)


def test_a_backend_that_does_not_exist_stops_before_anything_is_measured(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    of = line(candidate("typo").replace('backend = "typo"', 'backend = "contrst"'))
    with pytest.raises(ConfigError, match="candidate typo needs a backend of blind, contrast, heavy; found 'contrst'"):
        choose(parts, of, thread[1])
    assert {trainer.runs for trainer in trainers.values()} == {0}


def test_a_choice_that_was_interrupted_goes_on_after_the_trainings_it_finished(
    thread: tuple[Parts, str], parts: Parts, trainers: dict[str, ContrastTrainer], line: Callable[..., LineFile]
) -> None:
    of = line("[hardware.train]\nmemory_mib = 4000")
    cut = replace(parts, trainers={**parts.trainers, "blind": Failing(BlindTrainer(), 300.0, OSError("power"))})
    cut = replace(cut, facts=MemoryFacts(clock=parts.clock))
    for kind in (DatasetVersion, Split, TrainingSet):
        for row in parts.facts.find(kind):
            rows = {Split: SplitMember, DatasetVersion: Sample, TrainingSet: TrainingItem}[kind]
            key = {Split: "split_id", DatasetVersion: "dataset_id", TrainingSet: "training_set_id"}[kind]
            cut.facts.save(row, parts.facts.find(rows, **{key: row.id}))
    with pytest.raises(OSError, match="power"):
        choose(cut, of, thread[1])
    (brief,) = cut.facts.find(BriefTraining)
    assert (brief.candidate, brief.training_set_id) == ("contrast", thread[1])
    before = trainers["contrast"].runs
    whole = replace(cut, trainers=parts.trainers)
    assert whole.facts.get(ModelChoice, choose(whole, of, thread[1]).id).winner == "contrast"
    assert trainers["contrast"].runs == before


def test_other_weights_to_start_from_are_another_choice(
    thread: tuple[Parts, str], parts: Parts, line: Callable[..., LineFile], tmp_path: Path
) -> None:
    of = line("[hardware.train]\nmemory_mib = 4000")
    first = choose(parts, of, thread[1])
    (tmp_path / "contrast.json").write_text("[]")
    second = choose(parts, of, thread[1])
    assert (second.reused, second.id != first.id) == (False, True)
