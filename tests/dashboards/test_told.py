"""Verdicts and alerts in the reader's language: the rows' figures, and their stored words where figures do not tell."""

import re
from dataclasses import replace
from datetime import date

import pytest

from dashboards import told
from dashboards.reading.line import Judged, load_view
from dashboards.texts import LANGUAGES, Text
from tests.dashboards.stories import STORIES, open_story
from tests.rows import NOW, model
from tests.unit.test_decide import decided, evaluation_of, figures_of
from wafergate.domain.evaluation import Comparison, Paired, Rate
from wafergate.domain.gate import GateDecision, GatePolicy, RuleResult, Verdict
from wafergate.domain.golden import DifferenceKind, GoldenDifference, GoldenPolicy, GoldenRun
from wafergate.domain.governor import GovernorDecision, GovernorPolicy, RetrainStanding
from wafergate.domain.licences import (
    LicencedPart,
    LicenceException,
    LicencePolicy,
    explain_licence,
    licence_standing,
)
from wafergate.domain.serving import ServeProfile
from wafergate.domain.splits import LeakProof, Side, SplitMode
from wafergate.formats import verdicts
from wafergate.formats.alert_titles import alert_title
from wafergate.formats.verdicts import Grounds
from wafergate.jobs.alert_subjects import subjects_of
from wafergate.stages.alerts import approval_alert, flow_alert, gate_alert, golden_alert, labels_alert
from wafergate.stages.govern import judge_retraining

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
        rule
        for judged in _every()
        for rule in judged.decision.rules
        if rule.rule == "recall" and rule.verdict is Verdict.UNDECIDED
    ]
    assert held
    for rule in held:
        (more,) = re.findall(r"(\d+) more, all found", rule.next_step)
        assert f"{more}개를 더해" in told.next_step(rule, Text("ko"))


def test_another_number_than_the_gates_is_never_told() -> None:
    judged = _judged("undecided")
    rule = next(item for item in judged.decision.rules if item.rule == "recall" and item.next_step)
    moved = replace(rule, next_step=rule.next_step.replace(" more, all found", " more from other groups"))
    assert told.next_step(moved, Text("ko")) == moved.next_step


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rule_without_figures_is_told_as_it_was_stored(language: str) -> None:
    judged = _judged("failed")
    rule = replace(judged.decision.rules[0], rule="a_later_rule", value=None, bound=None, limit=None)
    assert verdicts.evidence(rule, judged.grounds, Text(language)) == rule.evidence
    assert told.next_step(rule, Text(language)) == rule.next_step


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
    rule = _licence_rule(licence, policy)
    assert told in verdicts.evidence(rule, Grounds(), Text("ko"))
    assert verdicts.evidence(rule, Grounds(), Text("en")) == rule.evidence


@pytest.mark.parametrize(
    ("until", "told"),
    [
        (None, "GPL-3.0: [licences.exceptions]에서 승인됨, {}"),
        (date(2030, 1, 1), "GPL-3.0: [licences.exceptions]에서 승인됨, {} (2030-01-01까지)"),
        (date(2020, 1, 1), "GPL-3.0: [licences] allowed에 없음, 예외 기간 만료({} (2020-01-01까지))"),
    ],
)
def test_what_a_person_accepted_stays_in_their_words(until: date | None, told: str) -> None:
    policy = LicencePolicy(exceptions={"GPL-3.0": LicenceException("Kim", "asked the (very strict) lawyers", until)})
    rule = _licence_rule("GPL-3.0", policy)
    assert verdicts.evidence(rule, Grounds(), Text("ko")) == told.format("Kim: asked the (very strict) lawyers")
    assert verdicts.evidence(rule, Grounds(), Text("en")) == rule.evidence


@pytest.mark.parametrize(
    "field",
    [
        {"leak": LeakProof(51_300, 2, {"same_group": 2})},
        {"leak": None},
        {"parity": None},
        {"licences": ()},
        {"serving": None, "serve": ServeProfile(latency_ms=20)},
        {"size_mib": None, "serve": ServeProfile(size_mib=8)},
        {"comparison": Comparison("c", "e", "m", 0, 12, (), "the two detect no class in common", "", NOW)},
    ],
)
def test_what_was_not_looked_at_and_what_leaks_is_told_in_the_readers_language(field: dict[str, object]) -> None:
    held = [rule for rule in decided(**field).rules if rule.verdict is not Verdict.PASS]
    assert held
    for rule in held:
        korean = verdicts.evidence(rule, Grounds(), Text("ko"))
        assert korean != rule.evidence
        assert set(NUMBER.findall(korean.replace(",", ""))) <= set(NUMBER.findall(rule.evidence.replace(",", "")))


def _grouped(hits: int, lower: float, upper: float, **beside: Comparison) -> GateDecision:
    """Return what the gate says where a class of 100 instances has these bounds by groups."""
    evaluation = evaluation_of()
    classes = [replace(item, grouped_recall=item.recall) for item in evaluation.classes[:2]]
    spur = figures_of("spur", hits, 100, grouped_recall=Rate(hits, 100, lower, upper))
    return decided(replace(evaluation, classes=(*classes, spur)), policy=GatePolicy(grouped=True), **beside)


@pytest.mark.parametrize(
    "decision",
    [
        decided(evaluation_of(spur=(18, 20))),
        decided(evaluation_of(spur=(50, 100))),
        decided(evaluation_of(spur=(0, 0))),
        decided(replace(evaluation_of(), overkill=Rate.exact(5, 60, 0.95))),
        decided(replace(evaluation_of(), overkill=Rate.exact(0, 0, 0.95))),
        _grouped(98, 0.0, 1.0),
        _grouped(93, 0.0, 1.0),
        _grouped(98, 0.6, 1.0),
        _grouped(
            100, 1.0, 1.0, comparison=Comparison("c", "e", "m", 99, 0, (Paired("spur", 9, 6, 0, 4, 1.0),), "", "", NOW)
        ),
    ],
    ids=["few", "misses", "none", "alarms", "no normal", "few groups", "few of few groups", "same groups", "lost"],
)
def test_every_step_of_the_counts_is_told_with_the_numbers_of_the_gate(decision: GateDecision) -> None:
    held = [rule for rule in decision.rules if rule.verdict is not Verdict.PASS]
    assert held
    for rule in held:
        korean, english = (told.next_step(rule, Text(language)) for language in ("ko", "en"))
        assert korean not in {rule.next_step, english}
        numbers = set(NUMBER.findall(rule.next_step))
        assert set(NUMBER.findall(korean)) == set(NUMBER.findall(english)) <= numbers


def test_another_step_than_the_usual_one_is_told_as_such() -> None:
    copies = decided(leak=LeakProof(51_300, 2, {"same_bytes": 2}))
    unnamed = decided(licences=(LicencedPart("weights", ""),))
    for decision, rule_name, korean in (
        (copies, "leak", "내용이 같은"),
        (unnamed, "licence", "`wafergate weights add`"),
    ):
        rule = next(item for item in decision.rules if item.rule == rule_name and item.next_step)
        english, told_ = (told.next_step(rule, Text(language)) for language in ("en", "ko"))
        assert english.lower() == rule.next_step.lower()
        assert korean in told_


def test_that_nobody_names_a_licence_is_told_in_the_readers_language() -> None:
    rule = _licence_rule("", LicencePolicy())
    assert verdicts.evidence(rule, Grounds(), Text("ko")) == "라이선스가 명시되지 않아 [licences] allowed에 없음"
    assert verdicts.evidence(rule, Grounds(), Text("en")) == rule.evidence


def test_another_sentence_about_a_licence_than_the_policys_is_shown_as_it_was_stored() -> None:
    rule = replace(_licence_rule("MIT", LicencePolicy()), evidence="MIT is what the lawyers like")
    assert verdicts.evidence(rule, Grounds(), Text("ko")) == rule.evidence


@pytest.mark.parametrize("allowed", [("MIT", "AGPL-3.0-only"), ("MIT",), ("MIT AND AGPL-3.0-only",)])
@pytest.mark.parametrize("until", [None, date(2020, 1, 1), date(2030, 1, 1)])
def test_the_licence_of_the_code_is_named_as_it_was_judged(allowed: tuple[str, ...], until: date | None) -> None:
    bought = LicenceException("Kim", "licence E-42", until)
    policy = LicencePolicy(allowed=allowed, exceptions={"AGPL-3.0-only": bought})
    rules = decided(licences=(LicencedPart("code", "MIT AND AGPL-3.0-only"),), licence_policy=policy)
    assert verdicts.code_licence(rules, model("A", "a")) == "MIT AND AGPL-3.0-only"
    assert verdicts.code_licence(decided(licences=()), model("A", "a")) == model("A", "a").candidate.code_licence


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


def test_slowest_answers_of_too_few_are_told_with_how_many_there_were() -> None:
    counts = {"timed": 37, "needed": 100}
    rule = RuleResult("latency", "latency_p99_ms", None, None, 20.0, Verdict.UNDECIDED, "stored", "step", counts)
    told = [verdicts.evidence(rule, Grounds(), Text(language)) for language in LANGUAGES]
    assert all("37" in sentence and "100" in sentence and "20 ms" in sentence for sentence in told)


def test_look_alikes_on_two_sides_are_told_with_how_many_there_are() -> None:
    counts = {"links": 0, "pairs": 90, "alike": 13}
    rule = RuleResult("leak", "", None, None, None, Verdict.UNDECIDED, "stored", "step", counts)
    told = [verdicts.evidence(rule, Grounds(), Text(language)) for language in LANGUAGES]
    assert all("13" in sentence for sentence in told)


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
    facts, text = open_story("failed"), Text("ko")
    judged = _judged("failed")
    alert = gate_alert(judged.decision, judged.model, judged.evaluation, now=judged.decision.created_at)
    subjects = subjects_of(facts, [alert])
    assert alert_title(alert, subjects, text).startswith(f"{text.model(judged.model)} 게이트 판정 불합격")
    assert alert_title(alert, {}, text) == alert.title.removeprefix(f"{alert.line}: ")
    asked = approval_alert(judged.decision, judged.model, now=NOW)
    assert alert_title(asked, subjects_of(facts, [asked]), text) == f"{text.model(judged.model)} 게이트 통과, 승인 대기"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_alert_of_labels_or_golden_parts_is_told_with_its_numbers(language: str) -> None:
    facts = open_story("empty")
    verdict, rules = judge_retraining(RetrainStanding(12), GovernorPolicy(min_new_labels=30), now=NOW)
    held = GovernorDecision("governor-1", "die-a", "run-1", verdict, rules, "", "", "Kim", GovernorPolicy(), NOW)
    differences = (GoldenDifference(DifferenceKind.MISSING, "1.png", "", None, None, "void"),) * 2
    run = GoldenRun("golden-1", "die-a", "set-1", "model-1", "", 40, differences, "", GoldenPolicy(), NOW)
    alerts = [labels_alert(held, now=NOW), golden_alert(run, now=NOW)]
    facts.save(held)
    facts.save(run)
    told = [alert_title(alert, subjects_of(facts, alerts), Text(language)) for alert in alerts]
    assert [set(NUMBER.findall(sentence)) for sentence in told] == [{"12", "30"}, {"1", "40"}]
    stored = {alert.title.removeprefix("die-a: ") for alert in alerts}
    assert language == "en" or not stored & set(told)


def test_what_ended_a_run_keeps_its_words() -> None:
    alert = flow_alert("die-a", "intake", "run-1", "no folder <b>x</b>", now=NOW)
    assert alert_title(alert, {}, Text("ko")) == "intake 실패: no folder <b>x</b>"
    assert alert_title(alert, {}, Text("en")) == "intake failed: no folder <b>x</b>"


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
