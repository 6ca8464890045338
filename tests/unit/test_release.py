"""Who may release a model, what a rerun may not undo, and what the ledger answers about a lot."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import rows
from tests.unit.small_line import parts_in
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.gate import GateDecision, GatePolicy, LedgerEntry, LedgerKind, Verdict
from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import InspectedImage, InspectionRun
from wafergate.domain.training_rows import TrainingEpoch
from wafergate.errors import ConfigError, NotFoundError, PromotionError, StorageError
from wafergate.jobs.ask import ask, verify
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import NextStep, champion_model, next_step, promote, rollback
from wafergate.line import parse_line
from wafergate.ports import LedgerDraft
from wafergate.stages.alerts import approval_alert

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
TWO_PERSONS = GatePolicy(approval="approval", approver_differs=True)


class Clock:
    """An hour on each time it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(tmp_path: Path, clock: Clock) -> Parts:
    made = parts_in(tmp_path, facts=MemoryFacts(clock=clock), clock=clock)
    for row in (rows.dataset("pcb"), rows.split("pcb"), rows.training_set("pcb")):
        made.facts.save(row)
    return made


def judged(
    parts: Parts,
    name: str,
    policy: GatePolicy = GatePolicy(),  # noqa: B008 - it is frozen
    *,
    actor: str = "kim",
    verdict: Verdict = Verdict.PASS,
    beside: str = "",
) -> str:
    """Save a model down to its gate decision, compared with the champion or another; return the decision's id."""
    onnx = parts.files.put(name.encode())
    model, evaluation = replace(rows.model("pcb", name), onnx=onnx), rows.evaluation("pcb", name)
    decision = replace(rows.decision("pcb", name, verdict), policy=policy, created_at=parts.clock())
    parts.facts.save(model)
    parts.facts.save(evaluation)
    other = beside or (champion(parts) or "").removeprefix("model-pcb-")
    if other:
        parts.facts.save(rows.comparison("pcb", name, other))
    details: Mapping[str, object] = {"model": model.id, "verdict": verdict.value, "line_file": digest_bytes(b"x")}
    told = LedgerDraft("pcb", LedgerKind.DECIDED, decision.id, actor, decision.summary, details)
    alerts = [approval_alert(decision, model, now=parts.clock())] if decision.awaits_approval else []
    parts.facts.save(decision, ledger=[told], alerts=alerts)
    return decision.id


def champion(parts: Parts) -> str | None:
    found = parts.facts.champion("pcb")
    return found.model_id if found else None


# Two persons


@pytest.mark.parametrize("name", ["kim", " Kim ", "KIM"])
def test_who_trained_cannot_release_where_the_line_wants_two_persons(parts: Parts, name: str) -> None:
    decision = judged(parts, "a", TWO_PERSONS)
    with pytest.raises(
        PromotionError, match=rf"trained by {name.strip()}.*somebody else runs `wafergate approve {decision}`"
    ):
        promote(parts, decision, actor=name, reason="hurry")
    assert champion(parts) is None
    assert [entry.kind for entry in parts.facts.ledger()] == [LedgerKind.DECIDED]
    assert promote(parts, decision, actor="lee", reason="lot A ok") == ("model-pcb-a", False)


def test_judging_the_same_model_again_under_another_name_does_not_help(parts: Parts) -> None:
    judged(parts, "a", TWO_PERSONS, actor="kim")
    again = replace(rows.decision("pcb", "a"), id="decision-again", policy=TWO_PERSONS)
    details = {"model": "model-pcb-a", "verdict": "pass"}
    parts.facts.save(again, ledger=[LedgerDraft("pcb", LedgerKind.DECIDED, again.id, "lee", "x", details)])
    for name in ("kim", "lee"):
        with pytest.raises(PromotionError, match="another"):
            promote(parts, again.id, actor=name, reason="x")
    promote(parts, again.id, actor="park", reason="x")


def test_a_pass_of_before_the_line_wanted_two_persons_releases_nothing(parts: Parts, clock: Clock) -> None:
    alone = judged(parts, "a", GatePolicy(approval="approval"))
    stricter = replace(
        rows.decision("pcb", "a"), id="decision-stricter", policy=TWO_PERSONS, created_at=clock.forward()
    )
    details = {"model": "model-pcb-a", "verdict": "pass"}
    parts.facts.save(stricter, ledger=[LedgerDraft("pcb", LedgerKind.DECIDED, stricter.id, "kim", "x", details)])
    with pytest.raises(PromotionError, match=f"{alone} no longer stands.*run `wafergate approve {stricter.id}`"):
        promote(parts, alone, actor="kim", reason="it passed once")
    with pytest.raises(PromotionError, match="another person"):
        promote(parts, stricter.id, actor="kim", reason="hurry")
    assert champion(parts) is None
    assert promote(parts, stricter.id, actor="lee", reason="lot A ok").id == "model-pcb-a"


def test_who_trained_a_part_counts_although_another_run_finished_it(parts: Parts) -> None:
    decision = judged(parts, "a", TWO_PERSONS, actor="lee")
    for model, actor in (("model-pcb-a", "Kim"), ("model-pcb-a", "lee"), ("model-pcb-b", "park")):
        parts.facts.save(TrainingEpoch(f"{model}-{actor}", model, 1, 8, 0.5, 2.0, None, parts.clock(), actor))
    for name in ("kim", "lee"):
        with pytest.raises(PromotionError, match="another"):
            promote(parts, decision, actor=name, reason="x")
    assert promote(parts, decision, actor="park", reason="x").id == "model-pcb-a"  # trained another model


def test_where_the_line_does_not_ask_for_two_persons_one_may_do_both(parts: Parts) -> None:
    promote(parts, judged(parts, "a", GatePolicy(approval="approval")), actor="kim", reason="x")
    assert champion(parts) == "model-pcb-a"


def test_going_back_is_open_to_everybody(parts: Parts) -> None:
    promote(parts, judged(parts, "a", TWO_PERSONS), actor="lee", reason="x")
    promote(parts, judged(parts, "b", TWO_PERSONS), actor="lee", reason="x")
    assert rollback(parts, "pcb", actor="kim", reason="escapes") == ("model-pcb-a", False)


def test_a_rerun_of_who_trained_the_champion_asks_for_no_other_person_and_settles_nothing_again(parts: Parts) -> None:
    decision = judged(parts, "a", TWO_PERSONS, actor="scheduler")
    promote(parts, decision, actor="lee", reason="x")
    assert next_step(parts, decision) is NextStep.PROMOTE
    assert promote(parts, decision, actor="scheduler", reason="the gate passed") == ("model-pcb-a", True)
    assert [alert.acknowledged_by for alert in parts.facts.find(Alert)] == ["lee"]


def test_two_persons_need_a_line_that_waits_for_one(tmp_path: Path) -> None:
    text = '[line]\nname = "pcb"\nclasses = ["spur"]\n[gate]\napprover_differs = true\n'
    with pytest.raises(ConfigError, match="approver_differs = true needs approval = 'approval'"):
        parse_line(text, tmp_path / "line.toml")


def test_the_alert_that_asks_for_a_release_is_settled_by_it(parts: Parts) -> None:
    decision = judged(parts, "a", TWO_PERSONS)
    assert [alert.subject for alert in parts.facts.waiting_alerts()] == [decision]
    promote(parts, decision, actor="lee", reason="x")
    (alert,) = parts.facts.find(Alert)
    assert (alert.state, alert.acknowledged_by) == (AlertState.ACKNOWLEDGED, "lee")


# What a rerun may not undo


def test_a_rerun_never_undoes_what_a_person_did_since(parts: Parts) -> None:
    first, second = judged(parts, "a"), judged(parts, "b", beside="a")
    for decision in (first, second):
        assert next_step(parts, decision) is NextStep.PROMOTE
        promote(parts, decision, actor="scheduler", reason="the gate passed")
    assert next_step(parts, second) is NextStep.PROMOTE  # it is champion: nothing is done twice
    rollback(parts, "pcb", actor="kim", reason="escapes in lot B")
    assert next_step(parts, second) is NextStep.STAY
    assert next_step(parts, first) is NextStep.PROMOTE
    promote(parts, second, actor="kim", reason="it was the lamp")
    assert champion(parts) == "model-pcb-b"


def test_a_release_that_waited_for_a_worker_never_undoes_what_a_person_did_since(parts: Parts, clock: Clock) -> None:
    promote(parts, judged(parts, "a"), actor="kim", reason="it passed")
    decision, asked = judged(parts, "b"), clock.forward()
    clock.forward()
    promote(parts, decision, actor="kim", reason="lot B ok")
    assert promote(parts, decision, actor="kim", reason="lot B ok", asked_at=asked).reused, "its own work"
    clock.forward()
    rollback(parts, "pcb", actor="kim", reason="escapes in lot B")
    with pytest.raises(PromotionError, match=f"after this was asked for.*`wafergate approve {decision}` again"):
        promote(parts, decision, actor="kim", reason="lot B ok", asked_at=asked)
    assert champion(parts) == "model-pcb-a"
    assert promote(parts, decision, actor="kim", reason="lot C ok", asked_at=clock.forward()).id == "model-pcb-b"


def test_nor_does_it_under_another_decision_on_the_same_model(parts: Parts, clock: Clock) -> None:
    promote(parts, judged(parts, "a"), actor="scheduler", reason="the gate passed")
    second = judged(parts, "b")
    promote(parts, second, actor="scheduler", reason="the gate passed")
    clock.forward()
    parts.facts.save(replace(rows.decision("pcb", "b"), id="decision-more-looks", created_at=clock.now))
    assert next_step(parts, "decision-more-looks") is NextStep.PROMOTE  # its model is champion: nothing is done twice
    assert promote(parts, "decision-more-looks", actor="scheduler", reason="again") == ("model-pcb-b", True)
    rollback(parts, "pcb", actor="kim", reason="escapes in lot B")
    assert next_step(parts, "decision-more-looks") is NextStep.STAY
    waits = replace(rows.decision("pcb", "b"), id="decision-waits", policy=GatePolicy(approval="approval"))
    parts.facts.save(waits)
    assert next_step(parts, "decision-waits") is NextStep.STAY


def test_a_wait_for_a_model_that_is_champion_already_is_settled_by_its_release(parts: Parts) -> None:
    promote(parts, judged(parts, "a"), actor="kim", reason="x")
    waits = replace(rows.decision("pcb", "a"), id="decision-waits", policy=GatePolicy(approval="approval"))
    parts.facts.save(waits, alerts=[approval_alert(waits, rows.model("pcb", "a"), now=parts.clock())])
    assert promote(parts, waits.id, actor="lee", reason="x") == ("model-pcb-a", True)
    assert parts.facts.waiting_alerts() == []


def test_of_two_models_that_wait_only_the_one_compared_with_the_champion_is_released(parts: Parts) -> None:
    promote(parts, judged(parts, "a"), actor="kim", reason="x")
    waiting = [judged(parts, name, GatePolicy(approval="approval")) for name in ("b", "c")]
    promote(parts, waiting[0], actor="lee", reason="better")
    with pytest.raises(PromotionError, match="never compared model-pcb-c with model-pcb-b"):
        promote(parts, waiting[1], actor="lee", reason="better still")
    assert champion(parts) == "model-pcb-b"


def test_only_a_pass_is_followed_by_anything(parts: Parts) -> None:
    assert next_step(parts, judged(parts, "a", verdict=Verdict.FAIL)) is NextStep.STAY
    assert next_step(parts, judged(parts, "b", verdict=Verdict.UNDECIDED)) is NextStep.STAY
    assert next_step(parts, judged(parts, "c", GatePolicy(approval="approval"))) is NextStep.AWAIT_APPROVAL


# No way past the gate


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNDECIDED])
def test_no_job_selects_a_model_that_did_not_pass(parts: Parts, verdict: Verdict) -> None:
    promote(parts, judged(parts, "a"), actor="kim", reason="x")
    decision = judged(parts, "b", verdict=verdict)
    with pytest.raises(PromotionError, match="only a pass promotes"):
        promote(parts, decision, actor="kim", reason="x")
    for name in ("model-pcb-b", "2"):
        with pytest.raises(PromotionError, match="as an earlier champion"):
            rollback(parts, "pcb", actor="kim", reason="x", model_id=name)
    assert champion_model(parts, "pcb").id == "model-pcb-a"


def test_rollback_by_number_and_never_to_a_file_that_was_changed(parts: Parts) -> None:
    for name in ("a", "b", "c"):
        promote(parts, judged(parts, name), actor="kim", reason="x")
    assert rollback(parts, "pcb", actor="kim", reason="x", model_id="1") == ("model-pcb-a", False)
    parts.files._files[digest_bytes(b"b")] = b"another model"  # type: ignore[attr-defined]
    with pytest.raises(StorageError):
        rollback(parts, "pcb", actor="kim", reason="x", model_id="2")
    assert champion(parts) == "model-pcb-a"


# The ledger answers


def inspected(parts: Parts, key: str, model: str, lots: Mapping[str, int]) -> None:
    """Save an inspection run; `lots` gives the images of each lot, the first of which is defective."""
    run = InspectionRun(f"run-{key}", "pcb", model, "folder", sum(lots.values()), 1, {}, 0, parts.clock())
    found = (("scratch", 0.9, 0.0, 0.0, 4.0, 4.0),)
    images = [
        InspectedImage(
            run_id=run.id,
            position=100 * place + number,
            line="pcb",
            model_id=model,
            name=f"{lot}-{number}",
            image="ab" * 32,
            captured_at=run.created_at,
            lot=lot,
            detections=found if number == 0 else (),
        )
        for place, (lot, images) in enumerate(lots.items())
        for number in range(images)
    ]
    parts.inspections.save(run, images)


def story(parts: Parts, clock: Clock) -> None:
    """Model a from 9:00, lots 1 and 2 at 10:00, model b from 11:00, lot 2 again at 12:00, back to a at 13:00."""
    first, second = judged(parts, "a"), judged(parts, "b", actor="kim", beside="a")
    clock.forward()
    promote(parts, first, actor="lee", reason="lot 0 ok")
    clock.forward()
    inspected(parts, "1", "model-pcb-a", {"L1": 3, "L2": 2})
    clock.forward()
    promote(parts, second, actor="park", reason="better")
    clock.forward()
    inspected(parts, "2", "model-pcb-b", {"L2": 4})
    clock.forward()
    rollback(parts, "pcb", actor="choi", reason="escapes")
    clock.forward()


def at(hour: int) -> datetime:
    return START.replace(hour=hour, minute=30)


def test_a_lot_that_was_inspected_is_answered_by_the_newest_inspection_up_to_then(parts: Parts, clock: Clock) -> None:
    story(parts, clock)
    early = ask(parts, line="pcb", lot="L2", at=at(10))
    assert (early.model.id, early.release.actor, early.until) == ("model-pcb-a", "lee", START.replace(hour=11))
    assert [(item.run.id, item.images, item.defective) for item in early.runs] == [("run-1", 2, 1)]
    assert [item.run.id for item in early.later] == ["run-2"]
    late = ask(parts, line="pcb", lot="L2", at=at(13))  # another model is champion by then
    assert (late.model.id, late.release.actor, late.decision.id) == ("model-pcb-b", "park", "decision-pcb-b")
    assert [item.run.id for item in late.runs] == ["run-2", "run-1"]
    assert (late.evaluation.id, late.dataset.id) == ("evaluation-pcb-b", "data-pcb")


def test_a_lot_without_inspection_is_answered_by_the_champion_of_that_time(parts: Parts, clock: Clock) -> None:
    story(parts, clock)
    by_hour = {hour: ask(parts, line="pcb", lot="L9", at=at(hour)) for hour in (9, 11, 13)}
    assert {hour: answer.model.id for hour, answer in by_hour.items()} == {
        9: "model-pcb-a", 11: "model-pcb-b", 13: "model-pcb-a",
    }  # fmt: skip
    assert not any(answer.runs for answer in by_hour.values())
    brought_back = by_hour[13]
    assert (brought_back.change.actor, brought_back.release.actor, brought_back.until) == ("choi", "lee", None)


def test_before_the_first_champion_nothing_judged(parts: Parts, clock: Clock) -> None:
    story(parts, clock)
    with pytest.raises(
        NotFoundError, match=r"had no champion at 2026-03-01 08:30 UTC.*first champion came 2026-03-01 09:00"
    ):
        ask(parts, line="pcb", lot="L1", at=at(8))
    with pytest.raises(NotFoundError, match="line 'other' had no champion"):
        ask(parts, line="other", lot="L1", at=at(12))


def test_a_ledger_whose_end_was_cut_off_or_whose_champion_was_exchanged_does_not_hold(
    parts: Parts, clock: Clock
) -> None:
    story(parts, clock)
    assert verify(parts) == (5, [])
    entries = parts.facts._rows[LedgerEntry]  # type: ignore[attr-defined]
    last = entries.pop((5,))
    assert verify(parts)[1] == [
        "line 'pcb': the ledger's last change and the champion differ, so one of them was changed by hand"
    ]
    entries[(5,)] = last
    del entries[(2,)]
    assert "broken at entry 3" in verify(parts)[1][0]


def test_every_decision_knows_whether_it_waits() -> None:
    judged_by = {verdict: rows.decision("pcb", "a", verdict) for verdict in Verdict}
    waiting: list[GateDecision] = [
        item
        for row in judged_by.values()
        for item in (row, replace(row, policy=GatePolicy(approval="approval")))
        if item.awaits_approval
    ]
    assert waiting == [replace(judged_by[Verdict.PASS], policy=GatePolicy(approval="approval"))]
