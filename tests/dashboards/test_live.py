"""The dashboard of the running services in a real Chromium: what it shows is what the database holds."""

import signal
import time
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.dashboards.browser import PATIENCE_S, find_chromium, free_port, read_dashboard
from tests.flows.commands import run_fresh, start_fresh
from tests.flows.small import LineRun
from wafergate.adapters.embedded import StackState
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import ConfigError
from wafergate.ports import FactStore
from wafergate.settings import Settings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.services,
    pytest.mark.training,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (package chromium), found none on the path"),
]


def test_the_dashboard_shows_the_champion_and_the_recalls_of_the_database(
    services: StackState, stored: FactStore, line_run: LineRun
) -> None:
    address = next(service.address for service in services.services if service.name == "dashboard")
    shown = read_dashboard(f"http://{address}/?lang=en&line={line_run.name}")
    champion = stored.champion(line_run.name)
    assert champion is not None
    model = stored.get(ModelVersion, champion.model_id)
    judged = stored.get(Evaluation, stored.get(GateDecision, champion.decision_id).evaluation_id)
    assert shown["champion"] == f"{model.candidate.name} v{model.number}"
    assert shown["recalls"] == {item.defect_class: f"{item.recall.value:.3f}" for item in judged.classes}
    assert shown["found"] == {item.defect_class: (item.recall.hits, item.recall.trials) for item in judged.classes}


def test_the_command_says_where_the_dashboard_runs_and_serves_another_until_it_is_stopped(
    services: StackState, tmp_path: Path
) -> None:
    running = next(service.address for service in services.services if service.name == "dashboard")
    said = run_fresh("dashboard")
    assert said.out == f"http://{running}\n", said.err
    port = free_port()
    process = start_fresh("dashboard", "--port", str(port), log=tmp_path / "log.txt")
    try:
        assert _answers(f"http://127.0.0.1:{port}/_stcore/health")
        assert not psutil.Process(process.pid).children()  # a signal to it leaves nothing behind
    finally:
        process.terminate()
    assert process.wait(timeout=PATIENCE_S) == -signal.SIGTERM  # it closes what it serves, then ends as it was told
    assert (tmp_path / "log.txt").read_text().startswith(f"dashboard: http://127.0.0.1:{port} (Ctrl-C ends it)\n")


def _answers(address: str) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - of this test
                return bool(answer.read() == b"ok")
        except OSError:
            time.sleep(0.25)
    return False


@pytest.mark.parametrize(
    ("host", "told"), [("192.0.2.1", "whoever reaches 192.0.2.1 could look"), ("nowhere", "must be an IP address")]
)
def test_no_address_past_this_machine_is_served_without_sign_in_unless_asked(
    services: StackState, host: str, told: str
) -> None:
    del services
    refused = run_fresh("dashboard", "--port", "8600", "--host", host)
    assert refused.code == ConfigError.exit_code
    assert told in refused.sentence


def test_nothing_can_be_written_through_the_dashboards_connection(service_settings: Settings) -> None:
    address = service_settings.database_readonly_url.get_secret_value()
    with psycopg.connect(address, autocommit=True) as reader:
        reader.execute(
            "SET default_transaction_read_only = off"
        )  # what the role may do, whatever its sessions begin with
        found = reader.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        tried = [
            statement.format(table)
            for (table,) in found
            for statement in (
                'INSERT INTO "{}" DEFAULT VALUES',
                'DELETE FROM "{}"',
                'TRUNCATE "{}"',
                'DROP TABLE "{}"',
                'ALTER TABLE "{}" ADD more integer',
            )
        ]
        assert len(found) > 40
        for statement in (*tried, "CREATE TABLE more (id integer)", "CREATE TEMPORARY TABLE more (id integer)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
