"""The real services, started once for the whole session, and one small line that is retrained on them."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3
from hypothesis import HealthCheck
from hypothesis import settings as property_settings

from tests.flows.commands import CONSOLE_SILENT, ForkedCommands
from tests.flows.small import LineRun, retrained, write_line
from wafergate import wiring
from wafergate.adapters.embedded import StackState
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections
from wafergate.adapters.postgres.tables import KINDS
from wafergate.ports import FactStore, InspectionStore
from wafergate.sample.generate import Batch, write_sample
from wafergate.settings import Settings

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# a busy machine is slow, and no property is about time
property_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
property_settings.load_profile("untimed")


@pytest.fixture(scope="session")
def services() -> Iterator[StackState]:
    """PostgreSQL, S3, Prefect, a worker and the dashboard on ports of their own, in a folder of their own."""
    home = Path(tempfile.mkdtemp(prefix="wafergate-test-"))
    before = os.environ.get("WAFERGATE_HOME")
    os.environ["WAFERGATE_HOME"] = str(home)
    try:
        state = wiring.start_services(lambda _part, _message: None)
        wiring.point_prefect(wiring.settings())
        yield state
    finally:
        wiring.stop_services(lambda _part, _message: None)
        shutil.rmtree(home, ignore_errors=True)
        if before is None:
            del os.environ["WAFERGATE_HOME"]
        else:
            os.environ["WAFERGATE_HOME"] = before


@pytest.fixture(scope="session")
def service_settings(services: StackState) -> Settings:
    """Where the session's services are."""
    del services
    return wiring.settings()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real image sets beside the checkout."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real image sets are not there: {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def stored(service_settings: Settings) -> Iterator[FactStore]:
    """The fact store of the session's services."""
    store = PostgresFacts(service_settings.database_url.get_secret_value(), clock=wiring.now)
    yield store
    store.close()


@pytest.fixture(scope="session")
def inspections(service_settings: Settings) -> Iterator[InspectionStore]:
    """The inspections of the session's services."""
    store = PostgresInspections(
        service_settings.database_url.get_secret_value(),
        clock=wiring.now,
        owner=service_settings.database_admin_url.get_secret_value(),
    )
    yield store
    store.close()


@pytest.fixture(scope="session")
def count_rows(service_settings: Settings) -> Callable[[], dict[str, int]]:
    """Return a function that counts the rows of every table."""
    tables = [name for name, _, _ in KINDS.values()]
    tables += [
        "inspected_image",
        "inspected_before",
        "detection",
        "inspection_day",
        "inspection_lot",
        "inspection_month",
    ]

    def count() -> dict[str, int]:
        with psycopg.connect(service_settings.database_url.get_secret_value()) as connection:
            found = {name: connection.execute(f'SELECT count(*) FROM "{name}"') for name in tables}  # noqa: S608
            return {name: sum(row[0] for row in cursor) for name, cursor in found.items()}

    return count


@pytest.fixture(scope="session")
def prefect(service_settings: Settings) -> Callable[..., Any]:
    """Ask Prefect's API something."""

    def ask(method: str, path: str, body: object = None) -> Any:
        answer = urllib3.request(method, f"{service_settings.prefect_api_url}{path}", json=body)
        assert answer.status < 300, answer.data
        return answer.json() if answer.data else None

    return ask


@pytest.fixture(scope="session")
def wafergate(service_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    """The command line, with the services in its environment."""
    before = dict(os.environ)
    os.environ.update(CONSOLE_SILENT | {"PREFECT_API_URL": service_settings.prefect_api_url, "OMP_NUM_THREADS": "1"})
    yield ForkedCommands(tmp_path_factory.mktemp("said"))
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred drawn dies, each beside its golden reference, as a COCO export."""
    folder = tmp_path_factory.mktemp("source")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 22)
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=12, lots=12),), size=96)
    return folder


@pytest.fixture(scope="session")
def line_run(
    wafergate: ForkedCommands, stored: FactStore, small_source: Path, tmp_path_factory: pytest.TempPathFactory
) -> LineRun:
    """The whole thread on a small line, run once through the command line."""
    line = write_line(tmp_path_factory.mktemp("line") / "small.toml", "small")
    return retrained(wafergate, stored, line, small_source)
