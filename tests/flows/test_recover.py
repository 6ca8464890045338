"""A run that counts as lost and goes on all the same is left alone."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.automations import LOST
from flows.recover import gives_signs_of_life, take_up
from tests.flows.small import write_line
from wafergate.domain.alerts import Alert
from wafergate.line import load_line
from wafergate.ports import FactStore
from wafergate.settings import Settings

pytestmark = pytest.mark.services

Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def at_the_services(service_settings: Settings) -> Iterator[None]:
    """Prefect reads its settings when it is imported, which in this process was before the services ran."""
    with temporary_settings({PREFECT_API_URL: service_settings.prefect_api_url}):
        yield


@pytest.fixture
def lost(prefect: Ask) -> UUID:
    """A run that was marked as crashed because nothing was heard of it."""
    flow = prefect("POST", "/flows/", {"name": f"lost-{uuid4().hex[:8]}"})
    run = prefect("POST", "/flow_runs/", {"flow_id": flow["id"], "state": {"type": "RUNNING"}})
    crashed = {"type": "CRASHED", "name": "Crashed", "message": f"{LOST} for 60 s"}
    prefect("POST", f"/flow_runs/{run['id']}/set_state", {"state": crashed, "force": True})
    return UUID(run["id"])


def beat(prefect: Ask, run: UUID, at: datetime) -> None:
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    event = {
        "occurred": at.isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": resource,
        "id": str(uuid4()),
    }
    prefect("POST", "/events", [event])


def test_a_lost_run_that_gives_signs_of_life_is_not_started_beside_itself(
    prefect: Ask, stored: FactStore, lost: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"lost-{uuid4().hex[:8]}"
    line, now = load_line(write_line(tmp_path / "line.toml", name)), datetime.now(UTC)
    beat(prefect, lost, now - timedelta(minutes=2))
    with get_client(sync_client=True) as client:
        assert not gives_signs_of_life(client, lost, now, wait_s=0.0), "what it gave before says nothing"
    beat(prefect, lost, datetime.now(UTC))
    told: list[str] = []
    monkeypatch.setattr("flows.recover.say", told.append)
    assert take_up.fn(line, lost) == "Running"
    assert prefect("GET", f"/flow_runs/{lost}")["state"]["type"] == "RUNNING"
    assert "goes on: nothing to take up" in told[0]
    assert stored.find(Alert, line=name) == []
