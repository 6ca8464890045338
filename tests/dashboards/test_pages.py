"""Pages over stores in memory: every state, in both languages, without an exception."""

import re
from html import unescape
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import told
from dashboards.context import View
from dashboards.reading.line import load_judged, load_view
from dashboards.shell import VIEWS
from dashboards.texts import Text, literal, phrases, terms
from tests.dashboards import stories
from tests.dashboards.browser import PATIENCE_S
from tests.dashboards.markdown_tables import tables_of
from tests.dashboards.stories import STORIES, open_story
from wafergate.domain.gate import GateDecision
from wafergate.formats import verdicts

pytestmark = pytest.mark.unit
APP = Path(__file__).parent / "story_app.py"


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def _open(
    story: str, *, lang: str | None = None, line: str | None = None, locale: str | None = None, **asked: str
) -> AppTest:
    page = AppTest.from_file(APP, default_timeout=PATIENCE_S)
    page.query_params["story"] = story
    page.context["locale"] = locale
    for key, value in (("lang", lang), ("line", line)):
        if value is not None:
            page.query_params[key] = value
    for key, value in asked.items():
        page.query_params[key] = value
    return page.run()


def _said(page: AppTest) -> str:
    return "\n".join(element.value for element in [*page.markdown, *page.caption, *page.error, *page.warning])


def _commands(page: AppTest) -> list[str]:
    """Return what the page says to run."""
    told = [
        re.fullmatch(r'<pre class="commands"[^>]*>(.*)</pre>', item.proto.body, re.DOTALL) for item in page.get("html")
    ]
    return [unescape(found[1]) for found in told if found]


@pytest.mark.parametrize(("story", "lang"), [*((story, "ko") for story in STORIES), ("failed", "en")])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.PATH)
def test_every_page_opens_in_every_state_and_both_languages(view: View, story: str, lang: str) -> None:
    page = _open(story, lang=lang, first=view.PATH)
    assert not page.exception
    assert page.title[0].value == phrases()[lang][view.TITLE]


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(
    ("story", "state"), [("undecided", "blind"), ("covered", "covered"), ("failed", "covered"), ("drifted", "at_risk")]
)
def test_the_state_and_its_rule_are_told(story: str, state: str, lang: str) -> None:
    said = _said(_open(story, lang=lang))
    assert f": {terms()[state][lang]}]" in said
    assert literal(terms()[state][f"{lang}_help"]) in said


def test_the_champion_is_named_with_who_and_why() -> None:
    said = _said(_open("covered", lang="en"))
    for value in ("yolox-nano v2", "flow retrain", "every rule of the gate passed"):
        assert f"**{literal(value)}**" in said


def test_the_licence_of_the_code_is_the_one_that_was_judged() -> None:
    said = _said(_open("covered", lang="en", first="decisions"))
    assert f"Code of the model: {literal('Apache-2.0 AND MIT')}" in said


def test_without_a_champion_the_page_says_none_and_shows_the_newest_model() -> None:
    said = _said(_open("undecided", lang="en"))
    assert "**none**" in said
    assert literal("yolox-nano v1") in said


def test_a_line_without_champion_is_not_told_to_inspect() -> None:
    page = _open("undecided", lang="en", first="lots")
    assert [code.split()[1] for code in _commands(page)] == ["retrain"]


def test_nothing_stored_says_what_to_run() -> None:
    page = _open("empty", lang="en")
    assert [code.splitlines()[0] for code in _commands(page)] == ["make demo"]
    assert "wafergate retrain" in _commands(page)[0]


def test_no_drift_report_says_what_to_run() -> None:
    assert any("wafergate watch" in code for code in _commands(_open("undecided", lang="en")))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_stopped_database_is_one_sentence_and_no_trace(lang: str) -> None:
    page = _open("stopped", lang=lang)
    assert [error.value for error in page.error] == [phrases()[lang]["no_service"]]
    assert not page.exception
    assert "Traceback" not in _said(page)


@pytest.mark.parametrize(("lang", "told"), [("en", "`[split] test_per_class` to 149 or more"), ("ko", "149 이상으로")])
def test_a_line_whose_splits_aim_too_low_is_told_what_to_raise(
    monkeypatch: pytest.MonkeyPatch, lang: str, told: str
) -> None:
    monkeypatch.setattr(stories, "LINE", stories.LINE.replace("recall = 0.85", "recall = 0.98"))
    assert told in _said(_open("failed", first="data", lang=lang))


def test_the_next_steps_of_a_held_back_model_are_listed() -> None:
    latest = load_view(open_story("undecided"), "die-a").latest
    assert latest is not None
    steps = told.next_steps(latest.decision, Text("en"))
    assert len(steps) == 2
    said = _said(_open("undecided", lang="en"))
    assert all(f"- {literal(step)}" in said for step in steps)


def test_the_browsers_language_is_used_until_one_is_chosen() -> None:
    assert _open("covered", locale="ko-KR").title[0].value == "오늘"
    assert _open("covered", locale="ko-KR", lang="en").title[0].value == "Today"


def test_switching_the_language_changes_the_page_and_the_address() -> None:
    page = _open("covered", lang="en")
    page.button_group[0].set_value("ko").run()
    assert page.title[0].value == "오늘"
    assert page.query_params["lang"] == "ko"


def test_an_address_with_a_line_opens_that_line() -> None:
    page = _open("two_lines", lang="en", line="tiles")
    assert "Line **tiles** is blind" in _said(page)
    assert page.selectbox[0].value == "tiles"


def test_choosing_a_line_changes_the_page_and_the_address() -> None:
    page = _open("two_lines", lang="en")
    assert literal("yolox-nano v2") in _said(page)
    page.selectbox[0].select("tiles").run()
    assert page.query_params["line"] == "tiles"
    assert f"**{literal('none')}**" in _said(page)


def test_an_unknown_line_in_the_address_is_said_and_another_shown() -> None:
    page = _open("covered", lang="en", line="<b>gone</b>")
    assert page.warning[0].value.startswith(r"There is no line \<b\>gone\<\/b\>")
    assert not page.exception


def test_every_line_is_told_when_there_are_several() -> None:
    said = _said(_open("two_lines", lang="en"))
    assert literal("die-a") + "** is covered" in said
    assert "Line **tiles** is blind" in said


def test_a_decision_is_told_rule_by_rule_with_what_it_stands_on() -> None:
    page = _open("failed", lang="en", first="decisions")
    shown = tables_of(page)
    assert [next(iter(table.columns)) for table in shown] == ["When", "Rule", "Defect class", "Candidate"]
    assert len(shown[1]) == len(load_view(open_story("failed"), "die-a").latest.decision.rules)  # type: ignore[union-attr]
    assert literal("9,216 MiB, limit 6,144 MiB") in shown[3].to_string()
    assert literal("yolox-nano v2") in _said(page)


def test_an_address_opens_the_decision_it_names() -> None:
    facts = open_story("failed")
    first = facts.find(GateDecision)[-1]
    page = _open("failed", lang="en", first="decisions", decision=first.id)
    assert literal(verdicts.summary(first, load_judged(facts, first).grounds, Text("en"))) in _said(page)
    assert page.selectbox[0].value == first.id


def test_choosing_a_decision_changes_the_page_and_the_address() -> None:
    facts = open_story("failed")
    second = facts.find(GateDecision)[1]
    page = _open("failed", lang="en", first="decisions")
    page.selectbox[0].select(second.id).run()
    assert page.query_params["decision"] == second.id
    assert literal(verdicts.summary(second, load_judged(facts, second).grounds, Text("en"))) in _said(page)


def test_an_address_opens_the_class_it_names_with_its_mistakes() -> None:
    page = _open("failed", lang="en", first="classes", **{"class": "bridge"})
    assert page.button_group(key="choose-class").value == "bridge"
    said = _said(page)
    assert "**Missed**: 2 of 2" in said
    assert "**50 more images with bridge would buy about" in said


def test_pictures_that_are_not_stored_are_one_sentence() -> None:
    page = _open("undecided", lang="en", first="classes")
    assert not page.exception
    assert "A stored picture cannot be read" in _said(page)


def test_a_dataset_version_is_told_with_its_split_its_checks_and_what_waits_for_a_person() -> None:
    page = _open("failed", lang="en", first="data")
    first_columns = [next(iter(table.columns)) for table in tables_of(page)]
    assert first_columns == ["Version", "Check", "Defect class", "Suspicion", "Reason"]
    said = _said(page)
    assert "Labels to look at: **1**. Kept as they are: 1. Corrected: 0." in said
    assert r"Evenness: test 1\.00" in said
    assert tables_of(page)[4]["Files"].tolist() == ["2", "1"]


def test_an_address_opens_the_dataset_version_it_names() -> None:
    page = _open("failed", lang="en", first="data", version="1")
    assert page.selectbox[0].value == "1"
    assert "Version 1:" in _said(page)


def test_what_waits_for_a_person_is_told_with_the_command_and_what_is_new_with_its_time() -> None:
    page = _open("awaiting", lang="en")
    assert any("wafergate approve decision-waiting" in code for code in _commands(page))
    said = _said(page)
    assert literal("yolox-nano v3") + "** passed the gate on" in said
    assert "dataset version **3** arrived" in said


def test_a_quiet_day_is_said() -> None:
    assert phrases()["en"]["changes_none"] in _said(_open("covered", lang="en"))
