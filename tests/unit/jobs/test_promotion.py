"""What may become champion, and the way back."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.unit.jobs.dies import Files, champions, rule
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import BlindTrainer, ContrastTrainer, Thread, line_of, parts_in, run_thread
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, LedgerKind, Verdict, broken_links
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side, SplitMember
from wafergate.domain.training_rows import TrainingItem, TrainingSet
from wafergate.errors import PromotionError, StorageError, ValidationFailedError
from wafergate.jobs.decide import decide
from wafergate.jobs.evaluate import evaluate
from wafergate.jobs.inspect_lot import inspect_lot
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import promote, rollback
from wafergate.jobs.taxonomy import propose, sign
from wafergate.jobs.train import train
from wafergate.jobs.validate import validate

pytestmark = pytest.mark.unit


def defective_test_image(parts: Parts, thread: Thread) -> Sample:
    members = parts.facts.find(SplitMember, split_id=thread.split.id, side=Side.TEST.value)
    names = {member.name for member in members}
    return next(s for s in parts.facts.find(Sample, dataset_id=thread.dataset.id) if s.name in names and s.boxes)


@pytest.mark.parametrize(
    ("trainer", "change", "verdict"),
    [
        (ContrastTrainer(), {"recall": "recall = 0.95"}, Verdict.UNDECIDED),
        (BlindTrainer(), {}, Verdict.FAIL),
    ],
)
def test_a_model_that_does_not_pass_is_told_once_and_never_promoted(
    files: Files, tmp_path: Path, trainer: ContrastTrainer, change: dict[str, str], verdict: Verdict
) -> None:
    parts = parts_in(tmp_path, trainer=trainer)
    for _ in range(2):
        thread = run_thread(parts, line_of(**change), MemorySource(files))
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert decision.verdict is verdict
    (entry,), (alert,) = parts.facts.ledger(), parts.facts.find(Alert)
    assert (entry.kind, entry.subject, entry.actor, entry.details["verdict"]) == (
        LedgerKind.DECIDED, decision.id, "kim", verdict.value,
    )  # fmt: skip
    assert (alert.subject, alert.state) == (decision.id, AlertState.WAITING)
    with pytest.raises(PromotionError, match=f"only a pass promotes; the gate said {verdict.value}"):
        promote(parts, decision.id, actor="kim", reason="hurry")
    with pytest.raises(PromotionError, match=f"has no champion.*{verdict.value}"):
        inspect_lot(parts, line_of(), MemorySource(files), "images")
    assert parts.facts.champion("dies") is None
    assert len(parts.facts.ledger()) == 1


def test_an_image_of_the_test_set_planted_in_the_training_set_is_found_at_the_gate(files: Files, parts: Parts) -> None:
    thread = run_thread(parts, line_of(), MemorySource(files))
    spy = defective_test_image(parts, thread)
    items = parts.facts.find(TrainingItem, training_set_id=thread.training_set.id)
    copied = TrainingItem(
        "planted", len(items), spy.name, (), items[0].image, spy.width, spy.height, spy.boxes, Side.TRAIN.value
    )
    row = replace(parts.facts.get(TrainingSet, thread.training_set.id), id="planted")
    parts.facts.save(row, [*(replace(item, training_set_id="planted") for item in items), copied])
    evaluation = evaluate(parts, line_of(), train(parts, line_of(), "planted").id)
    decision = parts.facts.get(GateDecision, decide(parts, line_of(), evaluation.id, actor="kim").id)
    assert decision.verdict is Verdict.FAIL
    assert rule(decision, "leak") == [("", Verdict.FAIL)]
    assert rule(parts.facts.get(GateDecision, thread.decision.id), "leak") == [("", Verdict.PASS)]


def test_a_mapping_nobody_signed_trains_and_is_never_promoted(files: Files, parts: Parts) -> None:
    thread = run_thread(parts, line_of(signed_by="", signed_on=""), MemorySource(files))
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert decision.verdict is Verdict.FAIL
    assert rule(decision, "taxonomy") == [("", Verdict.FAIL)]
    version = propose(parts, "dies", line_of().taxonomy, actor="kim").id
    sign(parts, version, signed_by="Lee", signed_on=date(2026, 2, 1), reference="mail", actor="kim")
    later = decide(parts, line_of(signed_by="", signed_on=""), thread.evaluation.id, actor="kim")
    assert rule(parts.facts.get(GateDecision, later.id), "taxonomy") == [("", Verdict.PASS)]


def test_rollback_goes_to_the_champion_before_and_before_that_and_then_no_further(files: Files, parts: Parts) -> None:
    first, second, third = champions(parts, files, 3)
    now = parts.facts.champion("dies")
    assert now is not None
    assert now.model_id == third
    for expected in (second, first):
        assert rollback(parts, "dies", actor="lee", reason="escapes").id == expected
        now = parts.facts.champion("dies")
        assert now is not None
        assert (now.model_id, now.actor) == (expected, "lee")
        assert parts.facts.get(GateDecision, now.decision_id).model_id == expected
    with pytest.raises(PromotionError, match="does not have an earlier champion"):
        rollback(parts, "dies", actor="lee", reason="escapes")
    kinds = [entry.kind for entry in parts.facts.ledger("dies") if entry.kind is not LedgerKind.DECIDED]
    assert kinds == [LedgerKind.PROMOTED] * 3 + [LedgerKind.ROLLED_BACK] * 2
    assert broken_links(parts.facts.ledger()) == []


def test_rollback_reaches_any_champion_there_ever_was_and_nothing_else(files: Files, parts: Parts) -> None:
    first, _, third = champions(parts, files, 3)
    assert rollback(parts, "dies", actor="lee", reason="x", model_id=first).id == first
    assert rollback(parts, "dies", actor="lee", reason="x", model_id=third).id == third
    with pytest.raises(PromotionError, match="does not have model 'model-x' as an earlier champion"):
        rollback(parts, "dies", actor="lee", reason="x", model_id="model-x")


def test_a_test_set_that_is_not_the_sealed_one_judges_nothing(files: Files, parts: Parts) -> None:
    thread = run_thread(parts, line_of(), MemorySource(files))
    longer = line_of(epochs="epochs = 3")
    model = train(parts, longer, thread.training_set.id)
    sample = defective_test_image(parts, thread)
    rows = parts.facts._rows[Sample]  # type: ignore[attr-defined]
    rows[sample.dataset_id, sample.position] = replace(sample, boxes=())  # what was hard to find is gone
    with pytest.raises(StorageError, match=rf"split {thread.split.id} must be the one that was sealed"):
        evaluate(parts, longer, model.id)
    assert len(parts.facts.find(Evaluation)) == 1
    rows[sample.dataset_id, sample.position] = sample
    evaluate(parts, longer, model.id)


def test_the_gate_reads_the_validation_under_the_limits_of_now(files: Files, parts: Parts) -> None:
    thread = run_thread(parts, line_of(), MemorySource(files))
    many = line_of(
        min_images='min_images = 20\n[validation]\nmin_class_images = 500\nseverity = { class_images = "error" }'
    )
    with pytest.raises(ValidationFailedError):
        validate(parts, many, thread.dataset.id)
    assert run_thread(parts, line_of(), MemorySource(files)).decision == (thread.decision.id, True)
    again = parts.facts.get(GateDecision, decide(parts, many, thread.evaluation.id, actor="kim").id)
    assert rule(again, "validation") == [("", Verdict.FAIL)]


def test_an_answer_that_holds_again_is_given_anew_and_the_newest_one_stands(files: Files, parts: Parts) -> None:
    waits = 'iou = 0.3\napproval = "approval"'
    first, stricter, again = (
        run_thread(parts, line_of(iou=waits, recall=recall), MemorySource(files))
        for recall in ("recall = 0.5", "recall = 0.95", "recall = 0.5")
    )
    verdicts = [parts.facts.get(GateDecision, done.decision.id).verdict for done in (first, stricter, again)]
    assert verdicts == [Verdict.PASS, Verdict.UNDECIDED, Verdict.PASS]
    assert len({done.decision.id for done in (first, stricter, again)}) == 3
    assert run_thread(parts, line_of(iou=waits), MemorySource(files)).decision == (again.decision.id, True)
    with pytest.raises(PromotionError, match=f"said pass .* in {again.decision.id}"):
        promote(parts, first.decision.id, actor="kim", reason="it passed once")
    assert promote(parts, again.decision.id, actor="kim", reason="it passes").id == first.model.id


def test_nobody_is_asked_to_release_the_champion_that_is_judged_anew(files: Files, parts: Parts) -> None:
    waits = 'iou = 0.3\napproval = "approval"'
    promote(parts, run_thread(parts, line_of(iou=waits), MemorySource(files)).decision.id, actor="kim", reason="ok")
    anew = run_thread(parts, line_of(iou=waits, recall="recall = 0.4"), MemorySource(files)).decision
    assert parts.facts.get(GateDecision, anew.id).awaits_approval
    assert not parts.facts.find(Alert, subject=anew.id)


def test_what_is_decided_is_the_newest_decision_although_the_verdict_never_changed(files: Files, parts: Parts) -> None:
    limits = ("recall = 0.5", "recall = 0.4", "recall = 0.5", "recall = 0.4", "recall = 0.4")
    decided = []
    for recall in limits:
        done = run_thread(parts, line_of(recall=recall), MemorySource(files)).decision
        assert parts.facts.find(GateDecision, limit=1)[0].id == done.id
        decided.append(done)
    assert {row.verdict for row in parts.facts.find(GateDecision)} == {Verdict.PASS}
    assert [done.reused for done in decided] == [False, False, False, False, True]
    assert len({done.id for done in decided}) == 4


def test_bounds_by_groups_of_before_few_groups_proved_nothing_do_not_pass(files: Files, parts: Parts) -> None:
    thread = run_thread(parts, line_of(), MemorySource(files))
    kept = parts.facts.get(Evaluation, thread.evaluation.id)
    sure = tuple(replace(item, grouped_recall=replace(item.recall, lower=1.0, upper=1.0)) for item in kept.classes)
    parts.facts._rows[Evaluation][(kept.id,)] = replace(kept, classes=sure)  # type: ignore[attr-defined]
    grouped = line_of(iou="iou = 0.3\ngrouped = true")
    again = run_thread(parts, grouped, MemorySource(files))
    assert (again.model, again.evaluation.reused) == ((thread.model.id, True), False)
    decision = parts.facts.get(GateDecision, again.decision.id)
    assert {verdict for _, verdict in rule(decision, "recall")} == {Verdict.UNDECIDED}
    assert run_thread(parts, grouped, MemorySource(files)).evaluation == (again.evaluation.id, True)


def test_a_champion_that_no_longer_passes_is_not_promoted_again(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    stricter = run_thread(parts, line_of(recall="recall = 0.95"), MemorySource(files))
    with pytest.raises(PromotionError, match="only a pass promotes"):
        promote(parts, stricter.decision.id, actor="kim", reason="it is champion anyway")
