"""A deployed line with nobody's hand in it: it inspects, finds drift, alerts, retrains, and outlives a dead worker."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import psutil
import pytest

from tests.flows.commands import ForkedCommands
from tests.flows.receiving import receiver
from tests.flows.small import LineRun, retrained, write_line
from wafergate import wiring
from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.domain.gate import GateDecision, LedgerEntry, Verdict
from wafergate.domain.governor import GovernorDecision, GovernorVerdict
from wafergate.domain.inspection import InspectionRun
from wafergate.domain.runs import FlowRun
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.training_rows import TrainingEpoch
from wafergate.ports import FactStore

pytestmark = [pytest.mark.services, pytest.mark.training, pytest.mark.timeout(2400)]

Ask = Callable[..., Any]
LOST_AFTER_S = 90
CORRECTED = 10
"""So many images get other labels after the first champion was taught: what the governor waits for."""
SCHEDULE = """
[governor]
min_new_labels = 5
cooldown_hours = 0.0
heed_advice = false  # a dark lamp is drift anybody can plant; its report would have the station set right

[schedule]
inspect = "{cron}"
watch = "{cron}"
source = "{source}"
format = "coco"
incoming = "{incoming}"
incoming_format = "images"
lost_after_s = {lost}
"""


def until(condition: Callable[[], Any], what: str, *, seconds: float) -> Any:
    """Return the first truth a condition gives; fail when it gives none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(what)


@dataclass(frozen=True)
class Alone:
    """A line that was left alone from its deployment on, and what it told."""

    first: LineRun
    run: str
    taken: list[dict[str, Any]]


@pytest.fixture(scope="module")
def dark(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dies under a lamp at 60 %."""
    folder = tmp_path_factory.mktemp("dark")
    for path in sorted((small_source / "images").glob("*.png")):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert cv2.imwrite(str(folder / path.name), (pixels * 0.6).astype(pixels.dtype))
    return folder


@pytest.fixture(scope="module")
def alone(
    wafergate: ForkedCommands,
    stored: FactStore,
    prefect: Ask,
    small_source: Path,
    dark: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Alone]:
    """Teach a first champion, deploy the line, and touch nothing but the worker's power plug."""
    folder, name = tmp_path_factory.mktemp("alone"), "alone"
    source = folder / "source"
    shutil.copytree(small_source, source)
    with receiver() as (port, taken):
        channels = [f"json://127.0.0.1:{port}"]
        line = write_line(folder / "line.toml", name, channels=channels)
        first = retrained(wafergate, stored, line, source)
        assert stored.champion(name) is not None, first.said.out
        correct_labels(source)
        begins = datetime.now(UTC) + timedelta(seconds=75)
        cron = f"{begins.minute} {begins.hour} {begins.day} {begins.month} *"
        more = SCHEDULE.format(cron=cron, source=source, incoming=dark, lost=LOST_AFTER_S)
        write_line(line, name, channels=channels, more=more)
        assert wafergate("deploy", "--line", str(line)).code == 0
        run = until(lambda: _retraining(stored, name, first), "no retraining was started", seconds=600)
        pull_the_plug(stored, run)
        until(lambda: state(prefect, run) == "Crashed", "the run was not marked", seconds=2.5 * LOST_AFTER_S)
        wiring.start_services(lambda _part, _message: None)
        ended = until(
            lambda: state(prefect, run) in {"Completed", "Failed"} and state(prefect, run),
            "the run was not taken up again",
            seconds=600,
        )
        assert ended == "Completed"
        yield Alone(first, run, taken)


def correct_labels(source: Path) -> None:
    """Draw the first box of some images a pixel wider, as a person who looks again might."""
    (file,) = source.glob("*.json")
    labels = json.loads(file.read_text())
    seen: set[int] = set()
    for item in labels["annotations"]:
        if len(seen) < CORRECTED and item["image_id"] not in seen:
            seen.add(item["image_id"])
            item["bbox"][2] += 1
    assert len(seen) == CORRECTED
    file.write_text(json.dumps(labels))


def _retraining(stored: FactStore, name: str, first: LineRun) -> str:
    """Return the id of the run that somebody other than this test started, once an epoch of it is trained."""
    before = {first.decision.model_id}
    runs = [run for run in stored.find(FlowRun, flow="retrain", line=name) if run.parameters["actor"] != "kim"]
    if not runs:
        return ""
    told = {epoch.model_id for epoch in stored.find(TrainingEpoch, actor=runs[0].parameters["actor"])}
    return runs[0].id if told - before else ""


def pull_the_plug(stored: FactStore, run: str) -> None:
    """Kill the worker and all that it runs, as a machine without power would."""
    assert stored.get(FlowRun, run).flow == "retrain"
    worker = psutil.Process(json.loads((wiring.home() / "services.json").read_text())["processes"]["worker"]["pid"])
    family = [worker, *worker.children(recursive=True)]
    assert any("prefect.engine" in " ".join(process.cmdline()) for process in family)
    for process in family:
        process.kill()


def state(prefect: Ask, run: str) -> str:
    return str(prefect("GET", f"/flow_runs/{run}")["state"]["name"])


def only_run(prefect: Ask, stored: FactStore, flow: str, name: str) -> Any:
    (row,) = stored.find(FlowRun, flow=flow, line=name)
    return prefect("GET", f"/flow_runs/{row.id}")


def test_the_schedule_inspects_and_finds_the_drift_that_was_planted(
    stored: FactStore, prefect: Ask, alone: Alone
) -> None:
    name = alone.first.name
    inspected = only_run(prefect, stored, "inspect_lot", name)
    assert (inspected["state_type"], inspected["auto_scheduled"]) == ("COMPLETED", True)
    (run,) = stored.find(InspectionRun, line=name)
    assert (run.images, run.model_id) == (100, alone.first.decision.model_id)
    assert only_run(prefect, stored, "watch", name)["auto_scheduled"]
    (report,) = stored.find(DriftReport, line=name)
    assert report.verdict is DriftVerdict.DRIFTED
    assert any(re.search("drift", item["title"]) for item in alone.taken)


def test_drift_asked_the_governor_and_the_governor_started_one_retraining(stored: FactStore, alone: Alone) -> None:
    (report,) = stored.find(DriftReport, line=alone.first.name)
    (decision,) = stored.find(GovernorDecision, line=alone.first.name)
    assert (decision.event, decision.actor, decision.verdict) == (report.id, "drift", GovernorVerdict.RETRAIN)
    assert next(rule.value for rule in decision.rules if rule.rule == "new_labels") == CORRECTED
    assert stored.get(FlowRun, alone.run).parameters["actor"] == decision.id
    assert stored.get(DatasetVersion, decision.dataset_id).images == 100


def test_the_run_of_the_dead_worker_was_marked_reported_and_taken_up_again(
    stored: FactStore, prefect: Ask, alone: Alone
) -> None:
    run = prefect("GET", f"/flow_runs/{alone.run}")
    assert run["run_count"] == 2
    history = prefect("GET", f"/flow_run_states/?flow_run_id={alone.run}")
    (crash,) = [item for item in history if item["type"] == "CRASHED"]
    assert crash["message"].startswith(f"No sign of life for {LOST_AFTER_S} s")
    assert any("crashed and was taken up again" in item["title"] for item in alone.taken)
    assert len(stored.find(FlowRun, flow="recover", line=alone.first.name)) == 1


def test_the_retraining_promotes_or_refuses_by_the_gate_alone(stored: FactStore, alone: Alone) -> None:
    name = alone.first.name
    (governed,) = stored.find(GovernorDecision, line=name)
    newest, before = stored.find(GateDecision, line=name)
    assert before == alone.first.decision
    champion = stored.champion(name)
    assert champion is not None
    promoted = newest.verdict is Verdict.PASS
    assert champion.decision_id == (newest.id if promoted else before.id)
    (told,) = stored.find(LedgerEntry, line=name, kind="decided", subject=newest.id)
    assert told.actor == governed.id
    assert promoted or any(newest.summary in item["message"] for item in alone.taken)
