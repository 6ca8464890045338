"""A real Chromium opens a real Streamlit process and reads what is stored."""

import re
from pathlib import Path
from typing import Any

import pytest

from dashboards.reading.line import load_view
from dashboards.shell import VIEWS
from dashboards.texts import Text
from tests.dashboards.browser import find_chromium, read_dashboard, read_page, too_wide, wait_until_drawn
from tests.dashboards.stories import STORIES, open_story

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (package chromium), found none on the path"),
]

TEXT = Text("en")


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("story", ["undecided", "failed"])
def test_the_page_shows_what_is_stored(address: str, page: Any, story: str, lang: str) -> None:
    page.goto(f"{address}/?story={story}&lang={lang}")
    read = read_page(page)
    view = load_view(open_story(story), "die-a")
    assert view.shown is not None
    classes = view.shown.evaluation.by_class()
    assert read["champion"] == {"undecided": {"en": "none", "ko": "없음"}[lang], "failed": "yolox-nano v2"}[story]
    assert read["found"] == {name: (item.recall.hits, item.recall.trials) for name, item in classes.items()}
    assert read["recalls"] == {name: f"{item.recall.value:.3f}" for name, item in classes.items()}


@pytest.mark.parametrize("story", STORIES)
def test_no_state_shows_an_exception_or_runs_over_the_side(address: str, page: Any, story: str) -> None:
    page.goto(f"{address}/?story={story}&lang=ko")
    wait_until_drawn(page)
    assert page.locator("[data-testid='stException']").count() == 0
    assert too_wide(page) == []


def test_the_page_asks_nothing_of_other_machines(address: str, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/?story=covered&lang=en")
    wait_until_drawn(page)
    assert [url for url in asked if not re.match(rf"({re.escape(address)}|ws://127\.0\.0\.1|data:|blob:)", url)] == []


def test_the_language_is_switched_by_a_click_and_kept_in_the_address(address: str, page: Any) -> None:
    page.goto(f"{address}/?story=covered")
    wait_until_drawn(page)
    assert page.locator("h1").inner_text() == "Today"
    page.get_by_role("radio", name="한국어").click()
    page.wait_for_function("() => document.querySelector('h1').innerText === '오늘'")
    assert "lang=ko" in page.url


def test_the_class_table_downloads_as_csv(address: str, page: Any, tmp_path: Path) -> None:
    page.goto(f"{address}/?story=covered&lang=en")
    wait_until_drawn(page)
    with page.expect_download() as download:
        page.locator(".st-key-class-table-csv button").click()
    file = tmp_path / "classes.csv"
    download.value.save_as(file)
    assert file.read_text(encoding="utf-8-sig").startswith("line,model,evaluation,defect_class,instances,found,recall,")
    assert download.value.suggested_filename == "die-a-evaluation-die-a-2.csv"


def test_charts_and_tables_tell_a_screen_reader_what_they_show(address: str, page: Any) -> None:
    page.goto(f"{address}/?story=covered&lang=en")
    wait_until_drawn(page)
    assert page.locator(
        "[aria-label='Recall of each defect class with its confidence bounds and the gate\\'s limit']"
    ).count()


def test_each_mark_of_a_chart_is_told_to_a_screen_reader(address: str, page: Any) -> None:
    page.goto(f"{address}/?story=covered&lang=en")
    wait_until_drawn(page)
    chart = page.get_by_role("figure", name=TEXT.plain("recall_alt"))
    view = load_view(open_story("covered"), "die-a")
    assert view.shown is not None
    for item in view.shown.evaluation.classes:
        told = f"{TEXT.word('recall')} {TEXT.value(item.recall.value)}, {TEXT.found(item.recall)}"
        assert chart.get_by_role("img", name=f"{item.defect_class} {told}").count() == 1


def test_text_in_charts_keeps_its_size_on_every_width(address: str, page: Any) -> None:
    page.goto(f"{address}/?story=covered&lang=en")
    wait_until_drawn(page)
    heights = []
    for width in (1440, 820):
        page.set_viewport_size({"width": width, "height": 1180})
        heights.append(
            page.locator(".chart .panel text").evaluate_all(
                "all => all.map(text => text.getBoundingClientRect().height)"
            )
        )
    assert heights[0] == pytest.approx(heights[1], abs=0.5)
    assert 12 <= min(heights[0]) <= max(heights[0]) <= 24


@pytest.mark.parametrize("story", ["failed", "empty", "awaiting"])
def test_no_page_waits_for_a_library_that_draws_or_colours_code(address: str, page: Any, story: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for view in VIEWS:
        page.goto(f"{address}/{view.PATH}?story={story}&lang=en")
        wait_until_drawn(page)
    assert asked != []
    assert [url for url in asked if re.search("Plotly|VegaLite|SyntaxHighlighter|DataFrame", url)] == []


def test_an_address_alone_is_enough_to_read_a_dashboard(address: str) -> None:
    read = read_dashboard(f"{address}/?story=covered&lang=en")
    assert read["champion"] == "yolox-nano v2"
    assert set(read["verdicts"].values()) == {"pass"}


def test_a_page_finds_its_server_at_the_first_try(address: str, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/classes?story=covered&lang=en")
    wait_until_drawn(page)
    assert [url for url in asked if "health" in url] == [f"{address}/_stcore/health"]
