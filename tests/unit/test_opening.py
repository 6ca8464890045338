"""How a run begins and how its failure is told, whatever became of its line file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import runtime
from prefect.client.schemas.objects import FlowRun as PrefectRun
from prefect.context import FlowRunContext
from prefect.states import Failed

from flows import opening
from flows.alerts import alerts
from flows.release import release
from flows.watch import watch
from tests import rows
from tests.flows.small import write_line
from tests.unit.small_line import parts_in
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.runs import FlowRun, LineFileVersion
from wafergate.errors import ConfigError
from wafergate.jobs.parts import Parts
from wafergate.line import load_line
from wafergate.ports import AlertChannel

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
TAGS = ["wafergate", "pcb"]


class Channels:
    """What went out, and of which addresses."""

    def __init__(self) -> None:
        self.sent: list[tuple[tuple[str, ...], str]] = []

    def __call__(self, line: Any) -> AlertChannel:
        def channel(title: str, body: str, attachments: Any = (), *, taken: Any = ()) -> None:
            del body, attachments, taken
            self.sent.append((line.alerts.channels, title))

        return channel


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = parts_in(tmp_path)
    monkeypatch.setattr(opening, "open_parts", lambda: made)
    return made


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> Channels:
    made = Channels()
    monkeypatch.setattr(opening, "alert_channel", made)
    return made


@pytest.fixture
def line(tmp_path: Path, parts: Parts) -> Path:
    """A line file that ran twice, with another address each time, beside that of another line."""
    path = tmp_path / "pcb.toml"
    for place, name in enumerate(("pcb", "pcb", "other")):
        write_line(path, name, channels=[f"json://receiver-{place}"])
        found = load_line(path)
        at = NOW + timedelta(hours=place)
        parts.facts.save(LineFileVersion(found.digest, name, found.text, at))
        parts.facts.save(FlowRun(f"run-{place}", "watch", name, found.digest, {}, at))
    return path


@pytest.mark.parametrize("broken", [True, False], ids=["broken", "gone"])
def test_a_run_whose_line_file_cannot_be_read_is_told_where_the_line_told_its_alerts_last(
    parts: Parts, channels: Channels, line: Path, broken: bool
) -> None:
    if broken:
        line.write_text("[line", encoding="utf-8")
    else:
        line.unlink()
    run = PrefectRun(id=uuid4(), flow_id=uuid4(), parameters={"line": str(line)}, tags=TAGS)
    state: Any = Failed(message=f"{opening.FAILED}ConfigError: it is broken")
    opening.tell_failure(watch, run, state)
    (alert,) = parts.facts.find(Alert, line="pcb")
    assert (alert.subject, alert.state) == (str(run.id), AlertState.SENT)
    assert channels.sent == [(("json://receiver-1",), "pcb: watch failed: ConfigError: it is broken")]


def test_a_line_file_that_cannot_be_read_and_was_never_kept_is_an_error(parts: Parts, line: Path) -> None:
    line.unlink()
    with pytest.raises(ConfigError, match="there is no line file"):
        opening.line_or_last(parts, str(line), [])


def test_what_waits_is_sent_whatever_became_of_the_line_file(
    parts: Parts, line: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.write_text("[line", encoding="utf-8")
    sent: list[str] = []
    monkeypatch.setattr("flows.alerts.open_parts", lambda: parts)
    monkeypatch.setattr("flows.alerts.send_alerts", lambda found: sent.append(found.name))
    monkeypatch.setitem(runtime.flow_run.FIELDS, "tags", lambda: TAGS)
    alerts.fn(str(line))
    assert sent == ["pcb"]


def test_a_run_begins_again_where_a_service_is_away_for_a_moment() -> None:
    assert opening.begin.retries == 2
    assert opening.begin.retry_condition_fn is opening.is_transient


def test_a_release_knows_when_it_was_asked_for_however_late_a_worker_begins_it(
    parts: Parts, line: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.facts.save_all([rows.dataset("other"), rows.split("other"), rows.training_set("other")])
    parts.facts.save(rows.model("other", "a"))
    parts.facts.save(rows.evaluation("other", "a"))
    parts.facts.save(decision := rows.decision("other", "a"))
    asked: list[object] = []
    monkeypatch.setattr("flows.release.open_parts", lambda: parts)
    monkeypatch.setattr("flows.release.begin", lambda *_: load_line(line))
    monkeypatch.setattr("flows.release.promote", lambda *given: asked.append(given[-1]))
    with FlowRunContext.model_construct(flow_run=PrefectRun(flow_id=uuid4(), created=NOW)):
        release.fn(str(line), "kim", "lot A ok", decision.id)
    assert asked == [NOW]
