"""Why a candidate was dropped and what the governor decided: the numbers of the stored sentences, in every language."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from dashboards import reasons
from dashboards.decision_tables import choice_table
from dashboards.reading.changes import load_changes
from dashboards.texts import LANGUAGES, Text, literal, phrases
from dashboards.views.news import sentence_of
from tests import rows
from tests.dashboards import stories
from tests.dashboards.stories import MORNING, PROVEN, Act
from wafergate.domain.choice import CandidateStanding, MemoryUse, ModelChoice, Probe, RungResult
from wafergate.domain.drift import Advice, DriftCause, DriftReport, DriftVerdict
from wafergate.domain.evaluation import Comparison
from wafergate.domain.governor import GovernorDecision, GovernorPolicy, GovernorVerdict, RetrainStanding
from wafergate.domain.latency import Latency
from wafergate.domain.models import Channels, TrainProfile
from wafergate.domain.serving import ServeProfile
from wafergate.stages.advise import advise
from wafergate.stages.choose import drop_misfits, halve
from wafergate.stages.govern import judge_retraining

pytestmark = pytest.mark.unit
NUMBER = re.compile(r"\d+(?:\.\d+)?")
KOREAN = Text("ko")
FREE = {"code": "Apache-2.0", "weights": "MIT"}


def _numbers(sentence: str) -> set[str]:
    return set(NUMBER.findall(sentence.replace(",", "")))


def _choice(*standings: CandidateStanding, winner: str = "") -> ModelChoice:
    return ModelChoice("choice-1", "die-a", "training-1", winner, standings, MORNING)


def _measured(train: TrainProfile, serve: ServeProfile) -> CandidateStanding:
    latency = (Latency(1, 12.3, 18.4, 20), Latency(2, 21.7, 29.9, 20))
    probe = Probe("p", "heavy", 640, "cpu", (MemoryUse(1, 4096.0),), latency, 37.5, "", MORNING)
    return drop_misfits(CandidateStanding("heavy", FREE), probe, train=train, serve=serve)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("train", "serve", "numbers"),
    [
        (TrainProfile(memory_mib=2048), ServeProfile(), {"4096.0", "2048"}),
        (TrainProfile(), ServeProfile(latency_ms=5.0), {"12.3", "5"}),
        (TrainProfile(), ServeProfile(latency_p99_ms=11.0), {"20.0", "11"}),
        (TrainProfile(), ServeProfile(pair_latency_ms=9.5), {"21.7", "9.5"}),
        (TrainProfile(), ServeProfile(size_mib=16.0), {"37.5", "16"}),
    ],
)
def test_the_number_that_dropped_a_candidate_is_told_with_its_limit(
    language: str, train: TrainProfile, serve: ServeProfile, numbers: set[str]
) -> None:
    item = _measured(train, serve)
    assert numbers <= _numbers(item.reason)
    told = reasons.dropped(item, _choice(item), Text(language))
    assert told != item.reason
    assert numbers <= _numbers(told)


@pytest.mark.parametrize("in_a_row", [1, 3])
@pytest.mark.parametrize("labels", [0, 20])
def test_every_advice_is_told_in_the_readers_language(labels: int, in_a_row: int) -> None:
    facts = stories.empty()
    stories.drift(facts, Act(1, PROVEN, MORNING), DriftVerdict.DRIFTED)
    report = facts.find(DriftReport)[0]
    for verdict, cause in [*((DriftVerdict.DRIFTED, cause) for cause in DriftCause), (DriftVerdict.STABLE, None)]:
        advice, reason = advise(verdict, cause, new_labels=labels, needed=10, in_a_row=in_a_row)
        row = replace(report, verdict=verdict, cause=cause, advice=advice, reason=reason)
        assert reasons.advised(row, Text("en")) == reason
        assert reasons.advised(row, KOREAN) not in {reason, phrases()["en"].get(f"advised_{advice}_{cause or verdict}")}


def test_why_two_models_were_not_compared_is_told_in_the_readers_language() -> None:
    model = rows.model("die-a", "a")
    stored = Comparison("c", "e", "m", 0, 1_012, (), "the champion learnt from test images: a.png", "", MORNING)
    assert reasons.not_compared(stored, model, model, Text("en")) == stored.reason
    told = [
        reasons.not_compared(stored, challenger, model, KOREAN)
        for challenger in (model, replace(model, classes=("other",)), replace(model, channels=Channels.IMAGE))
    ]
    assert "1,012" in told[0]
    assert len(set(told)) == 3


@pytest.mark.parametrize("name", ["image size", "weights"])
def test_what_no_figure_tells_is_told_as_it_was_stored(name: str) -> None:
    item = CandidateStanding("heavy", FREE, dropped_by=name, reason="must be a multiple of 32, found 100")
    assert reasons.dropped(item, _choice(item), KOREAN) == item.reason


def test_only_the_licences_that_were_refused_are_named() -> None:
    reason = "the code is under AGPL-3.0: AGPL-3.0 is not in [licences] allowed (MIT). Choose another candidate"
    item = CandidateStanding("y", {"code": "AGPL-3.0", "weights": "MIT"}, dropped_by="licence", reason=reason)
    assert reasons.dropped(item, _choice(item), KOREAN) == "[licences] allowed에 없는 라이선스: 코드 AGPL-3.0"
    assert "AGPL" not in reasons.dropped(replace(item, reason="another sentence"), _choice(item), KOREAN)


@pytest.mark.parametrize("language", LANGUAGES)
def test_whom_validation_dropped_is_compared_with_the_last_that_went_on(language: str) -> None:
    first = {
        "a": RungResult(4, 0.90, "void", 0.81),
        "b": RungResult(4, 0.85, "bridge", 0.83),
        "c": RungResult(4, 0.71, "void", 0.64),
        "d": RungResult(4, 0.85, "bridge", 0.83),
    }
    second = {"a": RungResult(8, 0.92, "void", 0.86), "b": RungResult(8, 0.95, "void", 0.88)}
    sizes = {"a": 3.6, "b": 5.1, "c": 2.2, "d": 7.4}
    kept, why = halve(first, sizes=sizes)
    (winner,), why_then = halve(second, sizes=sizes)
    assert (set(kept), winner) == ({"a", "b"}, "b")
    why = {**why, **why_then}
    standings = [
        CandidateStanding(
            name,
            FREE,
            size_mib=sizes[name],
            rungs=(rung, *([second[name]] if name in second else [])),
            dropped_by="validation" if name in why else "",
            reason=why.get(name, ""),
        )
        for name, rung in first.items()
    ]
    choice = _choice(*standings, winner=winner)
    lost = [item for item in standings if item.dropped_by]
    assert len(lost) == 3
    for item in lost:
        told = reasons.dropped(item, choice, Text(language))
        assert _numbers(told) == _numbers(item.reason)
        assert ("as b has" in item.reason) == (item.candidate == "d")


def test_a_korean_table_tells_no_stored_sentence_and_an_english_one_tells_it_whole() -> None:
    item = _measured(TrainProfile(memory_mib=2048), ServeProfile())
    for language in LANGUAGES:
        cells = " ".join(str(cell) for cell in choice_table(_choice(item), Text(language)).iloc[0])
        assert (literal(item.reason) in cells) == (language == "en")


def _governed(standing: RetrainStanding, event: str = "run-1") -> GovernorDecision:
    policy = GovernorPolicy(min_new_labels=30, cooldown_hours=48.0, runs_per_week=3)
    verdict, rules = judge_retraining(standing, policy, now=MORNING)
    return GovernorDecision("governor-1", "die-a", event, verdict, rules, "", "", "Kim", policy, MORNING)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_governor_found_is_told_with_its_numbers(language: str) -> None:
    started = tuple(MORNING - timedelta(hours=hours) for hours in (5.5, 30, 70))
    held = _governed(RetrainStanding(12, started))
    assert held.verdict is GovernorVerdict.HOLD
    stored = _numbers(held.summary.replace("seven", "7"))
    told = _numbers(reasons.governed(held, [], Text(language)).replace("seven", "7"))
    assert told == stored == {"12", "30", "5.5", "48", "3", "7"}


def test_in_english_the_governor_says_what_was_stored() -> None:
    for standing in (RetrainStanding(12), RetrainStanding(50, (MORNING - timedelta(days=9),))):
        row = _governed(standing)
        assert row.summary.startswith(reasons.governed(row, [], Text("en")))


def test_the_advice_is_that_of_the_report_that_asked() -> None:
    facts = stories.empty()
    stories.drift(facts, Act(1, PROVEN, MORNING), DriftVerdict.DRIFTED)
    report = facts.find(DriftReport)[0]
    advised = replace(report, advice=Advice.WAIT)
    held = _governed(RetrainStanding(50, advice=Advice.WAIT), event=report.id)
    assert reasons.governed(held, [advised], KOREAN) == "보류: 드리프트 보고의 조언: 대기"
    assert reasons.governed(held, [], KOREAN) == f"보류: {held.missing[0].evidence}"


def test_a_running_retraining_and_a_first_one_are_told() -> None:
    held = _governed(RetrainStanding(50, running=("run-7",)))
    assert reasons.governed(held, [], KOREAN) == "보류: 실행 중이거나 대기 중인 재학습 1건, 한도 0건"
    assert "이전 재학습 없음" in reasons.governed(_governed(RetrainStanding(50)), [], KOREAN)


def test_the_change_of_a_day_is_told_in_the_readers_language() -> None:
    facts = stories.empty()
    held = _governed(RetrainStanding(12))
    facts.save(held)
    changes = load_changes(facts, "die-a", MORNING - timedelta(days=1))
    (row,) = [row for row in changes.rows if isinstance(row, GovernorDecision)]
    assert literal(held.summary) in sentence_of(row, changes, Text("en"))
    assert "라벨 이미지 12장, 기준값 30장" in sentence_of(row, changes, KOREAN)
