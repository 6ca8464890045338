"""Prefect's API, as a server on the loopback answers it: filters asked, rows translated, and no wait without an end."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from wafergate.adapters.prefect_api import PrefectRuns
from wafergate.errors import ServiceError

pytestmark = pytest.mark.unit

RUN = {
    "id": "r1",
    "flow_id": "f1",
    "deployment_id": "d1",
    "name": "retrain pcb",
    "state_name": "Failed",
    "state_type": "FAILED",
    "state": {"message": "recall of bridge"},
    "expected_start_time": "2026-03-09T06:00:00Z",
    "start_time": "2026-03-09T06:00:02Z",
    "created": "2026-03-09T05:00:00Z",
    "estimated_run_time": 71.5,
    "total_run_time": 71.5,
}
DEPLOYMENT = {
    "id": "d1",
    "flow_id": "f1",
    "name": "pcb",
    "paused": False,
    "schedules": [
        {"active": True, "schedule": {"cron": "0 3 * * 1", "timezone": "Asia/Seoul"}},
        {"active": False, "schedule": {"cron": "0 4 * * 1", "timezone": "UTC"}},
    ],
}


class Server(ThreadingHTTPServer):
    """Answers each path with what is put under it, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body))
        answer = self.server.answers.get(self.path, [])
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def reader(server: Server) -> PrefectRuns:
    return PrefectRuns(server.url, "http://ui.example/")


def test_a_run_is_told_with_its_flow_state_duration_and_page(server: Server) -> None:
    server.answers = {"/api/flow_runs/filter": [RUN], "/api/flows/filter": [{"id": "f1", "name": "retrain"}]}
    (run,) = reader(server).runs("pcb", flows=["retrain"], known=["r1"], limit=5)
    assert (run.flow, run.state, run.kind, run.message) == ("retrain", "Failed", "FAILED", "recall of bridge")
    assert (run.seconds, run.address) == (71.5, "http://ui.example/runs/flow-run/r1")
    assert (run.planned_at.isoformat(), run.started_at and run.started_at.second) == ("2026-03-09T06:00:00+00:00", 2)


def test_runs_of_the_line_are_asked_by_its_tag_and_those_of_persons_by_their_ids(server: Server) -> None:
    reader(server).runs("pcb", flows=["retrain"], known=["b", "a"], limit=5)
    tagged, known = (body["flow_runs"] for path, body in server.asked if path == "/api/flow_runs/filter")
    assert tagged == {"tags": {"all_": ["pcb"]}, "state": {"type": {"not_any_": ["SCHEDULED"]}}}
    assert known == {"id": {"any_": ["a", "b"]}}


def test_what_runs_next_comes_first_and_a_schedule_that_is_off_is_left_out(server: Server) -> None:
    other = DEPLOYMENT | {"id": "d2", "schedules": [], "name": "pcb"}
    server.answers = {
        "/api/deployments/filter": [other, DEPLOYMENT],
        "/api/flow_runs/filter": [RUN, RUN | {"expected_start_time": "2026-03-16T06:00:00Z"}],
        "/api/flows/filter": [{"id": "f1", "name": "retrain"}],
    }
    first, second = reader(server).planned("pcb")
    assert (first.crons, first.next_at and first.next_at.day) == (("0 3 * * 1 (Asia/Seoul)",), 9)
    assert (second.crons, second.next_at) == ((), None)


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [(503, [], "answers 503"), (200, {"detail": "no"}, "answers 200"), (200, b"<html>", "something else than JSON")],
)
def test_what_is_no_answer_is_told_in_one_sentence(server: Server, status: int, answer: Any, said: str) -> None:
    server.status, server.answers = status, {"/api/flows/filter": answer}
    with pytest.raises(ServiceError, match=said):
        reader(server).flows()


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(ServiceError, match="does not answer: run `wafergate up`"):
        PrefectRuns("http://127.0.0.1:9/api", "").flows()
    assert time.monotonic() - begun < 3
    with pytest.raises(ServiceError, match="set PREFECT_API_URL"):
        PrefectRuns("", "").flows()
