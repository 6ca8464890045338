"""The weekly report: whole weeks, the past as it stood, both languages, and nothing that data could slip in."""

import re
import string
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import runtime

from flows import weekly as weekly_flow
from tests.dashboards.stories import BROKEN, HOSTILE, MORNING, PROVEN, Act, drift, open_story, tell
from tests.unit.small_line import line_of, parts_in
from wafergate.adapters import chromium
from wafergate.adapters.memory import MemoryFacts, MemoryInspections
from wafergate.domain.alerts import Alert, AlertCause, AlertState
from wafergate.domain.drift import DriftVerdict
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import Champion, GateDecision, LedgerKind
from wafergate.domain.inspection import InspectedImage, InspectionRun
from wafergate.domain.line_state import LineState
from wafergate.domain.weekly import Week, WeeklyReport
from wafergate.errors import ConfigError, ServiceError
from wafergate.formats.verdicts import Grounds, summary
from wafergate.formats.weekly_page import sentences, weekly_words, write_weekly
from wafergate.jobs.alerts import Dispatch, dispatch
from wafergate.jobs.parts import Parts
from wafergate.jobs.weekly import Inspected, inspected_in, week_of, weekly
from wafergate.ports import Attachment

pytestmark = pytest.mark.unit

WEEK = Week.ending(date(2026, 3, 14), UTC)
NOTHING = Inspected((), ())
LATER = MORNING + timedelta(days=40)
CLASS = "<script>alert(1)</script><img src=http://evil.example/x.png>"


class Reader(HTMLParser):
    """Collects text, tags, and addresses a browser would ask."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "data"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(facts: object, language: str = "en", week: Week = WEEK) -> Reader:
    content = week_of(facts, "die-a", week, NOTHING, now=LATER, product="die")  # type: ignore[arg-type]
    return Reader(write_weekly(content, weekly_words(language, UTC)))


# the week


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from(["Asia/Seoul", "Europe/Berlin", "America/Lima"]))
def test_weeks_are_whole_days_and_follow_each_other_without_gap_or_overlap(last: date, name: str) -> None:
    zone = ZoneInfo(name)
    week, after = Week.ending(last, zone), Week.ending(last + timedelta(days=7), zone)
    assert week.until == after.since
    assert (week.since.hour, week.until.hour, week.last_day) == (0, 0, last)
    assert week.holds(week.since)
    assert not week.holds(week.until)


# what it tells


def test_a_past_week_is_told_as_it_stood_whatever_came_after() -> None:
    now = [MORNING]
    facts = MemoryFacts(clock=lambda: now[0])
    first = tell(facts, Act(1, PROVEN, MORNING), promote=True)
    before = week_of(facts, "die-a", WEEK, NOTHING, now=LATER)
    now[0] = LATER - timedelta(days=1)
    tell(facts, Act(2, PROVEN, now[0]), promote=True)
    drift(facts, Act(2, PROVEN, LATER - timedelta(days=1)), DriftVerdict.DRIFTED)
    assert week_of(facts, "die-a", WEEK, NOTHING, now=LATER) == before
    assert before.champion is not None
    assert before.champion.decision == first
    assert before.state is LineState.COVERED


def test_a_rolled_back_champion_is_the_one_that_judges() -> None:
    facts = open_story("covered")
    champion = facts.champion("die-a")
    assert champion is not None
    assert isinstance(facts, MemoryFacts)
    tell(facts, Act(3, PROVEN, MORNING + timedelta(hours=9)), promote=True)
    back = Champion("die-a", champion.model_id, champion.decision_id, "kim", "v3 alarms at night", MORNING)
    facts.promote(back, kind=LedgerKind.ROLLED_BACK, details={})
    content = week_of(facts, "die-a", WEEK, NOTHING, now=LATER)
    assert content.champion is not None
    assert content.champion.model.id == champion.model_id
    assert content.promotion is not None
    assert content.promotion.actor == "kim"


@pytest.mark.parametrize("story", ["covered", "failed", "undecided"])
def test_a_verdict_is_told_in_the_language_of_the_report(story: str) -> None:
    facts = open_story(story)
    korean, english = page_of(facts, "ko").text, page_of(facts).text
    decisions = facts.find(GateDecision, line="die-a")
    assert decisions
    for decision in decisions:
        stored = decision.summary.removeprefix(f"{decision.verdict}: ")[1:]
        assert english.count(stored) == 2  # among the decisions and in the ledger
        assert stored not in korean
        told = summary(
            decision,
            Grounds(facts.get(Evaluation, decision.evaluation_id)),
            weekly_words("ko", UTC),
        )
        assert korean.count(told) == 2


@pytest.mark.parametrize(
    ("story", "state"),
    [("empty", "blind"), ("undecided", "blind"), ("covered", "covered"), ("failed", "covered"), ("drifted", "at_risk")],
)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_state_is_told_in_both_languages(story: str, state: str, language: str) -> None:
    words = weekly_words(language, UTC)
    said = page_of(open_story(story), language).text
    assert words.word(state).casefold() in said.casefold()
    assert words.say("classes") in said


def test_the_figures_are_the_stored_ones() -> None:
    facts = open_story("drifted")
    content = week_of(facts, "die-a", WEEK, NOTHING, now=LATER)
    said = page_of(facts).text
    assert content.champion is not None
    for figures in content.champion.evaluation.classes:
        assert f"{figures.recall.hits} / {figures.recall.trials} found" in said
    assert "120 against 268" in said
    assert "brightness, contrast, saturation" in said


def test_what_lies_outside_the_week_is_not_told() -> None:
    facts = open_story("failed")
    assert "fail" in page_of(facts).text
    quiet = page_of(facts, week=Week.ending(date(2026, 3, 21), UTC)).text
    assert all(
        sentences()["en"][key] in quiet
        for key in ("no_decisions", "no_drift", "no_inspected", "no_changes", "no_alerts")
    )
    assert "yolox-nano v2" in quiet


def test_inspections_are_summed_by_day_and_class_and_the_worst_lots_named() -> None:
    at = datetime(2026, 3, 10, 5, tzinfo=UTC)
    images = [_inspected(place, "L<b>1", at, "void" if place < 2 else "") for place in range(5)]
    images += [_inspected(place + 5, "L2", at + timedelta(days=1), "bridge" if place < 3 else "") for place in range(4)]
    images += [_inspected(place + 9, "L3", at + timedelta(days=10), "") for place in range(3)]
    store = MemoryInspections(MemoryFacts(clock=lambda: MORNING))
    store.save(InspectionRun("run", "die-a", "m", "folder", len(images), 5, {}, 0, at), images)
    content = week_of(open_story("covered"), "die-a", WEEK, inspected_in(store, "die-a", WEEK), now=LATER)
    assert [(day.day.day, day.images, day.defective) for day in content.days] == [(10, 5, 2), (11, 4, 3)]
    assert [lot.lot for lot in content.lots] == ["L2", "L<b>1"]
    said = Reader(write_weekly(content, weekly_words("en", UTC))).text
    for told in ("5 · 40.0%", "4 · 75.0%", "L<b>1", "3 (75.0 %)"):
        assert told in said
    assert "L3" not in said


@pytest.mark.parametrize("name", ["Asia/Seoul", "America/Lima", "UTC"])
def test_every_day_is_told_in_one_week_and_is_over_when_that_is(name: str) -> None:
    store, zone = MemoryInspections(MemoryFacts(clock=lambda: MORNING)), ZoneInfo(name)
    start = datetime(2026, 2, 20, tzinfo=UTC)
    images = [_inspected(hour, "L", start + timedelta(hours=hour), "") for hour in range(24 * 40)]
    store.save(InspectionRun("run", "die-a", "m", "folder", len(images), 0, {}, 0, start), images)
    told: list[date] = []
    for monday in (date(2026, 3, 2), date(2026, 3, 9), date(2026, 3, 16)):
        week = Week.ending(monday - timedelta(days=1), zone)
        days = [day.day for day in inspected_in(store, "die-a", week).days]
        assert len(days) == 7
        assert datetime.combine(days[-1] + timedelta(days=1), datetime.min.time(), UTC) <= week.until
        told += days
    assert told == [told[0] + timedelta(days=place) for place in range(21)]


def test_a_run_that_comes_late_tells_the_week_it_was_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    line, weeks = line_of(), list[Week]()
    line = line.model_copy(update={"schedule": replace(line.schedule, timezone="Asia/Seoul")})
    planned = datetime(2026, 3, 15, 22, tzinfo=UTC)  # Monday at seven in Seoul
    monkeypatch.setitem(runtime.flow_run.FIELDS, "scheduled_start_time", lambda: planned)
    monkeypatch.setattr(weekly_flow, "begin", lambda *_: line)
    monkeypatch.setattr(weekly_flow, "write_week", lambda _line, week, _language: weeks.append(week))
    monkeypatch.setattr(weekly_flow, "send_alerts", lambda _: 0)
    weekly_flow.weekly.fn("line.toml")
    assert [str(week) for week in weeks] == ["2026-03-09 to 2026-03-15"]


def _inspected(place: int, lot: str, at: datetime, found: str) -> InspectedImage:
    return InspectedImage(
        run_id="run",
        position=place,
        line="die-a",
        model_id="m",
        name=f"{place}.png",
        image="0" * 64,
        captured_at=at,
        lot=lot,
        detections=((found, 0.9, 0.0, 0.0, 1.0, 1.0),) if found else (),
    )


def test_names_and_notes_from_data_stay_text() -> None:
    facts = MemoryFacts(clock=lambda: MORNING)
    found = {CLASS: (58, 58), "bridge": (57, 58)}
    tell(facts, Act(1, found, MORNING, reason=HOSTILE, source=HOSTILE), promote=True)
    tell(facts, Act(2, {CLASS: (20, 58)}, MORNING + timedelta(hours=2)), promote=False)
    for verdict, hours in ((DriftVerdict.STABLE, 1), (DriftVerdict.DRIFTED, 2)):
        drift(facts, Act(hours, found, MORNING + timedelta(hours=hours)), verdict)
    plain = page_of(open_story("failed"))
    read = page_of(facts)
    assert set(read.tags) <= set(plain.tags)
    assert {"script", "img", "a", "iframe"}.isdisjoint(read.tags)
    assert read.addresses == []
    assert CLASS in read.text
    assert HOSTILE in read.text


def test_both_languages_hold_the_same_sentences_with_the_same_values() -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english, korean = sentences()["en"], sentences()["ko"]
    assert list(english) == list(korean)
    assert {key: fields(text) for key, text in english.items()} == {key: fields(text) for key, text in korean.items()}
    assert not [key for key, text in korean.items() if re.search("[a-z]{12,}", text)]


# stored and sent


def after_the_week(folder: Path) -> Parts:
    return replace(parts_in(folder), clock=lambda: LATER)


def test_a_week_that_is_not_over_is_not_sent_but_from_its_end_on(tmp_path: Path) -> None:
    parts, line = parts_in(tmp_path), line_of()
    early = replace(parts, clock=lambda: WEEK.until - timedelta(seconds=1))
    with pytest.raises(ConfigError, match=r"2026-03-08 to 2026-03-14 is not over: .* from 2026-03-15 on"):
        weekly(early, line, WEEK, language="en")
    assert parts.facts.find(WeeklyReport) == []
    assert not weekly(replace(parts, clock=lambda: WEEK.until), line, WEEK, language="en").reused


def test_a_week_that_lies_far_back_tells_its_lots() -> None:
    store = MemoryInspections(MemoryFacts(clock=lambda: MORNING))
    for place in range(1001):
        at = WEEK.until + timedelta(minutes=place) if place else WEEK.since
        run = InspectionRun(f"run-{place}", "die-a", "m", "folder", 1, 0, {}, 0, at)
        store.save(run, [replace(_inspected(0, f"L{place}", at, ""), run_id=run.id, name=f"{place}.png")])
    assert [lot.lot for lot in inspected_in(store, "die-a", WEEK).lots] == ["L0"]


def test_a_week_is_stored_and_sent_once_with_its_pages(tmp_path: Path) -> None:
    parts, line = after_the_week(tmp_path), line_of()
    told: list[tuple[str, str, list[Attachment]]] = []

    def channel(title: str, body: str, attachments: object = (), **_: object) -> None:
        told.append((title, body, list(attachments)))  # type: ignore[call-overload]

    first = weekly(parts, line, WEEK, language="ko", print_page=lambda page: b"%PDF-1.4 " + page[:20])
    assert weekly(parts, line, WEEK, language="ko") == (first.id, True)
    row = parts.facts.get(WeeklyReport, first.id)
    assert parts.files.get(row.page).startswith(b"<!doctype html>")
    assert dispatch(parts, channel, line.alerts, line=line.name) == Dispatch(sent=1)
    assert dispatch(parts, channel, line.alerts, line=line.name) == Dispatch()
    ((title, body, attached),) = told
    assert "주간 보고" in title
    assert sentences()["ko"]["blind"] in body
    assert [(item.name, item.data[:5]) for item in attached] == [(f"{_alert(parts.facts).id}-1.pdf", b"%PDF-")]


def test_without_chromium_the_page_itself_goes(tmp_path: Path) -> None:
    parts, line = after_the_week(tmp_path), line_of()
    row = parts.facts.get(WeeklyReport, weekly(parts, line, WEEK, language="en").id)
    assert row.paper == ""
    assert _alert(parts.facts).attachments == (row.page,)


def _alert(facts: object) -> Alert:
    (alert,) = facts.find(Alert, cause=AlertCause.REPORT.value)  # type: ignore[attr-defined]
    assert isinstance(alert, Alert)
    return alert


def test_a_report_is_no_alert_of_the_next_one() -> None:
    facts = open_story("failed")
    alarms = week_of(facts, "die-a", WEEK, NOTHING, now=LATER).alerts
    sent = replace(alarms[0], id="alert-report", cause=AlertCause.REPORT.value, state=AlertState.SENT)
    facts.save(sent)
    assert week_of(facts, "die-a", WEEK, NOTHING, now=LATER).alerts == alarms
    assert any("recall of bridge" in alarm.title for alarm in alarms)
    assert BROKEN["bridge"] == (31, 58)


# paper


@pytest.mark.browser
@pytest.mark.skipif(chromium.find_chromium() is None, reason="needs Chromium (package chromium), found none")
def test_chromium_prints_the_page() -> None:
    content = week_of(open_story("failed"), "die-a", WEEK, NOTHING, now=LATER)
    paper = chromium.print_page(write_weekly(content, weekly_words("ko", UTC)))
    assert paper.startswith(b"%PDF-")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 4


def test_without_chromium_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match=r"install one \(package chromium\), or write the page as \.html"):
        chromium.print_page(b"")


def test_a_week_that_is_not_over_is_told_up_to_now() -> None:
    now = MORNING + timedelta(hours=1)
    content = week_of(open_story("failed"), "die-a", WEEK, NOTHING, now=now)
    assert content.told_at == now
    assert all(item.decision.created_at < now for item in content.decisions)
    assert content.week.until > now > datetime(2026, 3, 8, tzinfo=UTC)
