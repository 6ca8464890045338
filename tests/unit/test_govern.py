"""The governor: every rule by itself, the order of its decisions, and a storm that starts one retraining."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import rows
from tests.unit.small_line import LINE, parts_in
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.alerts import Alert
from wafergate.domain.drift import Advice
from wafergate.domain.gate import Verdict
from wafergate.domain.governor import GovernorDecision, GovernorPolicy, GovernorVerdict, RetrainStanding
from wafergate.domain.runs import FlowRun
from wafergate.domain.samples import DatasetVersion
from wafergate.errors import ServiceError
from wafergate.jobs.govern import ask_governor, new_labels
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile, parse_line
from wafergate.stages.govern import judge_retraining

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
POLICY = GovernorPolicy(min_new_labels=10, cooldown_hours=24.0, runs_per_week=2)
FREE = RetrainStanding(new_labels=10)
HOUR = timedelta(hours=1)


class Runs:
    """Retrainings of an orchestrator that remembers what it started."""

    def __init__(self, line: str = "dies", *, fails: bool = False) -> None:
        self.line = line
        self.started: dict[str, str] = {}
        self.fails = fails
        self.ended = False
        self._lock = Lock()

    def running(self, line: str) -> Sequence[str]:
        assert line == self.line
        return () if self.ended else tuple(self.started.values())

    def start(self, decision: GovernorDecision) -> str:
        if self.fails:
            raise ServiceError("Prefect does not answer")
        with self._lock:
            return self.started.setdefault(decision.id, f"run-{len(self.started)}")


def verdict(standing: RetrainStanding, policy: GovernorPolicy = POLICY) -> tuple[GovernorVerdict, list[str]]:
    said, rules = judge_retraining(standing, policy, now=NOW)
    return said, [rule.rule for rule in rules if rule.verdict is not Verdict.PASS]


@pytest.mark.parametrize(
    ("standing", "missing"),
    [
        (FREE, []),
        (RetrainStanding(9), ["new_labels"]),
        (RetrainStanding(10, started=(NOW - 23.9 * HOUR,)), ["cooldown"]),
        (RetrainStanding(10, started=(NOW - 24 * HOUR,)), []),
        (RetrainStanding(10, started=(NOW - 30 * HOUR, NOW - 100 * HOUR)), ["budget"]),
        (RetrainStanding(10, started=(NOW - 30 * HOUR, NOW - 168 * HOUR)), []),
        (RetrainStanding(10, running=("run-1",)), ["running"]),
        (RetrainStanding(10, advice=Advice.RECALIBRATE), ["advice"]),
        (RetrainStanding(10, advice=Advice.WAIT), ["advice"]),
        (RetrainStanding(10, advice=Advice.RELABEL), []),
        (RetrainStanding(10, advice=Advice.RETRAIN), []),
        (RetrainStanding(0, started=(NOW, NOW), running=("run-1",)), ["new_labels", "cooldown", "budget", "running"]),
    ],
)
def test_each_rule_holds_back_by_itself_from_its_limit_on(standing: RetrainStanding, missing: list[str]) -> None:
    assert verdict(standing) == (GovernorVerdict.HOLD if missing else GovernorVerdict.RETRAIN, missing)


def test_a_line_may_choose_to_retrain_whatever_the_drift_report_advises() -> None:
    assert verdict(RetrainStanding(10, advice=Advice.RECALIBRATE), replace(POLICY, heed_advice=False))[1] == []


def test_a_rule_that_does_not_hold_says_what_to_do() -> None:
    _, rules = judge_retraining(RetrainStanding(3, started=(NOW - 2 * HOUR,)), POLICY, now=NOW)
    steps = {rule.rule: rule.next_step for rule in rules if rule.next_step}
    assert steps["new_labels"].startswith("label 7 more")
    assert steps["cooldown"] == "ask again after 2026-03-10 10:00 UTC"


@given(
    labels=st.integers(0, 50),
    more=st.integers(0, 50),
    hours=st.lists(st.floats(0, 400), max_size=6),
    running=st.booleans(),
)
def test_more_labels_never_hold_back_and_an_older_past_never_either(
    labels: int, more: int, hours: list[float], running: bool
) -> None:
    started = tuple(NOW - hour * HOUR for hour in hours)
    ids = ("run-1",) if running else ()
    before = verdict(RetrainStanding(labels, started, ids))[0]
    later = verdict(RetrainStanding(labels + more, tuple(when - HOUR for when in started), ids))[0]
    assert not (before is GovernorVerdict.RETRAIN and later is GovernorVerdict.HOLD)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path, facts=MemoryFacts(clock=lambda: NOW), clock=lambda: NOW)


@pytest.fixture
def line() -> LineFile:
    return parse_line(LINE + "\n[governor]\nmin_new_labels = 3\n", Path("line.toml"))


def labelled(parts: Parts, line: str, row_id: str, count: int) -> DatasetVersion:
    """Store a dataset version of so many images."""
    samples = [rows.sample(line, place, f"{place:064x}", row_id) for place in range(count)]
    row = replace(rows.dataset(line, row_id), images=count)
    parts.facts.save(row, samples)
    return row


def test_the_labels_that_count_are_new_images_and_changed_boxes(parts: Parts) -> None:
    labelled(parts, "dies", "data-1", 5)
    assert new_labels(parts.facts, "data-1", "data-1") == 0
    labelled(parts, "dies", "data-2", 8)
    assert new_labels(parts.facts, "data-1", "data-2") == 3
    assert new_labels(parts.facts, "", "data-2") == 8
    samples = [rows.sample("dies", place, f"{place:064x}", "data-3") for place in range(5)]
    parts.facts.save(rows.dataset("dies", "data-3"), [replace(samples[0], boxes=()), *samples[1:]])
    assert new_labels(parts.facts, "data-1", "data-3") == 1


def test_without_labels_it_holds_and_asks_for_them(parts: Parts, line: LineFile) -> None:
    labelled(parts, "dies", "data-1", 2)
    runs = Runs()
    done = ask_governor(parts, line, "drift-1", actor="scheduler", retrainings=runs)
    row = parts.facts.get(GovernorDecision, done.id)
    assert (row.verdict, [rule.rule for rule in row.missing]) == (GovernorVerdict.HOLD, ["new_labels"])
    assert not runs.started
    (alert,) = parts.facts.find(Alert, subject=row.id)
    assert "label 1 more" in alert.body


def test_an_event_is_answered_once_and_its_run_started_once(parts: Parts, line: LineFile) -> None:
    labelled(parts, "dies", "data-1", 3)
    runs = Runs()
    first = ask_governor(parts, line, "drift-1", actor="scheduler", retrainings=runs)
    again = ask_governor(parts, line, "drift-1", actor="kim", retrainings=runs)
    assert (again.id, first.reused, again.reused) == (first.id, False, True)
    assert list(runs.started) == [first.id]
    assert parts.facts.get(GovernorDecision, first.id).dataset_id == "data-1"


def test_the_labels_that_a_line_names_count_and_not_those_of_a_later_trial(parts: Parts, line: LineFile) -> None:
    labelled(parts, "dies", "data-1", 3)
    labelled(parts, "dies", "data-trial", 1)
    runs = Runs()
    named = ask_governor(parts, line, "drift-1", actor="scheduler", retrainings=runs, dataset_id="data-1")
    assert parts.facts.get(GovernorDecision, named.id).dataset_id == "data-1"
    newest = ask_governor(parts, line, "drift-2", actor="scheduler", retrainings=runs)
    assert parts.facts.get(GovernorDecision, newest.id).dataset_id == "data-trial"
    assert list(runs.started) == [named.id]


def test_a_start_that_failed_is_made_up_for_when_the_same_event_asks_again(parts: Parts, line: LineFile) -> None:
    labelled(parts, "dies", "data-1", 3)
    with pytest.raises(ServiceError):
        ask_governor(parts, line, "drift-1", actor="scheduler", retrainings=Runs(fails=True))
    runs = Runs()
    done = ask_governor(parts, line, "drift-1", actor="scheduler", retrainings=runs)
    assert list(runs.started) == [done.id]


def test_its_own_retraining_counts_once_though_it_has_a_row_of_its_run_too(parts: Parts, line: LineFile) -> None:
    labelled(parts, "dies", "data-1", 3)
    runs = Runs()
    first = ask_governor(parts, line, "drift-1", actor="scheduler", retrainings=runs)
    parts.facts.save(FlowRun("run-0", "retrain", "dies", "ab", {"actor": first.id}, NOW))
    parts.facts.save(FlowRun("hand", "retrain", "dies", "ab", {"actor": "kim"}, NOW))
    runs.ended = True
    second = ask_governor(parts, line, "drift-2", actor="scheduler", retrainings=runs)
    rules = {rule.rule: rule for rule in parts.facts.get(GovernorDecision, second.id).rules}
    assert rules["budget"].value == 2
    assert rules["cooldown"].verdict is Verdict.FAIL
    assert rules["running"].verdict is Verdict.PASS


def test_a_storm_of_events_starts_one_retraining(parts: Parts, line: LineFile) -> None:
    labelled(parts, "dies", "data-1", 3)
    runs = Runs()
    with ThreadPoolExecutor(16) as pool:
        asked = [
            pool.submit(ask_governor, parts, line, f"drift-{number}", actor="scheduler", retrainings=runs)
            for number in range(1000)
        ]
        assert len({item.result().id for item in asked}) == 1000
    decisions = parts.facts.find(GovernorDecision, line="dies")
    assert len(decisions) == 1000
    assert [row.id for row in decisions if row.verdict is GovernorVerdict.RETRAIN] == list(runs.started)
    assert len(runs.started) == 1
