"""Nothing but a pass judges a line, whatever command is tried; and a release runs where the line is deployed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import urllib3

from tests import rows
from tests.flows.commands import ForkedCommands
from tests.flows.small import write_line
from wafergate import wiring
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.gate import Champion, GateDecision, GatePolicy, LedgerKind, Verdict
from wafergate.domain.inspection import InspectionRun
from wafergate.domain.runs import FlowRun
from wafergate.domain.training_rows import TrainingEpoch
from wafergate.errors import LicenceError, NotFoundError, PromotionError
from wafergate.ports import FactStore
from wafergate.settings import Settings
from wafergate.stages.alerts import approval_alert

pytestmark = pytest.mark.services

WORDS = ("--as", "lee", "--reason", "hurry")


def judged(
    stored: FactStore,
    line: str,
    name: str,
    verdict: Verdict = Verdict.PASS,
    policy: GatePolicy = GatePolicy(),  # noqa: B008 - it is frozen
) -> GateDecision:
    """Store a model with an exported file down to its gate decision."""
    for row in (rows.dataset(line), rows.split(line), rows.training_set(line)):
        stored.save(row)
    model = replace(rows.model(line, name), onnx=wiring.open_parts().files.put(f"{line} {name}".encode()))
    decision = replace(rows.decision(line, name, verdict), policy=policy, created_at=wiring.now())
    stored.save(model)
    stored.save(rows.evaluation(line, name))
    alerts = [approval_alert(decision, model, now=wiring.now())] if decision.awaits_approval else []
    stored.save(decision, alerts=alerts)
    return decision


@pytest.fixture(scope="module")
def images(small_source: Path) -> str:
    return str(small_source / "images")


@pytest.fixture
def held_back(stored: FactStore) -> Iterator[tuple[str, list[GateDecision]]]:
    """A line without champion whose two models failed and are undecided."""
    line = f"gated-{uuid4().hex[:8]}"
    yield line, [judged(stored, line, "failed", Verdict.FAIL), judged(stored, line, "open", Verdict.UNDECIDED)]
    assert stored.champion(line) is None
    assert [entry for entry in stored.ledger(line) if entry.kind is not LedgerKind.ACKNOWLEDGED] == []
    assert stored.find(InspectionRun, line=line) == []


@pytest.mark.parametrize("place", [0, 1], ids=["fail", "undecided"])
def test_no_release_command_selects_a_model_that_did_not_pass(
    wafergate: ForkedCommands, held_back: tuple[str, list[GateDecision]], tmp_path: Path, place: int
) -> None:
    name, decisions = held_back
    decision = decisions[place]
    line = ("--line", str(write_line(tmp_path / "gated.toml", name)))
    for command, told in (
        (("approve", decision.id, *line), "only a pass promotes"),
        (("release", *line, "--decision", decision.id), "only a pass promotes"),
        (("release", *line, "--to", decision.model_id), "as an earlier champion"),
        (("release", *line, "--to", "previous"), "an earlier champion"),
        (("rollback", *line, "--to", decision.model_id), "as an earlier champion"),
        (("rollback", *line, "--to", str(place + 1)), "as an earlier champion"),
        (("rollback", *line), "an earlier champion"),
    ):
        said = wafergate(*command, *WORDS)
        assert said.code == PromotionError.exit_code, (command, said)
        assert told in said.sentence


def test_no_command_that_reads_images_takes_a_model_that_did_not_pass(
    wafergate: ForkedCommands, held_back: tuple[str, list[GateDecision]], images: str, tmp_path: Path
) -> None:
    options = ("--line", str(write_line(tmp_path / "gated.toml", held_back[0])), "--source", images)
    said = wafergate("inspect", *options)
    assert said.code == PromotionError.exit_code, said
    assert "only a promoted model inspects" in said.sentence
    # It only compares images, and names what it compared with; the fixture sees that nothing was promoted or inspected.
    wafergate("watch", *options, "--limit", "2")


def test_a_champion_is_not_exchanged_for_a_newer_model_that_did_not_pass(
    wafergate: ForkedCommands, stored: FactStore, service_settings: Settings, tmp_path: Path
) -> None:
    name = f"gated-{uuid4().hex[:8]}"
    first, failed = judged(stored, name, "first"), judged(stored, name, "failed", Verdict.FAIL)
    crown = Champion(name, first.model_id, first.id, "kim", "it passed", wiring.now())
    stored.promote(crown, kind=LedgerKind.PROMOTED, details={})
    line = ("--line", str(write_line(tmp_path / "gated.toml", name)))
    for command in (
        ("approve", failed.id, *line),
        ("rollback", *line, "--to", failed.model_id),
        ("rollback", *line, "--to", "2"),
    ):
        assert wafergate(*command, *WORDS).code == PromotionError.exit_code, command
    with psycopg.connect(service_settings.database_url.get_secret_value(), autocommit=True) as connection:
        change = "UPDATE champion SET model_id = %s, decision_id = %s WHERE line = %s"
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(change, [failed.model_id, failed.id, name])
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(change, [failed.model_id, first.id, name])  # the pass of another model
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE gate_decision SET verdict = 'pass' WHERE id = %s", [failed.id])
    assert stored.champion(name) == crown
    assert [entry.kind for entry in stored.ledger(name)] == [LedgerKind.PROMOTED]


def test_what_passed_is_not_released_once_its_licences_are_no_longer_allowed(
    wafergate: ForkedCommands, stored: FactStore, tmp_path: Path
) -> None:
    name = f"gated-{uuid4().hex[:8]}"
    first, second = judged(stored, name, "first"), judged(stored, name, "second")
    stored.save_all([rows.comparison(name, "second", "first"), rows.comparison(name, "first", "second")])
    for decision in (first, second):
        crown = Champion(name, decision.model_id, decision.id, "kim", "it passed", wiring.now())
        stored.promote(crown, kind=LedgerKind.PROMOTED, details={})
    ended = '[licences.exceptions]\n"MIT" = { who = "Kim", why = "on trial", until = 2026-01-31 }'
    more = f'[licences]\nallowed = ["CC0-1.0"]\n{ended}'
    line = ("--line", str(write_line(tmp_path / "gated.toml", name, more=more)))
    for command in (
        ("approve", first.id, *line),
        ("release", *line, "--decision", first.id),
        ("rollback", *line),
        ("rollback", *line, "--to", first.model_id),
    ):
        said = wafergate(*command, *WORDS)
        assert said.code == LicenceError.exit_code, (command, said)
        assert "may not be released" in said.sentence
    champion = stored.champion(name)
    assert champion is not None
    assert champion.model_id == second.model_id


def test_a_deployed_line_is_released_by_its_worker_which_settles_the_alert(
    wafergate: ForkedCommands, stored: FactStore, service_settings: Settings, tmp_path: Path
) -> None:
    name = f"gated-{uuid4().hex[:8]}"
    line = write_line(tmp_path / "gated.toml", name, approval="approval")
    two_persons = GatePolicy(approval="approval", approver_differs=True)
    decision = judged(stored, name, "first", policy=two_persons)
    stored.save(TrainingEpoch(f"epoch-{name}", decision.model_id, 1, 8, 0.5, 2.0, None, wiring.now(), "kim"))
    assert wafergate("deploy", "--line", str(line)).code == 0
    own = wafergate("approve", decision.id, "--as", "Kim", "--reason", "lot A ok")
    assert own.code == PromotionError.exit_code
    assert "another person to release it" in own.sentence
    (asked,) = stored.find(Alert, line=name, cause="approval")
    assert asked.state is AlertState.WAITING
    said = wafergate("approve", decision.id, "--as", "lee", "--reason", "lot A ok")
    assert said.code == 0, said.err
    champion = stored.champion(name)
    assert champion is not None
    assert (champion.model_id, champion.actor, champion.reason) == (decision.model_id, "lee", "lot A ok")
    (run,) = stored.find(FlowRun, line=name, flow="release")
    assert run.parameters == {"decision": decision.id, "rollback_to": "", "actor": "lee"}
    told = urllib3.request("GET", f"{service_settings.prefect_api_url}/flow_runs/{run.id}").json()
    assert told["state_type"] == "COMPLETED"
    assert told["deployment_id"] is not None  # the deployment ran it, not this command
    settled = stored.get(Alert, asked.id)
    assert (settled.state, settled.acknowledged_by) == (AlertState.ACKNOWLEDGED, "lee")
    assert wafergate("approve", "decision-none", *WORDS).code == NotFoundError.exit_code
