"""The secret of a channel's address, over a channel that fails and one that works, is found nowhere afterwards."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from tests.flows.commands import ForkedCommands, Said, run_fresh
from tests.flows.small import write_line
from wafergate import wiring
from wafergate.domain.alerts import Alert, AlertState
from wafergate.errors import AlertError, NotFoundError
from wafergate.ports import FactStore
from wafergate.settings import OFFER_NAME, Settings

pytestmark = pytest.mark.services

SECRET = "hush-4c71e09b"
TALKATIVE = {
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "apprise,urllib3,requests,asyncio,wafergate",
}


@contextmanager
def receiver() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Take alerts on the loopback."""
    taken: list[dict[str, Any]] = []

    class Inbox(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append({"path": self.path} | json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, taken
    finally:
        server.shutdown()
        server.server_close()


def told(url: str) -> Iterator[str]:
    """Yield every row of every table of a database as text."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (name,) in names:
            for (row,) in connection.execute(f"SELECT t::text FROM {name} t"):  # noqa: S608
                yield str(row)


def databases(values: Settings) -> tuple[str, ...]:
    """Return the addresses of the product's own database and of Prefect's."""
    state = json.loads((wiring.home() / OFFER_NAME).read_text())
    admin = values.database_admin_url.get_secret_value()
    host = admin.rpartition("@")[2].partition("/")[0]
    return admin, f"postgresql://prefect:{state['secrets']['prefect']}@{host}/prefect"


def logs() -> Iterator[str]:
    for path in wiring.home().rglob("*"):
        if path.is_file() and path.suffix in {".log", ".txt", ".json", ".toml"}:
            yield path.read_text(errors="replace")


def test_a_secret_in_an_address_is_nowhere_after_a_failure_and_a_success(
    wafergate: ForkedCommands, stored: FactStore, service_settings: Settings, tmp_path: Path
) -> None:
    line = write_line(tmp_path / "hush.toml", "hush", channels=["env:HUSH"])
    said: list[Said] = []
    with receiver() as (port, taken):
        down = {"HUSH": f"json://me:{SECRET}@127.0.0.1:9/{SECRET}"}
        up = {
            "HUSH": f"json://127.0.0.1:{port}/{SECRET}",
            "WAFERGATE_ALERT_URLS": f"json://127.0.0.1:{port}/second/{SECRET}",
        }
        failing = ("watch", "--line", str(line), "--source", str(tmp_path))
        said.append(run_fresh(*failing, **down, **TALKATIVE))
        assert said[-1].code == NotFoundError.exit_code, said[-1].err
        (alert,) = stored.find(Alert, line="hush")
        assert (alert.state, alert.attempts) == (AlertState.WAITING, 1)
        said.append(run_fresh("alerts", "send", "--line", str(line), **down, **TALKATIVE))
        assert said[-1].code == AlertError.exit_code
        said.append(run_fresh("alerts", "send", "--line", str(line), **up, **TALKATIVE))
        assert said[-1].out == "1 sent, 0 waiting\n", said[-1].err
        said.append(wafergate("alerts", "list", "--line", "hush"))
        assert [item["path"] for item in taken] == [f"/{SECRET}", f"/second/{SECRET}"]
    assert all(SECRET not in item.out + item.err for item in said)
    found = [row for url in databases(service_settings) for row in told(url)]
    assert any("hush" in row for row in found)  # the search itself works
    assert not [row for row in found if SECRET in row]
    assert not [text for text in logs() if SECRET in text]
    assert SECRET not in os.environ.values()
