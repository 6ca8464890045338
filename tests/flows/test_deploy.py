"""A line deployed in Prefect: what is registered, what is planned, and what is refused before anything begins."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from tests import rows
from tests.flows.commands import ForkedCommands
from tests.flows.small import write_line
from tests.unit.test_govern import Runs
from wafergate import wiring
from wafergate.domain.governor import GovernorDecision, GovernorVerdict
from wafergate.domain.runs import FlowRun
from wafergate.domain.samples import DatasetVersion
from wafergate.errors import ConfigError
from wafergate.jobs.govern import ask_governor
from wafergate.line import load_line
from wafergate.ports import FactStore
from wafergate.settings import Settings

pytestmark = pytest.mark.services

Ask = Callable[..., Any]
WAIT_S = 90.0
SCHEDULE = """
[schedule]
watch = "10 4 1 * *"
inspect = "5 4 1 * *"
source = "source"
format = "coco"
incoming = "s3://lots/new"
incoming_format = "images"

[governor]
min_new_labels = 1000
"""
"""Monthly: near enough to be planned, too far to run and to write rows beside another test."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return the first truth a condition gives; fail when it gives none in time."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(what)


@pytest.fixture(scope="module")
def name() -> str:
    return f"deployed-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def line(wafergate: ForkedCommands, name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_line(tmp_path_factory.mktemp("deployed") / "line.toml", name, more=SCHEDULE)
    said = wafergate("deploy", "--line", str(path))
    assert said.code == 0, said.err
    return path


def registered(prefect: Ask, name: str) -> dict[str, Any]:
    """Return what Prefect holds for a line: deployments, schedules, automations and queues."""
    deployments = prefect("POST", "/deployments/filter", {"deployments": {"tags": {"all_": [name]}}})
    automations = prefect("POST", "/automations/filter", {})
    queues = prefect("POST", "/work_pools/wafergate/queues/filter", {})
    return {
        "deployments": {
            item["entrypoint"]: (
                item["id"], [each["schedule"] for each in item["schedules"]], item["parameters"],
                item["work_queue_name"], (item["global_concurrency_limit"] or {}).get("limit"),
            )
            for item in deployments
        },
        "automations": {
            item["name"]: (item["id"], item["trigger"]["id"], item["actions"])
            for item in automations
            if name in item["name"]
        },
        "queues": {item["name"]: item["concurrency_limit"] for item in queues},
    }  # fmt: skip


def test_every_flow_is_registered_with_its_schedule_and_reads_what_the_line_file_names(
    prefect: Ask, name: str, line: Path
) -> None:
    found = registered(prefect, name)
    of = {key.rpartition(":")[2]: value for key, value in found["deployments"].items()}
    assert {entry for entry, item in of.items() if item[1]} == {"watch", "inspect_lot"}
    assert of["watch"][2] == {"line": str(line), "source": "s3://lots/new", "format": "images"}
    assert of["retrain"][2] == {"line": str(line), "source": str(line.parent / "source"), "format": "coco"}
    assert of["retrain"][3] == "training"
    alone = {entry for entry, item in of.items() if item[4] == 1}
    scheduled = {"retrain", "inspect_lot", "watch", "golden", "alerts", "weekly"}
    assert alone == scheduled | {"govern"}, "an hourly run may take over an hour"
    assert found["queues"]["training"] == 1
    assert set(found["automations"]) == {
        f"wafergate {name}: lost run", f"wafergate {name}: crashed run", f"wafergate {name}: drift",
    }  # fmt: skip


def test_the_server_plans_the_runs_of_a_schedule(prefect: Ask, name: str, line: Path) -> None:
    assert line.exists()
    wanted = {
        "deployments": {"tags": {"all_": [name]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "limit": 5,
    }
    planned = until(lambda: prefect("POST", "/flow_runs/filter", wanted), "the server planned no run")
    assert all(run["auto_scheduled"] for run in planned)


def test_registering_twice_changes_nothing_and_a_removed_schedule_is_removed(
    wafergate: ForkedCommands, prefect: Ask, name: str, line: Path
) -> None:
    before = registered(prefect, name)
    assert wafergate("deploy", "--line", str(line)).code == 0
    assert registered(prefect, name) == before
    line.write_text(line.read_text().replace('inspect = "5 4 1 * *"\n', ""), encoding="utf-8")
    assert wafergate("deploy", "--line", str(line)).code == 0
    after = registered(prefect, name)
    gone = [key for key in after["deployments"] if after["deployments"][key] != before["deployments"][key]]
    assert [key.rpartition(":")[2] for key in gone] == ["inspect_lot"]
    assert after["deployments"][gone[0]][1] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "tiff"}, "'tiff' is not one of ['coco', 'deeppcb', 'images', 'masks', 'voc', 'yolo']"),
        ({"limit": -1}, "-1 is less than the minimum of 0"),
        ({"limit": "many"}, "'many' is not of type 'integer'"),
    ],
    ids=["format", "range", "kind"],
)
def test_a_run_with_a_wrong_parameter_is_not_even_made(
    service_settings: Settings, prefect: Ask, name: str, line: Path, change: dict[str, object], told: str
) -> None:
    deployment = prefect("GET", f"/deployments/name/intake/{name}")
    parameters = {"line": str(line), "source": "/none", "format": "coco"} | change
    address = f"{service_settings.prefect_api_url}/deployments/{deployment['id']}/create_flow_run"
    answer = urllib3.request("POST", address, json={"parameters": parameters})
    assert answer.status in {409, 422}
    assert told in answer.json()["detail"]


def test_the_governor_counts_what_people_reviewed_beside_the_labels_it_takes_in(
    prefect: Ask, stored: FactStore, small_source: Path, name: str, line: Path
) -> None:
    assert line.exists()
    image = replace(rows.image("5" * 64), id="5" * 64)
    draw = rows.production_draw(name, "a")
    item = replace(rows.production_item(draw, image.id), metadata={"lot": "L9999"}, reference=image.id)
    for row in (rows.dataset(name), rows.split(name), rows.training_set(name), rows.model(name, "a")):
        stored.save(row)
    stored.save_all([image])
    stored.save(draw, [item])
    stored.save(rows.production_export(item))
    stored.save(rows.production_review(item), [rows.reviewed_image(item)])
    deployment = prefect("GET", f"/deployments/name/govern/{name}")
    parameters = {"event": "asked", "source": str(small_source), "format": "coco"}
    run = prefect("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    (decision,) = until(lambda: stored.find(GovernorDecision, line=name, event="asked"), f"no decision: {run['id']}")
    taught = stored.get(DatasetVersion, decision.dataset_id)
    assert (taught.images, taught.source) == (101, "version 2 and 1 reviewed images of inspections")


def test_a_governor_asked_by_hand_takes_in_the_labels_the_schedule_names(
    wafergate: ForkedCommands, stored: FactStore, small_source: Path, name: str, line: Path, tmp_path: Path
) -> None:
    of = tmp_path / "line.toml"
    of.write_text(line.read_text().replace('source = "source"', f'source = "{small_source}"'), encoding="utf-8")
    said = wafergate("governor", "ask", "--line", str(of), "--event", "by hand")
    assert said.code == 0, said.err
    (decision,) = stored.find(GovernorDecision, line=name, event="by hand")
    assert stored.get(DatasetVersion, decision.dataset_id).images >= 100, "the drawn dies, and what people reviewed"


def test_a_run_by_hand_of_a_line_file_that_is_gone_fails_before_it_does_anything(
    prefect: Ask, stored: FactStore, name: str, line: Path
) -> None:
    deployment = prefect("GET", f"/deployments/name/retrain/{name}")
    parameters = {"line": str(line.with_name("gone.toml"))}
    run = prefect("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})

    def ended() -> Any:
        found = prefect("GET", f"/flow_runs/{run['id']}")
        return found if found["state_type"] in {"FAILED", "COMPLETED", "CRASHED"} else None

    said = until(ended, "no worker ran it")
    assert said["state_type"] == "FAILED"
    assert "there is no line file" in said["state"]["message"]
    assert stored.find(FlowRun, id=run["id"]) == []


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ('watch = "at night"\nincoming = "x"\nformat = "coco"', "is no cron expression"),
        ('watch = "0 4 * * *"\nincoming = "x"', "needs incoming and format as well"),
        ('inspect = "0 4 * * *"\nformat = "coco"', "needs incoming and format as well"),
        ('retrain = "0 4 * * *"\nsource = "x"', "needs source and format as well"),
    ],
    ids=["cron", "watched", "incoming", "format"],
)
def test_a_schedule_that_cannot_run_is_refused_before_anything_is_registered(
    wafergate: ForkedCommands, prefect: Ask, tmp_path: Path, schedule: str, told: str
) -> None:
    name = f"refused-{uuid4().hex[:8]}"
    path = write_line(tmp_path / "line.toml", name, more=f"[schedule]\n{schedule}\n")
    said = wafergate("deploy", "--line", str(path))
    assert said.code == ConfigError.exit_code
    assert told in said.sentence
    assert registered(prefect, name)["deployments"] == {}


def test_a_storm_of_a_thousand_drift_events_starts_one_retraining(stored: FactStore, tmp_path: Path) -> None:
    name = f"storm-{uuid4().hex[:8]}"
    line = load_line(write_line(tmp_path / "line.toml", name, more="[governor]\nmin_new_labels = 2\n"))
    images = [rows.image(f"{name}-{place}".ljust(64, "0")) for place in range(2)]
    stored.save_all(images)
    stored.save(rows.dataset(name), [rows.sample(name, place, image.id) for place, image in enumerate(images)])
    parts, runs = replace(wiring.open_parts(), facts=stored), Runs(name)

    def ask(number: int) -> str:
        return ask_governor(parts, line, f"drift-{number}", actor="drift", retrainings=runs).id

    with ThreadPoolExecutor(16) as pool:
        decided = list(pool.map(ask, range(1000)))
    found = stored.find(GovernorDecision, line=name)
    assert {row.id for row in found} == set(decided)
    assert len(found) == 1000
    assert [row.id for row in found if row.verdict is GovernorVerdict.RETRAIN] == list(runs.started)
    assert len(runs.started) == 1
