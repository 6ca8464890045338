"""Verdicts and alerts in the reader's language: the rows' figures, and their stored words where figures do not tell."""

import re
from dataclasses import replace

import pytest

from dashboards import told
from dashboards.reading.line import Judged, load_view
from dashboards.texts import LANGUAGES, Text
from tests.dashboards.stories import STORIES, open_story
from wafergate.domain.alerts import AlertCause
from wafergate.domain.gate import GateDecision, Verdict
from wafergate.domain.splits import Side, SplitMode
from wafergate.stages.alerts import flow_alert, gate_alert

pytestmark = pytest.mark.unit
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def _judged(story: str, line: str = "die-a") -> Judged:
    latest = load_view(open_story(story), line).latest
    assert latest is not None
    return latest


def _every() -> list[Judged]:
    """Return what every story's newest decisions say."""
    opened = [open_story(story) for story in STORIES if story != "stopped"]
    lines = [(facts, line) for facts in opened for line in sorted({row.line for row in facts.find(GateDecision)})]
    return [judged for facts, line in lines if (judged := load_view(facts, line).latest) is not None]


@pytest.mark.parametrize("language", LANGUAGES)
def test_counts_of_found_instances_are_those_of_the_stored_sentence(language: str) -> None:
    text = Text(language)
    for judged in _every():
        for rule in judged.decision.rules:
            if rule.rule == "recall":
                stored = set(NUMBER.findall(rule.evidence.split(" found")[0]))
                assert stored <= set(NUMBER.findall(told.evidence(rule, judged.evaluation, text)))


def test_what_would_prove_a_class_is_the_number_the_gate_gave() -> None:
    held = [
        (judged, rule)
        for judged in _every()
        for rule in judged.decision.rules
        if rule.rule == "recall" and rule.verdict is Verdict.UNDECIDED
    ]
    assert held
    for judged, rule in held:
        (more,) = re.findall(r"(\d+) more, all found", rule.next_step)
        assert f"{more}개를 더해" in told.next_step(rule, judged.decision, judged.evaluation, Text("ko"))


def test_another_number_than_the_gates_is_never_told() -> None:
    judged = _judged("undecided")
    rule = next(item for item in judged.decision.rules if item.rule == "recall" and item.next_step)
    moved = replace(rule, next_step=rule.next_step.replace(" more, all found", " more from other groups"))
    assert told.next_step(moved, judged.decision, judged.evaluation, Text("ko")) == moved.next_step


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rule_without_figures_is_told_as_it_was_stored(language: str) -> None:
    judged = _judged("failed")
    rule = replace(judged.decision.rules[0], rule="a_later_rule", value=None, bound=None, limit=None)
    assert told.evidence(rule, judged.evaluation, Text(language)) == rule.evidence
    assert told.next_step(rule, judged.decision, judged.evaluation, Text(language)) == rule.next_step


def test_a_summary_names_what_held_the_model_back_and_how_much_more_did() -> None:
    judged = _judged("failed")
    against = [rule for rule in judged.decision.rules if rule.verdict is Verdict.FAIL]
    for language in LANGUAGES:
        summary = told.summary(judged.decision, judged.evaluation, Text(language))
        assert against[0].subject in summary
        assert (str(len(against) - 1) in summary) or len(against) == 1


def test_an_alert_is_told_from_the_row_it_is_about() -> None:
    judged, text = _judged("failed"), Text("ko")
    alert = gate_alert(judged.decision, judged.model, judged.evaluation, now=judged.decision.created_at)
    known = [(judged.decision, judged.evaluation, text.model(judged.model))]
    assert told.alert_title(alert, known, [], text).startswith(f"{text.model(judged.model)} 게이트 판정 불합격")
    assert told.alert_title(alert, [], [], text) == alert.title.removeprefix(f"{alert.line}: ")


def test_an_alert_about_nothing_at_hand_keeps_its_words() -> None:
    judged = _judged("failed")
    alert = flow_alert("die-a", "intake", "run-1", "no folder <b>x</b>", now=judged.decision.created_at)
    assert alert.cause == AlertCause.FLOW
    assert told.alert_title(alert, [], [], Text("ko")) == "intake failed: no folder <b>x</b>"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_split_lacks_is_told_from_its_counts_in_every_language(language: str) -> None:
    split, text = _judged("failed").split, Text(language)
    lacking = replace(
        split,
        mode=SplitMode.TEST_EVEN,
        counts={Side.TEST: {"void": 9, "bridge": 8}, Side.VALIDATION: {"void": 7, "bridge": 0}},
        images={Side.UNUSED: 1234},
        normal_images={Side.TRAIN: 3, Side.TEST: 0, Side.VALIDATION: 2},
    )
    notes = told.split_notes(lacking, text)
    assert [set(NUMBER.findall(note.replace(",", ""))) for note in notes] == [{"8"}, {"0", "7"}, set(), {"1234"}, set()]
    assert "bridge" in notes[2]
    assert text.word(Side.TEST) in notes[4]
    full = replace(split, mode=SplitMode.BOTH_EVEN, images={}, normal_images={})
    assert len(told.split_notes(full, text)) == 1
