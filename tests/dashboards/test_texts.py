"""Words are complete in both languages, numbers never flatter, and data stay text."""

import html
import math
import re
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dashboards.standing import StandingNote
from dashboards.texts import (
    JOINER,
    LANGUAGES,
    Text,
    choose_language,
    choose_zone,
    literal,
    literal_with_commands,
    phrases,
    terms,
)
from wafergate.domain.alerts import AlertCause, AlertState
from wafergate.domain.drift import FEATURES, PREDICTIONS, Advice, DriftCause, DriftVerdict
from wafergate.domain.gate import LedgerKind, Verdict
from wafergate.domain.line_state import LineState
from wafergate.domain.splits import SplitMode
from wafergate.formats import verdicts
from wafergate.stages.decide import RULES

pytestmark = pytest.mark.unit


def _fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_every_sentence_is_there_in_every_language_with_the_same_fields() -> None:
    for told in (phrases(), verdicts.sentences()):
        english = told["en"]
        for language in LANGUAGES:
            assert told[language].keys() == english.keys()
            for key, sentence in told[language].items():
                assert _fields(sentence) == _fields(english[key]), (language, key)


def test_every_term_has_its_word_and_its_explanation_in_every_language() -> None:
    for key, entry in terms().items():
        assert entry.keys() == {*LANGUAGES, *(f"{language}_help" for language in LANGUAGES)}, key
        assert all(value.strip() for value in entry.values()), key


def test_the_glossary_knows_every_stored_word_a_page_shows() -> None:
    words = {*Verdict, *DriftVerdict, *SplitMode, *FEATURES, *LineState, *AlertCause, *AlertState, *LedgerKind, *Advice}
    words |= {*DriftCause, *PREDICTIONS}
    assert not {*map(str, words), *(rule.name for rule in RULES)} - terms().keys()


def test_the_glossary_holds_the_terms_of_the_field() -> None:
    judged = {"recall", "precision", "f1", "ap50", "escape_rate", "overkill_rate", "gate", "champion", "challenger"}
    made = {"line", "lot", "wafer", "die", "defect_class", "bounding_box", "golden_reference", "lineage", "quarantine"}
    assert not (judged | made | {"drift"}) - terms().keys()


def test_every_note_is_a_sentence() -> None:
    assert {str(note) for note in StandingNote} <= phrases()["en"].keys()


@pytest.mark.parametrize(
    ("asked", "browser", "language"),
    [
        (None, None, "en"),
        (None, "ko-KR", "ko"),
        (None, "fr-FR", "en"),
        ("ko", "en-US", "ko"),
        ("en", "ko", "en"),
        ("xx", "ko", "ko"),
        ("KO_kr", None, "ko"),
    ],
)
def test_the_address_goes_before_the_browser(asked: str | None, browser: str | None, language: str) -> None:
    assert choose_language(asked, browser) == language


@given(st.floats(0, 1))
def test_a_bound_is_never_shown_better_than_it_is(bound: float) -> None:
    text = Text("en")
    assert bound - 0.001 - 1e-9 <= float(text.at_least(bound)) <= bound + 1e-9
    assert bound - 1e-9 <= float(text.at_most(bound)) <= bound + 0.001 + 1e-9


def test_a_bound_just_under_the_limit_does_not_look_like_the_limit() -> None:
    assert Text("en").at_least(0.89996) == "0.899"
    assert Text("en").at_most(0.10004) == "0.101"
    assert Text("en").at_least(math.nextafter(0.9, 0)) == "0.900"


@pytest.mark.parametrize(("limit", "shown"), [(0.9, "0.90"), (0.995, "0.995"), (20.0, "20"), (1.0, "1"), (None, "–")])
def test_a_limit_is_shown_as_it_was_set(limit: float | None, shown: str) -> None:
    assert Text("en").limit(limit) == shown


def test_times_are_shown_in_the_readers_zone() -> None:
    moment = datetime(2026, 3, 9, 20, 30, tzinfo=UTC)
    assert Text("en", choose_zone("Asia/Seoul")).when(moment) == "2026-03-10 05:30 KST"
    assert Text("ko", choose_zone("Asia/Seoul")).when(moment) == "2026. 03. 10. 05:30 KST"
    assert Text("en", choose_zone("Nowhere/City")).when(moment) == "2026-03-09 20:30 UTC"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60))
def test_text_from_data_is_shown_as_it_is_and_makes_no_element(value: str) -> None:
    shown = MarkdownIt("commonmark").enable("strikethrough").renderInline(f"a {literal(value)} b")
    assert not re.search(r"<[a-z/]", shown)
    assert html.unescape(shown).replace(JOINER, "") == f"a {' '.join(value.split())} b".replace(JOINER, "")


def test_addresses_in_data_do_not_become_links() -> None:
    linking = MarkdownIt("gfm-like", {"linkify": False})
    for value in ("see http://evil.example/x", "www.evil.example", "mail a@evil.example"):
        assert JOINER in literal(value)
        assert "<a" not in linking.renderInline(literal(value))


def test_values_are_escaped_where_they_enter_a_sentence() -> None:
    assert r"\[x\]\(y\)" in Text("en").say("detail", message="[x](y)")


def test_an_unknown_word_is_shown_escaped_and_unexplained() -> None:
    text = Text("ko")
    assert text.term("<new rule>") == r"\<new rule\>"
    assert text.explain("<new rule>") is None


def test_only_a_command_of_this_product_is_shown_as_code() -> None:
    shown = MarkdownIt("commonmark").renderInline(
        literal_with_commands("enter it with `wafergate taxonomy sign`, then *go*")
    )
    assert shown == "enter it with <code>wafergate taxonomy sign</code>, then *go*"
    for other in ("`rm file`", "`wafergate <b>`", "`wafergate [a](b)`"):
        assert literal_with_commands(other) == literal(other)
