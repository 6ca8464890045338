"""Verdicts and alerts in the reader's language: the rows' figures, and their stored words where figures do not tell."""

import re
from dataclasses import replace
from datetime import date

import pytest

from dashboards import told
from dashboards.reading.line import Judged, load_view
from dashboards.texts import LANGUAGES, Text
from tests.dashboards.stories import STORIES, open_story
from wafergate.domain.alerts import AlertCause
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.domain.licences import LicenceException, LicencePolicy, explain_licence, licence_standing
from wafergate.domain.splits import Side, SplitMode
from wafergate.formats import verdicts
from wafergate.formats.verdicts import Grounds
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
                assert stored <= set(NUMBER.findall(verdicts.evidence(rule, judged.grounds, text)))


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
    assert verdicts.evidence(rule, judged.grounds, Text(language)) == rule.evidence
    assert told.next_step(rule, judged.decision, judged.evaluation, Text(language)) == rule.next_step


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (LicencePolicy(allowed=("MIT", "GPL-3.0")), "MIT AND GPL-3.0: [licences] allowed에 있음"),
        (LicencePolicy(allowed=("MIT",), research_only=("GPL-3.0",)), "학습에만 쓸 수 있고 승격할 수 없음"),
        (LicencePolicy(allowed=("MIT",)), "MIT AND GPL-3.0: [licences] allowed에 없음"),
    ],
)
def test_a_licence_is_told_as_the_policy_said_it(policy: LicencePolicy, told: str) -> None:
    licence = "MIT AND GPL-3.0"
    rule, grounds = _licence_rule(licence, policy), Grounds(licences={"code": licence})
    assert told in verdicts.evidence(rule, grounds, Text("ko"))
    assert verdicts.evidence(rule, grounds, Text("en")) == rule.evidence


@pytest.mark.parametrize("until", [None, date(2020, 1, 1)])
def test_what_a_person_accepted_stays_in_their_words(until: date | None) -> None:
    policy = LicencePolicy(exceptions={"GPL-3.0": LicenceException("Kim", "asked the (very strict) lawyers", until)})
    rule = _licence_rule("GPL-3.0", policy)
    assert "Kim: asked the" in rule.evidence
    assert verdicts.evidence(rule, Grounds(licences={"code": "GPL-3.0"}), Text("ko")) == rule.evidence


def test_another_licence_than_the_gates_is_never_told() -> None:
    rule = _licence_rule("MIT", LicencePolicy())
    for licences in ({"code": "Apache-2.0"}, {"code": ""}, {}):
        assert verdicts.evidence(rule, Grounds(licences=licences), Text("ko")) == rule.evidence


def _licence_rule(licence: str, policy: LicencePolicy) -> RuleResult:
    today = date(2026, 3, 1)
    good = licence_standing(licence, policy, today=today) in {"allowed", "exception"}
    verdict, found = Verdict.PASS if good else Verdict.FAIL, explain_licence(licence, policy, today=today)
    return RuleResult("licence", "code", None, None, None, verdict, found)


def test_an_even_test_is_told_from_the_split_with_what_it_lacks() -> None:
    judged = _judged("failed")
    rule = next(item for item in judged.decision.rules if item.rule == "even_test")
    lacking = replace(judged.split, mode=SplitMode.TEST_EVEN, warnings=("test holds 8 of every class",))
    korean = verdicts.evidence(rule, Grounds(split=lacking), Text("ko"))
    assert korean.startswith("분할: 테스트만 균등; 테스트 세트의 결함 수는")
    english = verdicts.evidence(rule, Grounds(split=lacking), Text("en"))
    assert english == "split: test even, validation as it falls; test holds 8 of every class"
    assert verdicts.evidence(rule, Grounds(), Text("ko")) == rule.evidence


def test_each_time_that_is_limited_is_told_by_its_name() -> None:
    told = [
        verdicts.evidence(
            RuleResult("latency", subject, 12.34, None, 20.0, Verdict.PASS, "stored"), Grounds(), Text("ko")
        )
        for subject in ("", "latency_p99_ms", "pair_latency_ms")
    ]
    assert len(set(told)) == 3
    assert all("12.3 ms, 기준값 20 ms" in sentence for sentence in told)


def test_no_rule_of_the_stories_is_told_in_english_to_a_korean_reader() -> None:
    stored = {
        rule.evidence
        for judged in _every()
        for rule in judged.decision.rules
        if verdicts.evidence(rule, judged.grounds, Text("ko")) == rule.evidence
    }
    assert not stored


def test_a_summary_names_what_held_the_model_back_and_how_much_more_did() -> None:
    judged = _judged("failed")
    against = [rule for rule in judged.decision.rules if rule.verdict is Verdict.FAIL]
    for language in LANGUAGES:
        summary = verdicts.summary(judged.decision, judged.grounds, Text(language))
        assert against[0].subject in summary
        assert (str(len(against) - 1) in summary) or len(against) == 1


def test_an_alert_is_told_from_the_row_it_is_about() -> None:
    judged, text = _judged("failed"), Text("ko")
    alert = gate_alert(judged.decision, judged.model, judged.evaluation, now=judged.decision.created_at)
    known = [(judged.decision, judged.grounds, text.model(judged.model))]
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
    notes = verdicts.split_notes(lacking, text)
    assert [set(NUMBER.findall(note.replace(",", ""))) for note in notes] == [{"8"}, {"0", "7"}, set(), {"1234"}, set()]
    assert "bridge" in notes[2]
    assert text.word(Side.TEST) in notes[4]
    full = replace(split, mode=SplitMode.BOTH_EVEN, images={}, normal_images={})
    assert len(verdicts.split_notes(full, text)) == 1
