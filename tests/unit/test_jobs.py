"""The whole thread over stores in memory: what is done once, what stops, what is told, what may become champion."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import (
    BlindTrainer,
    ContrastTrainer,
    Thread,
    line_of,
    parts_in,
    run_thread,
)
from wafergate.adapters.images import Examiner
from wafergate.domain.alerts import Alert, AlertPolicy, AlertState
from wafergate.domain.augmentation import OperationKind
from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, LedgerKind, Verdict, broken_links
from wafergate.domain.inspection import InspectionRun
from wafergate.domain.novelty import ModelReference
from wafergate.domain.samples import (
    DatasetVersion,
    ImageRecord,
    Quarantined,
    QuarantineReason,
    Sample,
    ValidationResult,
)
from wafergate.domain.splits import LeakProof, Side, Split, SplitMember
from wafergate.domain.training_rows import (
    MemoryStep,
    ModelVersion,
    TrainingCheckpoint,
    TrainingEpoch,
    TrainingItem,
    TrainingSet,
)
from wafergate.domain.weights import WeightFile
from wafergate.errors import (
    AlertError,
    ConfigError,
    HardwareError,
    LicenceError,
    NotFoundError,
    PromotionError,
    SourceError,
    SplitError,
    TaxonomyError,
    TrainingError,
    ValidationFailedError,
)
from wafergate.jobs.alerts import Dispatch, dispatch
from wafergate.jobs.augment import samples_on
from wafergate.jobs.decide import decide
from wafergate.jobs.evaluate import evaluate
from wafergate.jobs.ingest import examine_files, ingest
from wafergate.jobs.inspect_lot import inspect_lot
from wafergate.jobs.novelty import novelty_of, refer, taught_images
from wafergate.jobs.parts import Parts, composed
from wafergate.jobs.promote import promote, rollback
from wafergate.jobs.split import require_clean
from wafergate.jobs.taxonomy import propose, sign
from wafergate.jobs.train import Asked, choose_start, train
from wafergate.jobs.validate import validate
from wafergate.jobs.watch import watch
from wafergate.jobs.weights import add_weights, known_candidates
from wafergate.ports import ImageExaminer
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.unit

STAGES = ("dataset", "validation", "split", "training_set", "model", "evaluation", "decision")
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Some seventy drawn dies, each beside its golden reference."""
    folder = tmp_path_factory.mktemp("dies")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def done(files: Files, tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, Thread]:
    """One run of the thread, for tests that only read it or repeat it."""
    parts = parts_in(tmp_path_factory.mktemp("done"))
    return parts, run_thread(parts, line_of(), MemorySource(files))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path)


def annotations(files: Files) -> dict[str, Any]:
    return dict(json.loads(files["annotations.json"]))


def relabelled(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    document = annotations(files)
    change(document)
    return files | {"annotations.json": json.dumps(document).encode()}


def rule(decision: GateDecision, name: str) -> list[tuple[str, Verdict]]:
    return [(item.subject, item.verdict) for item in decision.rules if item.rule == name]


def defective_test_image(parts: Parts, thread: Thread) -> Sample:
    members = parts.facts.find(SplitMember, split_id=thread.split.id, side=Side.TEST.value)
    names = {member.name for member in members}
    return next(s for s in parts.facts.find(Sample, dataset_id=thread.dataset.id) if s.name in names and s.boxes)


# One run


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


# The same inputs


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
    parts, first = done
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


# Killed in the middle


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


# Memory


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


def test_with_one_image_at_a_time_the_need_and_the_budget_are_told(files: Files, tmp_path: Path) -> None:
    trainer = ContrastTrainer(fits=0)
    parts = parts_in(tmp_path, trainer=trainer)
    line = line_of(tmp_path, min_images="min_images = 20\n[hardware.train]\nmemory_mib = 300")
    with pytest.raises(HardwareError, match=r"needs more memory than the 300 MiB .* even with one image at a time"):
        run_thread(parts, line, MemorySource(files))
    assert [job.micro_batch for job in trainer.jobs] == [8, 4, 2, 1]
    assert not parts.facts.find(ModelVersion)


def test_a_killed_training_goes_on_on_another_machine(
    done: tuple[Parts, Thread], files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wafergate.jobs.train.CHECKPOINT_SECONDS", 0.0)
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


# Bad input


def spoilt(files: Files, name: str) -> dict[str, tuple[Files, str, QuarantineReason, str]]:
    """Return, by case: the files with one image spoilt, the path set aside, its reason and words of its detail."""
    golden, stem = name.replace(".png", "_golden.png"), name.rpartition("/")[2]

    def resized(document: dict[str, Any]) -> None:
        next(image for image in document["images"] if image["file_name"] == stem).update(width=50)

    return {
        "no image": (files | {name: b"no image at all"}, name, QuarantineReason.UNREADABLE_IMAGE, ""),
        "cut short": (files | {name: files[name][:200]}, name, QuarantineReason.UNREADABLE_IMAGE, ""),
        "missing": (
            {k: v for k, v in files.items() if k != name},
            stem,
            QuarantineReason.LABEL_WITHOUT_IMAGE,
            "not in",
        ),
        "no reference": (
            {k: v for k, v in files.items() if k != golden},
            name,
            QuarantineReason.MISSING_IMAGE,
            "golden reference",
        ),
        "broken reference": (files | {golden: b"?"}, name, QuarantineReason.MISSING_IMAGE, "did not enter"),
        "small reference": (files | {golden: picture(96, 95)}, name, QuarantineReason.REFERENCE_MISMATCH, "96 x 95"),
        "other size": (relabelled(files, resized), name, QuarantineReason.SIZE_MISMATCH, "50 x 96"),
    }


@pytest.mark.parametrize(
    "case", ["no image", "cut short", "missing", "no reference", "broken reference", "small reference", "other size"]
)
def test_what_cannot_enter_is_set_aside_with_its_reason_and_the_rest_goes_on(
    files: Files, parts: Parts, case: str
) -> None:
    name = f"images/{annotations(files)['images'][0]['file_name']}"
    spoilt_files, path, reason, words = spoilt(files, name)[case]
    first = ingest(parts, line_of(), MemorySource(spoilt_files), "coco")
    version = parts.facts.get(DatasetVersion, first.id)
    assert version.images == len(annotations(files)["images"]) - 1
    assert name not in {sample.name for sample in parts.facts.find(Sample, dataset_id=first.id)}
    held = {row.path: row for row in parts.facts.find(Quarantined)}
    assert held[path].reason is reason
    assert words in held[path].detail
    assert version.quarantined == len(held)
    again = ingest(parts, line_of(), MemorySource(spoilt_files), "coco")
    assert again == (first.id, True)
    assert len(parts.facts.find(Quarantined)) == len(held)


def test_large_images_are_examined_one_at_a_time(parts: Parts) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def examiner(max_pixels: int) -> ImageExaminer:
        look = Examiner(max_pixels=max_pixels)

        def examine(data: bytes, *, now: datetime, name: str = "") -> ImageRecord:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            record = look(data, now=now, name=name)
            with lock:
                at_once -= 1
            return record

        return examine

    large: Files = {f"{place}.png": picture(3000, 2700, level=place) for place in range(6)}
    records, refused = examine_files(replace(parts, examiner=examiner), line_of(), MemorySource(large), sorted(large))
    assert (len(records), refused, most) == (6, [], 1)


def test_a_source_of_which_nothing_can_enter_makes_no_version_and_says_why(files: Files, parts: Parts) -> None:
    broken = {name: data if name.endswith(".json") else b"broken" for name, data in files.items()}
    with pytest.raises(SourceError, match=r"memory holds no image that can enter line 'dies'; refused: images/L001"):
        ingest(parts, line_of(), MemorySource(broken), "coco")
    assert parts.facts.find(DatasetVersion) == []


def test_an_unknown_format_names_those_there_are(files: Files, parts: Parts) -> None:
    with pytest.raises(ConfigError, match="coco, deeppcb, images, masks, voc, yolo; found 'tiff'"):
        ingest(parts, line_of(), MemorySource(files), "tiff")


def test_all_unknown_labels_are_named_at_once_and_nothing_is_stored(files: Files, parts: Parts) -> None:
    def rename(document: dict[str, Any]) -> None:
        document["categories"][0]["name"], document["categories"][3]["name"] = "dirt", "hole"

    with pytest.raises(TaxonomyError, match=r"'dirt', 'hole'.*map it in \[taxonomy\]"):
        ingest(parts, line_of(), MemorySource(relabelled(files, rename)), "coco")
    assert not parts.facts.find(DatasetVersion)
    assert not parts.facts.find(Quarantined)


def test_an_error_level_finding_stops_is_named_and_is_stored(files: Files, parts: Parts) -> None:
    def move(document: dict[str, Any]) -> None:
        document["annotations"][0]["bbox"] = [80, 80, 40, 10]

    name = annotations(files)["images"][annotations(files)["annotations"][0]["image_id"] - 1]["file_name"]
    dataset = ingest(parts, line_of(), MemorySource(relabelled(files, move)), "coco")
    for _ in range(2):
        with pytest.raises(ValidationFailedError, match=rf"(?s)box_inside_image.*{name}"):
            validate(parts, line_of(), dataset.id)
    (stored,) = parts.facts.find(ValidationResult)
    assert not stored.success
    assert [item.expectation for item in stored.findings if item.severity == "error" and not item.success] == [
        "box_inside_image"
    ]


def test_a_class_too_rare_to_split_stops_and_names_it(files: Files, parts: Parts) -> None:
    def keep_few(document: dict[str, Any]) -> None:
        rare = [a["id"] for a in document["annotations"] if a["category_id"] in {1, 3}]
        document["annotations"] = [a for a in document["annotations"] if a["id"] not in rare[4:]]

    with pytest.raises(SplitError, match="excess"):
        run_thread(parts, line_of(), MemorySource(relabelled(files, keep_few)))
    assert parts.facts.find(Split) == []


def test_what_would_stand_on_two_sides_is_refused_with_an_example() -> None:
    require_clean(LeakProof(9, 0, {"same_group": 0}))
    proof = LeakProof(9, 2, {"same_group": 2, "parent": 0}, ("same_group: train a.png and test b.png",))
    with pytest.raises(SplitError, match=r"found 2 pairs \(same_group 2\).*a\.png and test b\.png"):
        require_clean(proof)
    tiles = LeakProof(9, 1, {"same_group": 0, "overlap": 1}, ("overlap: test a.png#0 and test a.png#1",))
    with pytest.raises(SplitError, match=r"or judge twice; found 1 pair \(overlap 1\).*wafergate tile --overlap 0"):
        require_clean(tiles)


# The gate


@pytest.mark.parametrize(
    ("trainer", "change", "verdict"),
    [
        (ContrastTrainer(), {"recall": "recall = 0.95"}, Verdict.UNDECIDED),
        (BlindTrainer(), {}, Verdict.FAIL),
    ],
)
def test_a_model_that_does_not_pass_is_told_once_and_never_promoted(
    files: Files, tmp_path: Path, trainer: ContrastTrainer, change: dict[str, str], verdict: Verdict
) -> None:
    parts = parts_in(tmp_path, trainer=trainer)
    for _ in range(2):
        thread = run_thread(parts, line_of(**change), MemorySource(files))
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert decision.verdict is verdict
    (entry,), (alert,) = parts.facts.ledger(), parts.facts.find(Alert)
    assert (entry.kind, entry.subject, entry.actor, entry.details["verdict"]) == (
        LedgerKind.DECIDED, decision.id, "kim", verdict.value,
    )  # fmt: skip
    assert (alert.subject, alert.state) == (decision.id, AlertState.WAITING)
    with pytest.raises(PromotionError, match=f"only a pass promotes; the gate said {verdict.value}"):
        promote(parts, decision.id, actor="kim", reason="hurry")
    with pytest.raises(PromotionError, match=f"has no champion.*{verdict.value}"):
        inspect_lot(parts, line_of(), MemorySource(files), "images")
    assert parts.facts.champion("dies") is None
    assert len(parts.facts.ledger()) == 1


def test_an_image_of_the_test_set_planted_in_the_training_set_is_found_at_the_gate(files: Files, parts: Parts) -> None:
    thread = run_thread(parts, line_of(), MemorySource(files))
    spy = defective_test_image(parts, thread)
    items = parts.facts.find(TrainingItem, training_set_id=thread.training_set.id)
    copied = TrainingItem(
        "planted", len(items), spy.name, (), items[0].image, spy.width, spy.height, spy.boxes, Side.TRAIN.value
    )
    row = replace(parts.facts.get(TrainingSet, thread.training_set.id), id="planted")
    parts.facts.save(row, [*(replace(item, training_set_id="planted") for item in items), copied])
    evaluation = evaluate(parts, line_of(), train(parts, line_of(), "planted").id)
    decision = parts.facts.get(GateDecision, decide(parts, line_of(), evaluation.id, actor="kim").id)
    assert decision.verdict is Verdict.FAIL
    assert rule(decision, "leak") == [("", Verdict.FAIL)]
    assert rule(parts.facts.get(GateDecision, thread.decision.id), "leak") == [("", Verdict.PASS)]


def test_a_mapping_nobody_signed_trains_and_is_never_promoted(files: Files, parts: Parts) -> None:
    thread = run_thread(parts, line_of(signed_by="", signed_on=""), MemorySource(files))
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert decision.verdict is Verdict.FAIL
    assert rule(decision, "taxonomy") == [("", Verdict.FAIL)]
    version = propose(parts, "dies", line_of().taxonomy, actor="kim").id
    sign(parts, version, signed_by="Lee", signed_on=date(2026, 2, 1), reference="mail", actor="kim")
    later = decide(parts, line_of(signed_by="", signed_on=""), thread.evaluation.id, actor="kim")
    assert rule(parts.facts.get(GateDecision, later.id), "taxonomy") == [("", Verdict.PASS)]


# What the line allows during training


@pytest.mark.parametrize("operations", [(), ("flip_horizontal",), ("flip_vertical", "turn_90")])
def test_training_mirrors_only_as_the_line_file_allows(files: Files, tmp_path: Path, operations: Sequence[str]) -> None:
    trainer = ContrastTrainer()
    parts = parts_in(tmp_path, trainer=trainer)
    line = line_of(tmp_path)
    allowed = replace(line.augment, operations=tuple(map(OperationKind, operations)))
    line = line.model_copy(update={"augment": allowed})
    run_thread(parts, line, MemorySource(files))
    (job,) = trainer.jobs
    assert (job.flip_horizontal, job.flip_vertical) == ("flip_horizontal" in operations, "flip_vertical" in operations)


# Licences and weights


def licensed(tmp_path: Path, policy: str = "", *, start: str = "true") -> Any:
    """Return the line with code under AGPL-3.0 and weights under CC-BY-NC-4.0."""
    return line_of(
        tmp_path,
        code_licence='code_licence = "AGPL-3.0"',
        weights_licence='weights_licence = "CC-BY-NC-4.0"',
        random_start=f"random_start = {start}",
        min_images=f"min_images = 20\n[licences]\n{policy}",
    )


def test_a_refused_licence_stops_before_anything_is_trained(files: Files, tmp_path: Path) -> None:
    trainer = ContrastTrainer()
    parts = parts_in(tmp_path, trainer=trainer)
    with pytest.raises(LicenceError, match=r"the code are under AGPL-3.0: .*not in \[licences\] allowed \(Apache-2.0"):
        run_thread(parts, licensed(tmp_path), MemorySource(files))
    assert trainer.runs == 0
    assert not parts.facts.find(TrainingEpoch)
    assert not parts.facts.find(ModelVersion)


def test_the_licence_of_weights_counts_only_where_training_starts_from_them(tmp_path: Path, parts: Parts) -> None:
    line = licensed(tmp_path, 'allowed = ["Apache-2.0", "AGPL-3.0"]')
    assert choose_start(parts, line).weights is None
    (tmp_path / "contrast.json").write_text("[]")
    with pytest.raises(LicenceError, match=r"the weights are under CC-BY-NC-4.0"):
        choose_start(parts, line)


def bring(parts: Parts, file: Path, *, model: str = "contrast", licence: str = "MIT", line: Any = None) -> Any:
    known = known_candidates(parts, line)
    return add_weights(parts, file, model, licence=licence, source="the team", actor="Kim", known=known)


def test_weights_that_were_brought_are_started_from_under_their_own_licence(tmp_path: Path, parts: Parts) -> None:
    line = licensed(tmp_path, 'allowed = ["Apache-2.0", "AGPL-3.0"]', start="false")
    with pytest.raises(ConfigError, match="wafergate weights add FILE --model contrast"):
        choose_start(parts, line)
    file = tmp_path / "brought.json"
    file.write_text("[1]")
    brought = bring(parts, file, licence="Apache-2.0", line=line)
    assert bring(parts, file, licence="Apache-2.0", line=line) == (brought.id, True)
    start = choose_start(parts, line)
    assert start.weights is not None
    assert start.weights.read_text() == "[1]"
    assert choose_start(parts, line, weights=file).digest == start.digest  # the licence goes with the bytes
    other = tmp_path / "other.json"
    other.write_text("[2]")
    with pytest.raises(LicenceError, match=r"the weights are under CC-BY-NC-4\.0"):
        choose_start(parts, line, weights=other)


def test_a_weight_file_without_licence_model_or_bytes_is_not_kept(tmp_path: Path, parts: Parts) -> None:
    line, file = line_of(tmp_path), tmp_path / "brought.json"
    file.touch()
    with pytest.raises(ConfigError, match="is empty"):
        bring(parts, file, line=line)
    file.write_text("[1]")
    with pytest.raises(ConfigError, match="--model must be one of contrast; found 'other'"):
        bring(parts, file, model="other", line=line)
    with pytest.raises(ConfigError, match="SPDX"):
        bring(parts, file, licence=" ", line=line)
    bring(parts, file, line=line)
    with pytest.raises(ConfigError, match="is known for contrast under MIT, brought by Kim"):
        bring(parts, file, licence="Apache-2.0", line=line)
    assert len(parts.facts.find(WeightFile)) == 1


def test_a_research_licence_trains_and_fails_the_gate_until_somebody_accepts_it(
    files: Files, tmp_path: Path, parts: Parts
) -> None:
    policy = 'allowed = ["Apache-2.0"]\nresearch_only = ["AGPL-3.0"]'
    thread = run_thread(parts, licensed(tmp_path, policy), MemorySource(files))
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert decision.verdict is Verdict.FAIL
    assert rule(decision, "licence") == [("code", Verdict.FAIL), ("images", Verdict.PASS)]
    accepted = licensed(tmp_path, policy + '\nexceptions = { "AGPL-3.0" = { who = "Kim", why = "source is offered" } }')
    again = run_thread(parts, accepted, MemorySource(files))
    assert again.model == (thread.model.id, True)
    assert parts.facts.get(GateDecision, again.decision.id).verdict is Verdict.PASS


def test_missing_weights_stop_unless_the_line_allows_a_random_start(tmp_path: Path, parts: Parts) -> None:
    strict = line_of(tmp_path, random_start="random_start = false")
    with pytest.raises(ConfigError, match=r"starts from weights \(contrast.json\).*--weights.*random_start = true"):
        choose_start(parts, strict)
    assert choose_start(parts, line_of(tmp_path)).weights is None
    (tmp_path / "contrast.json").write_text("[]")
    assert choose_start(parts, strict).weights == tmp_path / "contrast.json"
    with pytest.raises(ConfigError, match=r"there is no weight file .*other.json; check --weights"):
        choose_start(parts, strict, weights=tmp_path / "other.json")


def test_other_weights_are_another_model(files: Files, tmp_path: Path, parts: Parts) -> None:
    random = run_thread(parts, line_of(tmp_path), MemorySource(files))
    (tmp_path / "contrast.json").write_text("[]")
    started = train(parts, line_of(tmp_path), random.training_set.id)
    assert not started.reused
    assert started.id != random.model.id
    assert parts.facts.get(ModelVersion, started.id).number == 2


def test_an_unknown_candidate_names_those_there_are(parts: Parts) -> None:
    with pytest.raises(ConfigError, match="must be one of contrast; found 'yolo99'"):
        choose_start(parts, line_of(candidate='candidate = "yolo99"'))


# Champion and rollback


def champions(parts: Parts, files: Files, count: int) -> list[str]:
    """Train and promote models that differ in their epochs; return their ids in order."""
    ids = []
    for epochs in range(2, 2 + count):
        thread = run_thread(parts, line_of(epochs=f"epochs = {epochs}"), MemorySource(files))
        promoted = promote(parts, thread.decision.id, actor="kim", reason=f"number {epochs}")
        assert promoted == (thread.model.id, False)
        assert promote(parts, thread.decision.id, actor="kim", reason="again") == (thread.model.id, True)
        ids.append(thread.model.id)
    return ids


def test_rollback_goes_to_the_champion_before_and_before_that_and_then_no_further(files: Files, parts: Parts) -> None:
    first, second, third = champions(parts, files, 3)
    now = parts.facts.champion("dies")
    assert now is not None
    assert now.model_id == third
    for expected in (second, first):
        assert rollback(parts, "dies", actor="lee", reason="escapes").id == expected
        now = parts.facts.champion("dies")
        assert now is not None
        assert (now.model_id, now.actor) == (expected, "lee")
        assert parts.facts.get(GateDecision, now.decision_id).model_id == expected
    with pytest.raises(PromotionError, match="does not have an earlier champion"):
        rollback(parts, "dies", actor="lee", reason="escapes")
    kinds = [entry.kind for entry in parts.facts.ledger("dies") if entry.kind is not LedgerKind.DECIDED]
    assert kinds == [LedgerKind.PROMOTED] * 3 + [LedgerKind.ROLLED_BACK] * 2
    assert broken_links(parts.facts.ledger()) == []


def test_rollback_reaches_any_champion_there_ever_was_and_nothing_else(files: Files, parts: Parts) -> None:
    first, _, third = champions(parts, files, 3)
    assert rollback(parts, "dies", actor="lee", reason="x", model_id=first).id == first
    assert rollback(parts, "dies", actor="lee", reason="x", model_id=third).id == third
    with pytest.raises(PromotionError, match="does not have model 'model-x' as an earlier champion"):
        rollback(parts, "dies", actor="lee", reason="x", model_id="model-x")


def test_a_champion_that_no_longer_passes_is_not_promoted_again(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    stricter = run_thread(parts, line_of(recall="recall = 0.95"), MemorySource(files))
    with pytest.raises(PromotionError, match="only a pass promotes"):
        promote(parts, stricter.decision.id, actor="kim", reason="it is champion anyway")


# Inspection and drift


def lot(files: Files, *, gain: float = 1.0) -> MemorySource:
    """Return images alone, golden references among them, brighter or darker than they were."""

    def turned(data: bytes) -> bytes:
        pixels = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
        return cv2.imencode(".png", np.clip(pixels * gain, 0, 255).astype(np.uint8))[1].tobytes()

    pictures = {name: data for name, data in files.items() if name.endswith(".png")}
    return MemorySource(pictures if gain == 1.0 else {name: turned(data) for name, data in pictures.items()})


def test_inspection_keeps_what_passes_the_frozen_thresholds_and_twice_adds_nothing(files: Files, parts: Parts) -> None:
    (model_id,) = champions(parts, files, 1)
    first = inspect_lot(parts, line_of(), lot(files), "images")
    again = inspect_lot(parts, line_of(), lot(files), "images")
    assert (again.id, again.reused) == (first.id, True)
    row = parts.facts.get(InspectionRun, first.id)
    images = parts.inspections.images(line="dies", run_id=first.id)
    thresholds = parts.facts.get(ModelVersion, model_id).thresholds
    found = [(name, score) for image in images for name, score, *_ in image.detections]
    assert row.images == len(images) == len(annotations(files)["images"])
    assert row.instances == {name: sum(label == name for label, _ in found) for name in ("excess", "missing")}
    assert all(score >= thresholds[name] for name, score in found)
    assert row.defective > 40
    assert len(parts.facts.find(InspectionRun)) == 1


def test_a_model_looks_at_its_training_images_once_and_tells_how_new_others_are(files: Files, parts: Parts) -> None:
    model = parts.facts.get(ModelVersion, champions(parts, files, 1)[0])
    tell = novelty_of(parts, model)
    (reference,) = parts.facts.find(ModelReference)
    assert refer(parts, model) == (reference.id, True)
    taught = taught_images(parts, model)
    assert len(taught) == reference.images == len(samples_on(parts, model.split_id, Side.TRAIN))
    detector = parts.load_detector(model, parts.files.fetch(model.onnx))
    (usual,) = detector([composed(parts, taught[0], model.channels)], min_score=0.1)
    far = replace(usual, embedding=np.full((1, reference.dimensions), 255, np.float32))
    assert 0 < (tell(usual) or 0) < 10 < (tell(far) or 0)
    assert tell(replace(usual, embedding=None)) is None


def test_inspection_goes_on_without_what_it_cannot_judge_and_lists_it(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    first, second = (f"images/{image['file_name']}" for image in annotations(files)["images"][:2])
    pictures = {name: data for name, data in files.items() if name.endswith(".png")}
    del pictures[first.replace(".png", "_golden.png")]
    row_id = inspect_lot(parts, line_of(), MemorySource(pictures | {second: b"broken"}), "images").id
    row = parts.facts.get(InspectionRun, row_id)
    assert (row.images, row.quarantined) == (len(annotations(files)["images"]) - 2, 2)
    reasons = {item.path: item.reason for item in parts.facts.find(Quarantined)}
    assert reasons == {first: QuarantineReason.MISSING_IMAGE, second: QuarantineReason.UNREADABLE_IMAGE}


def test_the_same_images_have_not_drifted_and_darker_ones_have_with_one_alert(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    same = parts.facts.get(DriftReport, watch(parts, line_of(), lot(files), "images").id)
    assert same.verdict is DriftVerdict.STABLE
    assert parts.facts.find(Alert) == []
    first = watch(parts, line_of(), lot(files, gain=0.6), "images")
    assert watch(parts, line_of(), lot(files, gain=0.6), "images") == (first.id, True)
    dark = parts.facts.get(DriftReport, first.id)
    assert dark.verdict is DriftVerdict.DRIFTED
    assert "brightness" in {feature.feature for feature in dark.features if feature.drifted}
    assert [alert.subject for alert in parts.facts.find(Alert)] == [first.id]


def test_a_window_too_small_is_neither_stable_nor_drifted(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    report = parts.facts.get(DriftReport, watch(parts, line_of(), lot(files, gain=0.6), "images", limit=19).id)
    assert (report.verdict, report.current_images, report.report) == (DriftVerdict.NOT_ENOUGH, 19, None)
    assert parts.facts.find(Alert) == []


@pytest.mark.parametrize(
    ("job", "error", "said"),
    [(inspect_lot, PromotionError, "has no champion"), (watch, NotFoundError, "has no model yet")],
)
def test_without_a_model_nothing_is_inspected_or_watched(
    files: Files, parts: Parts, job: Callable[..., Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=rf"line 'dies' {said}.*`wafergate retrain`"):
        job(parts, line_of(), MemorySource(files), "images")
    assert not parts.facts.find(InspectionRun)
    assert not parts.facts.find(DriftReport)


# Alerts


class Inbox:
    """A channel that is down for its first messages."""

    def __init__(self, *, down_for: int = 0) -> None:
        self.down_for = down_for
        self.taken: list[tuple[str, str]] = []

    def __call__(self, title: str, body: str, *_: object, **__: object) -> None:
        if self.down_for:
            self.down_for -= 1
            message = "channel 1 (json) did not answer"
            raise AlertError(message)
        self.taken.append((title, body))


def test_an_alert_waits_while_the_channel_is_down_and_is_then_sent_exactly_once(files: Files, parts: Parts) -> None:
    run_thread(parts, line_of(recall="recall = 0.95"), MemorySource(files))
    inbox = Inbox(down_for=2)
    again: dict[str, Any] = {"line": "dies", "at_once": True}
    for attempts in (1, 2):
        assert dispatch(parts, inbox, AlertPolicy(), **again) == (0, 1, 0, "channel 1 (json) did not answer")
        (alert,) = parts.facts.find(Alert)
        assert (alert.state, alert.attempts, alert.sent_at) == (AlertState.WAITING, attempts, None)
    assert dispatch(parts, inbox, AlertPolicy(), **again) == Dispatch(sent=1)
    assert dispatch(parts, inbox, AlertPolicy(), **again) == Dispatch()
    (alert,) = parts.facts.find(Alert)
    assert (alert.state, alert.attempts, alert.last_error) == (AlertState.SENT, 3, "")
    assert alert.sent_at is not None
    assert inbox.taken == [(alert.title, alert.body)]


def test_without_a_channel_alerts_wait_and_the_line_is_told_where_to_name_one(files: Files, parts: Parts) -> None:
    run_thread(parts, line_of(recall="recall = 0.95"), MemorySource(files))
    told = Dispatch(waiting=1, problem="no channel is set: name one in [alerts] channels")
    assert dispatch(parts, None, AlertPolicy(), line="dies") == told
    assert dispatch(parts, Inbox(), AlertPolicy(), line="another line") == Dispatch()
    assert len(parts.facts.waiting_alerts()) == 1


def test_an_exported_file_that_is_no_model_leaves_no_model_row(files: Files, tmp_path: Path) -> None:
    class Garbled(ContrastTrainer):
        def __call__(self, job: Any, **tell: Any) -> Any:
            artefact = super().__call__(job, **tell)
            artefact.onnx.write_bytes(b"not a model")
            return artefact

    parts = parts_in(tmp_path, trainer=Garbled())
    with pytest.raises(TrainingError, match="is no contrast model"):
        run_thread(parts, line_of(), MemorySource(files))
    assert parts.facts.find(ModelVersion) == []
