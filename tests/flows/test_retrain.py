"""The whole flow on the real services: rows, Prefect, reruns, a kill in the middle, and life with a champion."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from tests.flows.commands import ForkedCommands, start_fresh
from tests.flows.receiving import receiver
from tests.flows.small import LineRun, retrained, write_line
from tests.unit.test_matching import pycocotools_ap
from wafergate import wiring
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.domain.evaluation import Evaluation, Truth
from wafergate.domain.gate import GateDecision, LedgerKind, Verdict
from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import InspectionRun
from wafergate.domain.production import ProductionFigures, ProductionItem, ReviewedImage
from wafergate.domain.report import DecisionReport
from wafergate.domain.reproduction import Likeness, Reproduction
from wafergate.domain.runs import FlowRun, LineFileVersion
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import Split, SplitMember
from wafergate.domain.training_rows import ModelVersion, TrainingEpoch, TrainingItem, TrainingSet
from wafergate.domain.validation_rows import ValidationResult
from wafergate.errors import NotFoundError, PromotionError, StorageError
from wafergate.formats.predictions import read_predictions
from wafergate.formats.words import Words
from wafergate.ports import FactStore, InspectionStore

pytestmark = [pytest.mark.services, pytest.mark.training]

WAIT_S = 120.0
Rows = Callable[[], dict[str, int]]
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def dark(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dies under a lamp at 60 %."""
    folder = tmp_path_factory.mktemp("dark")
    for path in (small_source / "images").iterdir():
        pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        assert cv2.imwrite(str(folder / path.name), (pixels * 0.6).astype(np.uint8))
    return folder


def until(condition: Callable[[], Any], what: str, *, seconds: float = WAIT_S) -> Any:
    """Return the first truth a condition gives; fail when it gives none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(what)


def flow_run(stored: FactStore, flow: str, line: str) -> FlowRun:
    return stored.find(FlowRun, flow=flow, line=line)[-1]  # the oldest


# What one run leaves


def test_every_row_of_the_thread_is_there_and_names_the_one_before(stored: FactStore, line_run: LineRun) -> None:
    decision = line_run.decision
    evaluation = stored.get(Evaluation, decision.evaluation_id)
    model = stored.get(ModelVersion, evaluation.model_id)
    training_set = stored.get(TrainingSet, model.training_set_id)
    split = stored.get(Split, training_set.split_id)
    dataset = stored.get(DatasetVersion, split.dataset_id)
    assert (model.split_id, model.dataset_id, decision.model_id) == (split.id, dataset.id, model.id)
    assert len(stored.find(Sample, dataset_id=dataset.id)) == len(stored.find(SplitMember, split_id=split.id))
    items = stored.find(TrainingItem, training_set_id=training_set.id)
    assert len(items) == training_set.originals + training_set.augmented + training_set.validation
    assert [result.success for result in stored.find(ValidationResult, dataset_id=dataset.id)] == [True]
    assert [epoch.epoch for epoch in reversed(stored.find(TrainingEpoch, model_id=model.id))] == list(
        range(1, model.epochs + 1)
    )
    assert [entry.kind for entry in stored.ledger(line_run.name)][:2] == [LedgerKind.DECIDED, LedgerKind.PROMOTED]


def test_the_run_keeps_its_line_file_word_for_word(stored: FactStore, line_run: LineRun) -> None:
    text = line_run.line.read_text()
    run = flow_run(stored, "retrain", line_run.name)
    assert run.line_file == digest_bytes(text.encode())
    assert stored.get(LineFileVersion, run.line_file).text == text
    assert run.parameters["source"] == str(line_run.source)


def test_the_summary_says_what_is_stored(stored: FactStore, line_run: LineRun) -> None:
    out, decision = line_run.said.out, line_run.decision
    evaluation, model = (
        stored.get(Evaluation, decision.evaluation_id),
        stored.get(ModelVersion, decision.model_id),
    )
    dataset = stored.get(DatasetVersion, model.dataset_id)
    assert re.search(rf"dataset +version {dataset.number}: {dataset.images} images", out)
    assert re.search(rf"model +version {model.number}: {model.candidate.name}, {model.image_size} px", out)
    for item in evaluation.classes:
        recall, lower = item.recall, Words("en").at_least(item.recall.lower)
        shown = rf"{item.defect_class} +{recall.hits} of {recall.trials} +{recall.value:.2f} +{lower} to "
        assert re.search(shown, out), out
    assert all(re.search(rf"{rule.verdict.value} +{rule.rule}", out) for rule in decision.rules)
    assert f"gate: {decision.verdict.value}" in out
    assert f"champion: model {model.number} (this model)" in out
    assert re.search(r"dashboard: http://127\.0\.0\.1:\d+", out)
    assert "nothing new" not in out


def test_prefect_shows_the_run_by_name_with_its_tasks_and_artifacts(
    stored: FactStore, line_run: LineRun, prefect: Ask
) -> None:
    run = prefect("GET", f"/flow_runs/{flow_run(stored, 'retrain', line_run.name).id}")
    assert re.fullmatch(r"retrain small \d{4}-\d\d-\d\d \d\d:\d\d", run["name"])
    assert run["state_type"] == "COMPLETED"
    only = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    tasks = {task["name"].rpartition("-")[0] for task in prefect("POST", "/task_runs/filter", only)}
    assert {"ingest", "validate", "split", "augment", "train", "evaluate", "decide", "promote", "report"} <= tasks
    artifacts = prefect("POST", "/artifacts/filter", only)
    assert {("table", "gate"), ("table", "recall-by-class"), ("markdown", "report")} <= {
        (item["type"], item["key"]) for item in artifacts
    }
    assert "progress" in {item["type"] for item in artifacts}
    (gate,) = (item for item in artifacts if item["key"] == "gate")
    assert len(json.loads(gate["data"])) == len(line_run.decision.rules)
    logs = prefect("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
    assert any(line_run.decision.summary in log["message"] for log in logs)


def test_average_precision_of_the_stored_predictions_equals_pycocotools(stored: FactStore, line_run: LineRun) -> None:
    """Real predictions of a real model: duplicates, rounded scores and images without any."""
    parts = wiring.open_parts()
    evaluation = stored.get(Evaluation, line_run.decision.evaluation_id)
    model = stored.get(ModelVersion, evaluation.model_id)
    kept = read_predictions(parts.files.get(evaluation.predictions))
    samples = {item.name: item for item in stored.find(Sample, dataset_id=model.dataset_id)}
    truth = [Truth.of(samples[name].boxes, model.classes) for name in kept.names]
    expected = pycocotools_ap(truth, kept.detections, len(model.classes)).mean(axis=0)
    np.testing.assert_allclose([item.ap50_95 for item in evaluation.classes], expected, atol=1e-6)


def test_the_report_is_stored_and_written_by_its_command(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    done = wafergate("report", line_run.decision.id, "--to", str(page))
    assert done.code == 0, done.err
    assert digest_bytes(page.read_bytes()) == stored.find(DecisionReport, decision_id=line_run.decision.id)[0].page
    refused = wafergate("report", line_run.decision.id, "--to", str(tmp_path / "none" / "report.html"))
    assert refused.code == StorageError.exit_code
    assert "cannot be written" in refused.err
    assert wafergate("report", "decision-none", "--to", str(page)).code == NotFoundError.exit_code


def test_the_same_command_again_does_no_work_twice_and_says_so(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun, count_rows: Rows
) -> None:
    before = count_rows()
    again = retrained(wafergate, stored, line_run.line, line_run.source)
    after = count_rows()
    assert again.decision == line_run.decision
    assert "nothing new" in again.said.out
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {"flow_run": 1}


def test_a_run_is_reproduced_with_the_same_bytes_from_what_the_store_remembers(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun
) -> None:
    run = flow_run(stored, "retrain", line_run.name)
    done = wafergate("reproduce", run.id)
    assert done.code == 0, done.err
    model = stored.get(ModelVersion, line_run.decision.model_id)
    (row,) = stored.find(Reproduction, model_id=model.id)
    assert (row.likeness, row.onnx, row.line_file) == (Likeness.IDENTICAL, model.onnx, run.line_file)
    assert row.code == (run.code, run.code)
    assert f"model {model.number} of {line_run.name} trained again: identical" in done.out
    assert max(len(row) for row in done.out.splitlines() if not row.startswith("then: wafergate")) <= 80


# Killed in the middle, and the approval that a line may ask for


@pytest.fixture(scope="module")
def killed(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun, tmp_path_factory: pytest.TempPathFactory
) -> LineRun:
    """The same line under another name and in approval mode, killed during training and run again."""
    folder = tmp_path_factory.mktemp("killed")
    line = write_line(folder / "killed.toml", "killed", approval="approval")
    known = {epoch.model_id for epoch in stored.find(TrainingEpoch)}
    options = ("--line", str(line), "--source", str(line_run.source), "--format", "coco", "--as", "kim")
    process = start_fresh("retrain", *options, log=folder / "log.txt")
    try:
        until(
            lambda: {epoch.model_id for epoch in stored.find(TrainingEpoch)} - known or process.poll() is not None,
            "no epoch was told",
        )
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("training_process" in " ".join(child.cmdline()) for child in family)
    finally:
        process.kill()
        process.wait()
    # Nobody could tell the training to end: it must see by itself that its parent is gone.
    until(lambda: not any(map(_lives, family)), "the training outlived its parent", seconds=20)
    assert not stored.find(ModelVersion, line="killed")
    assert not stored.find(GateDecision, line="killed")
    return retrained(wafergate, stored, line, line_run.source)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_killed_run_ends_the_second_time_as_an_undisturbed_one(
    stored: FactStore, line_run: LineRun, killed: LineRun
) -> None:
    (model,) = stored.find(ModelVersion, line="killed")
    other = stored.get(ModelVersion, line_run.decision.model_id)
    assert model.number == 1
    assert (model.thresholds, model.epochs, model.batch) == (other.thresholds, other.epochs, other.batch)
    assert killed.decision.verdict is line_run.decision.verdict
    mine, theirs = (stored.get(Evaluation, run.decision.evaluation_id) for run in (killed, line_run))
    assert mine.look > theirs.look  # the two lines hold the same images, as others of this run may: it is one test set
    assert mine.classes == theirs.classes
    assert [len(stored.find(kind, line="killed")) for kind in (DatasetVersion, ModelVersion, GateDecision)] == [1, 1, 1]
    told = [epoch.epoch for epoch in reversed(stored.find(TrainingEpoch, model_id=model.id))]
    # it goes on from the last stored checkpoint, or begins again where none was stored yet; what was told stays told
    assert sorted(set(told)) == list(range(1, model.epochs + 1))
    assert told[-1] == model.epochs


def test_what_waits_for_approval_is_promoted_by_a_person_and_by_nobody_before(
    wafergate: ForkedCommands, stored: FactStore, killed: LineRun, line_run: LineRun
) -> None:
    assert killed.decision.verdict is Verdict.PASS
    assert stored.champion("killed") is None
    words = ("--as", "lee", "--reason", "lot A looks right")
    foreign = wafergate("approve", killed.decision.id, "--line", str(line_run.line), *words)
    assert foreign.code == PromotionError.exit_code
    assert "is of line 'killed', not of 'small'" in foreign.sentence
    said = wafergate("approve", killed.decision.id, "--line", str(killed.line), *words)
    assert said.code == 0, said.err
    champion = stored.champion("killed")
    assert champion is not None
    assert (champion.model_id, champion.actor, champion.reason) == (
        killed.decision.model_id, "lee", "lot A looks right",
    )  # fmt: skip


# Life with a champion


def test_the_champion_is_the_model_that_passed(stored: FactStore, line_run: LineRun) -> None:
    assert line_run.decision.verdict is Verdict.PASS, line_run.said.out
    champion = stored.champion(line_run.name)
    assert champion is not None
    assert (champion.model_id, champion.decision_id) == (line_run.decision.model_id, line_run.decision.id)


def test_a_first_champion_cannot_be_rolled_back(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun
) -> None:
    before = stored.ledger(line_run.name)
    said = wafergate("rollback", "--line", str(line_run.line), "--as", "lee", "--reason", "escapes")
    assert said.code == PromotionError.exit_code
    assert said.sentence == "line 'small' does not have an earlier champion; `wafergate ledger show` lists them"
    assert stored.ledger(line_run.name) == before


def test_inspection_stores_every_image_and_twice_adds_nothing(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun, count_rows: Rows, inspections: InspectionStore
) -> None:
    options = ("--line", str(line_run.line), str(line_run.source))
    first = wafergate("inspect", *options)
    assert first.code == 0, first.err
    (run,) = stored.find(InspectionRun, line=line_run.name)
    images = inspections.images(line=line_run.name, run_id=run.id)
    dataset = stored.get(DatasetVersion, stored.get(ModelVersion, run.model_id).dataset_id)
    assert run.images == len(images) == dataset.images
    assert sum(run.instances.values()) == sum(len(image.detections) for image in images)
    assert {image.lot for image in images} == {f"L{number:03d}" for number in range(1, 13)}
    assert f"{run.images} images inspected, {run.defective} with defects" in first.out
    listed = re.findall(r"(L\d{3}) +(\d+) +(\d+) +\d+%", first.out)
    assert len(listed) == 10
    assert "and 2 lots more" in first.out
    for lot, seen, defective in listed:
        of_lot = [image for image in images if image.lot == lot]
        assert (int(seen), int(defective)) == (len(of_lot), sum(bool(image.detections) for image in of_lot))
    before = count_rows()
    again = wafergate("inspect", *options)
    assert f"{run.images} images inspected ({run.images} of them before)" in again.out
    after = count_rows()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {"flow_run": 1}


def test_darker_images_have_drifted_and_the_alert_outlives_a_channel_that_is_down(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun, dark: Path, tmp_path: Path
) -> None:
    with receiver() as (port, _):
        pass  # nobody listens there now
    line = write_line(tmp_path / "small.toml", line_run.name, channels=[f"json://127.0.0.1:{port}"])
    same = wafergate("watch", "--line", str(line), "--source", str(line_run.source))
    assert "stable: 100 images against" in same.out
    said = wafergate("watch", "--line", str(line), "--source", str(dark))
    assert said.code == 0, said.err
    assert re.search(r"brightness +\d+\.\d+ +\d\.\d\d .* drifted", said.out)
    assert "advice: recalibrate: " in said.out
    assert "drifted: 100 images against" in said.out
    report = stored.find(DriftReport, line=line_run.name, limit=1)[0]
    assert report.verdict is DriftVerdict.DRIFTED
    assert report.report is not None
    (alert,) = stored.find(Alert, subject=report.id)
    assert (alert.state, alert.attempts > 0) == (AlertState.WAITING, True)
    assert str(port) not in alert.last_error
    waiting = [item for item in stored.waiting_alerts() if item.line == line_run.name]
    with receiver(port) as (_, taken):
        sent = wafergate("alerts", "send", "--line", str(line))
        assert sent.out == f"{len(waiting)} sent, 0 waiting\n"
        assert wafergate("alerts", "send", "--line", str(line)).out == "0 sent, 0 waiting\n"
    assert sorted(item["title"] for item in taken) == sorted(item.title for item in waiting)
    assert stored.get(Alert, alert.id).state is AlertState.SENT


# Scheduled


def test_deploy_registers_every_flow_with_the_schedules_of_the_line_file_and_the_worker_runs_one(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun, prefect: Ask, tmp_path: Path
) -> None:
    schedule = (
        f'[schedule]\nretrain = "0 3 1 1 *"\ntimezone = "Asia/Seoul"\nsource = "{line_run.source}"\nformat = "coco"'
    )
    line = write_line(tmp_path / "small.toml", line_run.name, more=schedule)
    said = wafergate("deploy", "--line", str(line))
    assert said.code == 0, said.err
    names = ["intake", "retrain", "release", "inspect-lot", "watch", "govern", "golden", "recover", "alerts", "weekly"]
    assert said.out.split() == [f"{name}/small" for name in names]
    found = {name: prefect("GET", f"/deployments/name/{name}/small") for name in names}
    assert {name for name, item in found.items() if item["schedules"]} == {"retrain"}
    (when,) = found["retrain"]["schedules"]
    assert (when["schedule"]["cron"], when["schedule"]["timezone"]) == ("0 3 1 1 *", "Asia/Seoul")
    assert found["retrain"]["parameters"] == {"line": str(line), "source": str(line_run.source), "format": "coco"}
    parameters = {"source": str(line_run.source), "format": "coco"}
    run = prefect("POST", f"/deployments/{found['intake']['id']}/create_flow_run", {"parameters": parameters})
    ended = until(lambda: _ended(prefect, run["id"]), "the worker did not run the deployment")
    assert ended["state_type"] == "COMPLETED", ended["state"]
    row = stored.get(FlowRun, run["id"])
    assert (row.flow, row.line, row.line_file) == ("intake", "small", digest_bytes(line.read_bytes()))
    assert len(stored.find(DatasetVersion, line="small")) == 1


def _ended(prefect: Ask, run_id: str) -> Any:
    run = prefect("GET", f"/flow_runs/{run_id}")
    return run if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None


def test_inspected_images_go_out_to_a_labelling_tool_and_come_back_as_the_truth_of_production(
    wafergate: ForkedCommands, stored: FactStore, line_run: LineRun, dark: Path, tmp_path: Path
) -> None:
    line, name = str(line_run.line), line_run.name
    assert wafergate("inspect", "--line", line, "--source", str(dark)).code == 0
    items = stored.find(ProductionItem, line=name)
    assert {item.metadata["lot"] for item in items} <= {f"L{number:03d}" for number in range(1, 13)}
    assert all(item.reference for item in items)
    listed = wafergate("audit", "list", "--line", line)
    assert f"line small: {len(items)} inspected images open (audit " in listed.out, listed.err
    assert max(map(len, listed.out.splitlines())) <= 80
    folder = tmp_path / "to-label"
    assert wafergate("audit", "export", "--line", line, "--to", str(folder)).code == 0
    exported = json.loads((folder / "coco" / "annotations.json").read_text())
    assert {path.name for path in (folder / "coco").glob("*.png")} == {row["file_name"] for row in exported["images"]}
    who = ("--line", line, "--as", "Lee", "--reason", "week 12")
    done = wafergate("audit", "import", str(folder), *who)
    assert done.code == 0, done.err
    assert max(len(row) for row in done.out.splitlines() if not row.startswith("then: wafergate")) <= 80
    (figures,) = stored.find(ProductionFigures, line=name)
    assert {row.actor for row in stored.find(ReviewedImage, line=name)} == {"Lee"}
    assert "in production, by " in done.out
    newest = stored.find(DatasetVersion, line=name, limit=1)[0]
    reviewed = {row.image for row in stored.find(ReviewedImage, line=name)}
    assert reviewed <= {sample.image for sample in stored.find(Sample, dataset_id=newest.id)}
    again = wafergate("audit", "import", str(folder), *who)
    assert "nothing new" in again.out, again.err
    assert wafergate("audit", "figures", "--line", line).code == 0
    assert [row.id for row in stored.find(ProductionFigures, line=name)] == [figures.id]
    assert stored.find(DatasetVersion, line=name, limit=1)[0].id == newest.id


def test_a_choice_is_shown_in_prefect_and_by_its_command_with_what_dropped_every_other(
    wafergate: ForkedCommands, stored: FactStore, small_source: Path, prefect: Ask, tmp_path: Path
) -> None:
    line = write_line(tmp_path / "chosen.toml", "chosen", epochs=2, more="[hardware.serve]\nsize_mib = 5")
    choice = 'candidate = "auto"\nchoose_from = ["yolox-nano", "yolov9-t", "yolo11n"]'
    line.write_text(line.read_text().replace('candidate = "yolox-nano"', choice).replace("batch = 8", "batch = 2"))
    run = retrained(wafergate, stored, line, small_source)
    model = stored.get(ModelVersion, stored.get(Evaluation, run.decision.evaluation_id).model_id)
    assert model.candidate.name == "yolox-nano"
    assert "choice: yolox-nano of 3 candidates" in run.said.err
    only = {"flow_runs": {"id": {"any_": [flow_run(stored, "retrain", "chosen").id]}}}
    (shown,) = (item for item in prefect("POST", "/artifacts/filter", only) if item["key"] == "model-choice")
    table = {row["candidate"]: row for row in json.loads(shown["data"])}
    assert {name: row["dropped by"] for name, row in table.items()} == {
        "yolox-nano": "", "yolov9-t": "size", "yolo11n": "licence",
    }  # fmt: skip
    assert "the limit size_mib in [hardware.serve] is 5 MiB" in table["yolov9-t"]["reason"]
    said = wafergate("choice", "--line", str(line))
    assert "AGPL-3.0-only" in said.out, said.err
    assert max(map(len, said.out.splitlines())) <= 80
