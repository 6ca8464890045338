"""One run of the thread, the same inputs again, and trainings that are killed or run out of memory."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.jobs.dies import Files, annotations
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import ContrastTrainer, Thread, line_of, parts_in, run_thread
from wafergate.adapters.memory import MemoryFiles
from wafergate.domain.alerts import Alert
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, Verdict
from wafergate.domain.identity import digest_bytes
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import Side, Split, SplitMember
from wafergate.domain.training import TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import (
    MemoryStep,
    ModelVersion,
    TrainingCheckpoint,
    TrainingEpoch,
    TrainingItem,
    TrainingSet,
)
from wafergate.domain.validation_rows import ValidationResult
from wafergate.errors import ConfigError, HardwareError, NotFoundError
from wafergate.jobs.evaluate import evaluate
from wafergate.jobs.parts import Parts
from wafergate.jobs.train import Asked, train
from wafergate.jobs.training import Told, train_items
from wafergate.jobs.training_folder import fresh_folder
from wafergate.jobs.training_job import Start
from wafergate.ports import FileStore

pytestmark = pytest.mark.unit

STAGES = ("dataset", "validation", "split", "training_set", "model", "evaluation", "decision")


def test_the_thread_runs_from_images_to_figures_and_a_verdict(done: tuple[Parts, Thread], files: Files) -> None:
    parts, thread = done
    assert thread.reused == []
    version = parts.facts.get(DatasetVersion, thread.dataset.id)
    document = annotations(files)
    assert version.images == len(document["images"])
    assert sum(version.instances.values()) == len(document["annotations"])
    assert version.quarantined == 0
    evaluation = parts.facts.get(Evaluation, thread.evaluation.id)
    assert evaluation.look == 1
    assert [item.recall.trials for item in evaluation.classes] == [12, 12]
    assert all(item.recall.hits >= 10 for item in evaluation.classes)
    assert parts.facts.get(GateDecision, thread.decision.id).verdict is Verdict.PASS


def test_recall_is_told_lot_by_lot_and_by_box_size(done: tuple[Parts, Thread]) -> None:
    parts, thread = done
    evaluation = parts.facts.get(Evaluation, thread.evaluation.id)
    for key in ("lot", "box_size"):
        rows = [row for row in evaluation.slices if row.key == key]
        assert sum(row.recall.trials for row in rows) == 24
    assert len({row.value for row in evaluation.slices if row.key == "lot"}) > 1


def test_the_operating_points_are_kept_with_the_model_and_are_what_inspects(done: tuple[Parts, Thread]) -> None:
    parts, thread = done
    model = parts.facts.get(ModelVersion, thread.model.id)
    assert {point.defect_class: point.threshold for point in model.operating} == model.thresholds
    assert all("rests on only 6 validation instances" in point.warning for point in model.operating)
    assert [item.threshold for item in parts.facts.get(Evaluation, thread.evaluation.id).classes] == [
        model.thresholds[name] for name in model.classes
    ]


def test_thresholds_follow_the_costs_a_line_gives(files: Files, tmp_path: Path) -> None:
    line, parts = line_of(overkill=COSTS), parts_in(tmp_path)
    model = parts.facts.get(ModelVersion, run_thread(parts, line, MemorySource(files)).model.id)
    assert {point.basis for point in model.operating} == {"lowest_cost"}
    with pytest.raises(
        ConfigError, match=r"\[cost\] needs every class's real rate in \[prevalence\]; missing: missing"
    ):
        line_of(overkill=COSTS.replace("missing = 0.01", ""))


def test_every_row_names_the_row_it_came_from(done: tuple[Parts, Thread]) -> None:
    parts, thread = done
    model = parts.facts.get(ModelVersion, thread.model.id)
    assert parts.facts.get(ValidationResult, thread.validation.id).dataset_id == thread.dataset.id
    assert parts.facts.get(Split, thread.split.id).dataset_id == thread.dataset.id
    assert parts.facts.get(TrainingSet, thread.training_set.id).split_id == thread.split.id
    assert (model.training_set_id, model.split_id) == (thread.training_set.id, thread.split.id)
    assert parts.facts.get(Evaluation, thread.evaluation.id).model_id == thread.model.id
    assert parts.facts.get(GateDecision, thread.decision.id).evaluation_id == thread.evaluation.id
    assert all(parts.files.has(item.image) for item in parts.facts.find(TrainingItem))


def test_only_the_training_side_is_augmented_and_test_is_not_in_the_training_set(done: tuple[Parts, Thread]) -> None:
    parts, thread = done
    side = {member.name: member.side for member in parts.facts.find(SplitMember, split_id=thread.split.id)}
    items = parts.facts.find(TrainingItem, training_set_id=thread.training_set.id)
    assert {side[item.origin] for item in items if item.operations} == {Side.TRAIN}
    assert {side[item.origin] for item in items} == {Side.TRAIN, Side.VALIDATION}
    assert all(item.side == side[item.origin] for item in items)


def test_the_same_inputs_are_done_once(done: tuple[Parts, Thread], files: Files) -> None:
    parts, first = done
    ledger, alerts = parts.facts.ledger(), parts.facts.find(Alert)
    again = run_thread(parts, line_of(), MemorySource(files))
    assert again.ids == first.ids
    assert again.reused == list(STAGES)
    assert (parts.facts.ledger(), parts.facts.find(Alert)) == (ledger, alerts)
    assert len(parts.facts.find(ModelVersion)) == len(parts.facts.find(Evaluation)) == 1


def test_the_same_images_in_another_place_and_store_give_the_same_ids(
    done: tuple[Parts, Thread], files: Files, parts: Parts
) -> None:
    source = MemorySource(files)
    source.title = "another folder"
    ids = run_thread(parts, line_of(), source).ids
    # The decision's id also rests on the measured latency, which no two trainings share.
    assert {stage: ids[stage] for stage in STAGES[:-1]} == {stage: done[1].ids[stage] for stage in STAGES[:-1]}


COSTS = "overkill = 1.0\n[prevalence]\nexcess = 0.01\nmissing = 0.01\n[cost]\nescape = 40\noverkill = 1"


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"recall": "recall = 0.6"}, STAGES[:6]),
        ({"iou": "iou = 0.2"}, STAGES[:4]),
        ({"overkill": "overkill = 1.0\ntarget_recall = 0.9"}, STAGES[:4]),
        ({"overkill": "overkill = 1.0\nconfidence = 0.9"}, STAGES[:5]),
        ({"overkill": "overkill = 1.0\n[prevalence]\nexcess = 0.01\nmissing = 0.01"}, STAGES[:5]),
        ({"overkill": COSTS}, STAGES[:4]),
        ({"epochs": "epochs = 3"}, STAGES[:4]),
        ({"per_original": "per_original = 2"}, STAGES[:3]),
        ({"val_per_class": "val_per_class = 5"}, STAGES[:2]),
        ({"signed_by": 'signed_by = "Park"'}, ()),
        ({"min_images": "min_images = 25"}, STAGES),
    ],
    ids=lambda value: next(iter(value.values())).splitlines()[-1] if isinstance(value, dict) else "",
)
def test_another_key_of_the_line_file_repeats_only_what_rests_on_it(
    done: tuple[Parts, Thread], files: Files, change: dict[str, str], kept: tuple[str, ...]
) -> None:
    parts, _ = done
    first = run_thread(parts, line_of(), MemorySource(files))  # decided last, whatever was decided in other tests
    again = run_thread(parts, line_of(**change), MemorySource(files))
    assert tuple(again.reused) == kept
    assert {stage for stage in STAGES if again.ids[stage] == first.ids[stage]} == set(kept)


def test_a_further_evaluation_counts_a_look_and_runs_no_model_again(
    done: tuple[Parts, Thread], files: Files, tmp_path: Path
) -> None:
    parts = parts_in(tmp_path)
    first = run_thread(parts, line_of(), MemorySource(files))

    def not_again(model: ModelVersion, onnx: Path) -> Any:
        raise AssertionError

    line = line_of(overkill="overkill = 1.0\nconfidence = 0.9")
    second = evaluate(replace(parts, load_detector=not_again), line, first.model.id)
    before, after = (parts.facts.get(Evaluation, row) for row in (first.evaluation.id, second.id))
    assert (before.look, after.look) == (1, 2)
    assert after.predictions == before.predictions


def test_a_killed_training_leaves_no_model_and_a_rerun_ends_as_if_undisturbed(
    done: tuple[Parts, Thread], files: Files, tmp_path: Path
) -> None:
    parts = parts_in(tmp_path, trainer=ContrastTrainer(dies_after=1))
    with pytest.raises(OSError, match="power"):
        run_thread(parts, line_of(), MemorySource(files))
    assert [epoch.epoch for epoch in parts.facts.find(TrainingEpoch)] == [1]
    for kind in (ModelVersion, Evaluation, GateDecision, Alert):
        assert parts.facts.find(kind) == []
    assert parts.facts.ledger() == []
    again = run_thread(replace(parts, trainers={"contrast": ContrastTrainer()}), line_of(), MemorySource(files))
    assert again.reused == list(STAGES[:4])
    assert {stage: again.ids[stage] for stage in STAGES[:-1]} == {s: done[1].ids[s] for s in STAGES[:-1]}
    undisturbed = done[0].facts.get(ModelVersion, again.model.id)
    model = parts.facts.get(ModelVersion, again.model.id)
    assert (model.thresholds, model.onnx, model.number) == (undisturbed.thresholds, undisturbed.onnx, 1)
    assert list(parts.work.iterdir()) == []


def told_steps(parts: Parts, line: Any, training_set: str) -> list[tuple[int, int, int]]:
    steps: list[MemoryStep] = []
    train(parts, line, training_set, on_step=steps.append)
    assert sorted(step.id for step in parts.facts.find(MemoryStep)) == sorted(step.id for step in steps)
    return [(step.epoch, step.before, step.after) for step in steps]


def test_where_memory_runs_out_fewer_images_at_a_time_go_on_from_the_last_checkpoint(
    done: tuple[Parts, Thread], files: Files, tmp_path: Path
) -> None:
    trainer = ContrastTrainer(fits=3)
    parts = parts_in(tmp_path, trainer=ContrastTrainer(dies_after=0))
    with pytest.raises(OSError, match="power"):
        run_thread(parts, line_of(), MemorySource(files))
    (training_set,) = parts.facts.find(TrainingSet)
    parts = replace(parts, trainers={"contrast": trainer})
    assert told_steps(parts, line_of(), training_set.id) == [(1, 8, 4), (1, 4, 2)]
    assert [(job.micro_batch, job.batch, job.resume and job.resume.epoch) for job in trainer.jobs] == [
        (8, 8, None),
        (4, 8, 1),
        (2, 8, 1),
    ]
    (model,) = parts.facts.find(ModelVersion)
    assert model.onnx == done[0].facts.get(ModelVersion, done[1].ids["model"]).onnx


def test_a_step_down_binds_later_runs_within_the_same_budget_on_the_same_machine_and_is_told_again(
    files: Files, tmp_path: Path
) -> None:
    parts = parts_in(tmp_path, trainer=ContrastTrainer(dies_after=0))
    tight = line_of(min_images="min_images = 20\n[hardware.train]\nmemory_mib = 300")
    with pytest.raises(OSError, match="power"):
        run_thread(parts, tight, MemorySource(files))
    (training_set,) = parts.facts.find(TrainingSet)

    def begin(line: Any, *, fits: int, machine: str = "here") -> tuple[list[int], list[int]]:
        trainer, told = ContrastTrainer(dies_after=1, fits=fits), []
        some = replace(parts, trainers={"contrast": trainer}, machine=lambda *_: machine)
        with pytest.raises((OSError, HardwareError)):
            train(some, line, training_set.id, on_step=lambda step: told.append(step.after))
        return [job.micro_batch for job in trainer.jobs], told

    assert begin(tight, fits=0) == ([8, 4, 2, 1], [4, 2, 1])
    assert begin(tight, fits=8) == ([1], [1])
    assert begin(tight, fits=8, machine="a larger one") == ([8], [])
    assert begin(line_of(), fits=8) == ([8], [])


def test_of_two_runs_of_one_training_the_second_waits_and_finds_the_model(files: Files, tmp_path: Path) -> None:
    parts = parts_in(tmp_path, trainer=ContrastTrainer(dies_after=0))
    with pytest.raises(OSError, match="power"):
        run_thread(parts, line_of(), MemorySource(files))
    (training_set,) = parts.facts.find(TrainingSet)
    begun, waits = threading.Event(), threading.Event()
    trainer = ContrastTrainer()

    def slow(job: Any, **tell: Any) -> Any:
        begun.set()
        assert waits.wait(30)
        return trainer(job, **tell)

    parts = replace(parts, trainers={"contrast": slow})
    results: list[Any] = []

    def run(progress: Any) -> None:
        results.append(train(parts, line_of(), training_set.id, progress=progress))

    def told(stage: str, *_: object) -> None:
        if stage == "waiting: another run does the same":
            waits.set()

    first = threading.Thread(target=run, args=(lambda *_: None,))
    first.start()
    assert begun.wait(30)
    second = threading.Thread(target=run, args=(told,))
    second.start()
    for thread in (first, second):
        thread.join(60)
    assert (trainer.runs, [done.reused for done in results]) == (1, [False, True])
    assert len(parts.facts.find(ModelVersion)) == 1
    assert list(parts.work.iterdir()) == []


def test_with_one_image_at_a_time_the_need_and_the_budget_are_told(files: Files, tmp_path: Path) -> None:
    trainer = ContrastTrainer(fits=0)
    parts = parts_in(tmp_path, trainer=trainer)
    line = line_of(tmp_path, min_images="min_images = 20\n[hardware.train]\nmemory_mib = 300")
    with pytest.raises(HardwareError, match=r"needs more memory than the 300 MiB .* even with one image at a time"):
        run_thread(parts, line, MemorySource(files))
    assert [job.micro_batch for job in trainer.jobs] == [8, 4, 2, 1]
    assert not parts.facts.find(ModelVersion)


def test_the_ladder_ends_at_one_image_on_each_card(files: Files, tmp_path: Path) -> None:
    trainer = ContrastTrainer(fits=0)
    parts = replace(parts_in(tmp_path, trainer=trainer), devices=lambda _device: ("cuda:0", "cuda:1", "cuda:2"))
    with pytest.raises(HardwareError, match=r"than this machine has, even with one image at a time on each of 3 cards"):
        run_thread(parts, line_of(tmp_path), MemorySource(files))
    assert [job.micro_batch for job in trainer.jobs] == [8, 4, 3]


def test_a_killed_training_goes_on_on_another_machine(
    done: tuple[Parts, Thread], files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wafergate.jobs.training.CHECKPOINT_SECONDS", 0.0)
    parts = parts_in(tmp_path / "one", trainer=ContrastTrainer(dies_after=0))
    with pytest.raises(OSError, match="power"):
        run_thread(parts, line_of(), MemorySource(files))
    (training_set,) = parts.facts.find(TrainingSet)
    dying = replace(parts, trainers={"contrast": ContrastTrainer(dies_after=1)})
    with pytest.raises(OSError, match="power"):
        train(dying, line_of(), training_set.id, by=Asked("kim"))
    assert [row.epoch for row in parts.facts.find(TrainingCheckpoint)] == [1]
    other = ContrastTrainer()
    (tmp_path / "two").mkdir()
    elsewhere = replace(parts, trainers={"contrast": other}, work=tmp_path / "two")
    trained = train(elsewhere, line_of(), training_set.id, by=Asked("lee"))
    told = {epoch.epoch: epoch.actor for epoch in parts.facts.find(TrainingEpoch)}
    assert told == {epoch: "kim" if epoch == 1 else "lee" for epoch in told}
    assert len(told) > 1
    (job,) = other.jobs
    assert job.resume is not None
    assert (job.resume.epoch, job.resume.last.parent.parent) == (1, tmp_path / "two")
    undisturbed = done[0].facts.get(ModelVersion, trained.id)
    model = parts.facts.get(ModelVersion, trained.id)
    assert (model.thresholds, model.onnx) == (undisturbed.thresholds, undisturbed.onnx)


class SmallCache(MemoryFiles):
    """Files whose local copies leave no room for one another."""

    def __init__(self, files: FileStore, folder: Path, weights: Path) -> None:
        super().__init__(folder)
        self.get, self.put = files.get, files.put  # type: ignore[method-assign]
        self.weights = weights

    def fetch(self, digest: str) -> Path:
        self.weights.unlink(missing_ok=True)
        return super().fetch(digest)


class ReadsItsStart(ContrastTrainer):
    """A trainer that opens the weights it starts from."""

    def __call__(self, job: TrainingJob, **tell: Any) -> TrainedArtefact:
        assert job.weights is not None
        assert job.weights.read_bytes() == b"weights"
        return super().__call__(job, **tell)


def test_the_weights_to_start_from_stay_though_the_images_push_them_out_of_the_cache(
    done: tuple[Parts, Thread], tmp_path: Path
) -> None:
    parts, thread = done
    model = parts.facts.get(ModelVersion, thread.model.id)
    items = parts.facts.find(TrainingItem, training_set_id=thread.training_set.id)
    weights, folder = tmp_path / "cached", tmp_path / "work"
    weights.write_bytes(b"weights")
    folder.mkdir()
    trainer = ReadsItsStart()
    some = replace(parts, files=SmallCache(parts.files, tmp_path, weights), trainers={"contrast": trainer})
    start = Start(model.candidate, weights, digest_bytes(b"weights"))
    told = Told(lambda _report: None, lambda *_: None)
    train_items(some, line_of(), start, items, folder, channels=model.channels, told=told)
    assert trainer.runs == 1
    assert not weights.exists()
    # the next training of the same job, as the folds of an estimate are, finds them in the store
    train_items(some, line_of(), start, items, fresh_folder(folder), channels=model.channels, told=told)
    assert trainer.runs == 2
    weights.write_bytes(b"somebody wrote over them")
    train_items(some, line_of(), start, items, fresh_folder(folder), channels=model.channels, told=told)
    assert trainer.runs == 3
    other = replace(start, digest=digest_bytes(b"never in the store"))
    with pytest.raises(NotFoundError, match=r"cached no longer holds the weights that this training was asked for"):
        train_items(some, line_of(), other, items, fresh_folder(folder), channels=model.channels, told=told)
