"""What Today says is new: every kind of row since a moment, and what waits for a person."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dashboards.reading.changes import load_changes
from dashboards.texts import LANGUAGES, Text, literal
from dashboards.views.news import sentence_of
from tests.dashboards import stories
from tests.dashboards.stories import MORNING, PROVEN, Act, tell
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.drift import DriftVerdict
from wafergate.domain.gate import Champion, GateDecision, GatePolicy, LedgerKind, Verdict
from wafergate.domain.governor import GovernorDecision, GovernorPolicy, GovernorVerdict
from wafergate.ports import LedgerDraft

pytestmark = pytest.mark.unit
EARLY = MORNING - timedelta(days=1)


def test_only_what_happened_since_is_told_newest_first() -> None:
    facts = stories.failed()
    since = MORNING + timedelta(hours=20)
    rows = load_changes(facts, "die-a", since).rows
    assert {type(row).__name__ for row in rows} == {"GateDecision", "DatasetVersion", "Alert"}
    assert [row.created_at for row in rows] == sorted((row.created_at for row in rows), reverse=True)
    assert min(row.created_at for row in rows) >= since
    assert load_changes(facts, "die-a", MORNING + timedelta(days=9)).rows == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_change_is_a_sentence_in_every_language(language: str) -> None:
    facts = stories.hostile()
    act = Act(2, PROVEN, MORNING + timedelta(hours=2), source=stories.HOSTILE)
    tell(facts, act, promote=False)
    stories.drift(facts, act, DriftVerdict.DRIFTED)
    first = facts.find(GateDecision)[-1]
    back = Champion("die-a", first.model_id, first.id, "Kim", stories.HOSTILE, MORNING)
    facts.promote(back, kind=LedgerKind.ROLLED_BACK, details={})
    held = GovernorDecision(
        "governor-1", "die-a", "run-1", GovernorVerdict.HOLD, (), "", "", "Kim", GovernorPolicy(), MORNING
    )
    facts.save(held)
    changes, text = load_changes(facts, "die-a", EARLY), Text(language)
    kinds = {getattr(row, "kind", type(row).__name__) for row in changes.rows}
    assert kinds >= {"GateDecision", "DatasetVersion", "DriftReport", "GovernorDecision", "Alert"}
    assert kinds >= {LedgerKind.PROMOTED, LedgerKind.ROLLED_BACK}
    told = [sentence_of(row, changes, text) for row in changes.rows]
    assert all(literal(text.when(row.created_at)) in said for row, said in zip(changes.rows, told, strict=True))
    assert not [said for said in told if "<img" in said.replace(r"\<img", "")]


def test_a_promotion_is_told_however_much_else_the_ledger_holds_since() -> None:
    facts = stories.covered()
    for place in range(60):
        facts.append(LedgerDraft("die-a", LedgerKind.REVIEWED, f"review-{place}", "Kim", "week 12", {}))
    kinds = [getattr(row, "kind", None) for row in load_changes(facts, "die-a", EARLY).rows]
    assert kinds.count(LedgerKind.PROMOTED) == 1
    assert LedgerKind.REVIEWED not in kinds


def _passed(policy: GatePolicy) -> tuple[MemoryFacts, GateDecision]:
    facts = stories.empty()
    decision = tell(facts, Act(1, PROVEN, MORNING), promote=False)
    waiting = replace(decision, id="waiting", policy=policy, created_at=MORNING + timedelta(hours=1))
    facts.save(waiting)
    return facts, waiting


def test_what_passed_and_needs_a_person_waits_until_it_is_released() -> None:
    facts, waiting = _passed(GatePolicy(approval="approval"))
    assert [row.id for row in load_changes(facts, "die-a", EARLY).awaiting] == ["waiting"]
    since = MORNING + timedelta(hours=2)
    released = Champion("die-a", waiting.model_id, waiting.id, "Kim", "looked at it", since)
    facts.promote(released, kind=LedgerKind.PROMOTED, details={})
    assert load_changes(facts, "die-a", EARLY).awaiting == ()


def test_a_pass_that_the_gate_took_back_waits_for_nobody() -> None:
    facts, waiting = _passed(GatePolicy(approval="approval"))
    taken_back = replace(waiting, id="taken-back", verdict=Verdict.FAIL, created_at=MORNING + timedelta(hours=2))
    facts.save(taken_back)
    assert load_changes(facts, "die-a", EARLY).awaiting == ()


def test_the_champion_judged_anew_waits_for_nobody() -> None:
    facts, waiting = _passed(GatePolicy(approval="approval"))
    since = MORNING + timedelta(hours=2)
    facts.promote(
        Champion("die-a", waiting.model_id, waiting.id, "Kim", "looked at it", since),
        kind=LedgerKind.PROMOTED,
        details={},
    )
    facts.save(replace(waiting, id="again", created_at=since + timedelta(hours=1)))
    assert load_changes(facts, "die-a", EARLY).awaiting == ()


def test_what_promotes_by_itself_waits_for_nobody() -> None:
    facts, _ = _passed(GatePolicy(approval="auto"))
    assert load_changes(facts, "die-a", EARLY).awaiting == ()
