"""Every page in a real Chromium: whole in both languages, true to the stores, its links open, data stays text."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from dashboards.shell import VIEWS
from dashboards.texts import JOINER, Text, phrases
from tests.dashboards.browser import SEEN, find_chromium, rows_of, too_wide, unfold, wait_until_drawn
from tests.dashboards.inspected import open_inspections
from tests.dashboards.runs import open_runs
from tests.dashboards.stories import HOSTILE, TRICKED, open_story
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.weekly import Week
from wafergate.formats.weekly_page import weekly_words, write_weekly
from wafergate.jobs.weekly import inspected_in, week_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (package chromium), found none on the path"),
]
TEXT = Text("en")
PROBE = (
    "/_stcore/"  # on a page below the root Streamlit's client looks there for its server, before it looks at the root
)
FORBIDDEN = "a[href*='//evil'], img[src='x'], img[src*='evil'], [onerror], .katex"


class Watched:
    """What a page complains of and asks for while it is open."""

    def __init__(self, page: Any) -> None:
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.dialogs: list[Any] = []
        page.on("console", self._told)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("dialog", lambda dialog: self.dialogs.extend([dialog]))

    def _told(self, message: Any) -> None:
        if message.type == "error" and PROBE not in message.location.get("url", ""):
            self.errors.append(message.text)


def _open(page: Any, address: str, path: str, story: str, **asked: str) -> None:
    query = "".join(f"&{name}={value}" for name, value in asked.items())
    page.goto(f"{address}/{path}?story={story}{query}")
    wait_until_drawn(page)


def _faults(page: Any) -> list[str]:
    """Return exception boxes and dialogs, such as Streamlit's for an address without a page."""
    return [str(box.inner_text()) for box in page.locator("[data-testid='stException'], [role='dialog']").all()]


def _seen(page: Any, key: str) -> str:
    return str(page.locator(f".st-key-{key}").first.evaluate(SEEN))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_page_opens_under_its_address_and_is_whole(address: str, page: Any, lang: str) -> None:
    watched = Watched(page)
    for view in VIEWS:
        _open(page, address, view.PATH, "failed", lang=lang)
        assert page.locator("h1").inner_text() == phrases()[lang][view.TITLE]
        assert (view.PATH, _faults(page), watched.errors, too_wide(page)) == (view.PATH, [], [], [])


def test_classes_shows_the_stored_hits_of_each_class(address: str, page: Any) -> None:
    _open(page, address, "classes", "failed", lang="en")
    facts = open_story("failed")
    champion = facts.champion("die-a")
    assert champion is not None
    (stored,) = [row for row in facts.find(Evaluation) if row.model_id == champion.model_id]
    shown = {row[0]: row[4] for row in rows_of(page, "class-table")}
    assert shown == {item.defect_class: f"{item.recall.hits} / {item.recall.trials}" for item in stored.classes}


def test_drift_shows_the_stored_verdict_and_advice(address: str, page: Any) -> None:
    _open(page, address, "drift", "drifted", lang="en")
    report = open_story("drifted").find(DriftReport)[0]
    assert report.advice is not None
    assert _seen(page, "drift-verdict") == TEXT.word(report.verdict)
    assert TEXT.word(report.advice) in _seen(page, "drift-advice")
    assert [row[1] for row in rows_of(page, "slice-table")] == [str(item.images) for item in report.slices]


def test_data_shows_the_stored_sizes_of_the_newest_version(address: str, page: Any) -> None:
    _open(page, address, "data", "failed", lang="en")
    newest = max(open_story("failed").find(DatasetVersion), key=lambda row: row.number)
    told = [str(newest.number), TEXT.count(newest.images), TEXT.count(newest.normal_images)]
    row = rows_of(page, "versions-table")[0]
    assert [row[0], *row[2:4]] == told


def test_decisions_shows_the_stored_verdict_of_the_newest(address: str, page: Any) -> None:
    _open(page, address, "decisions", "failed", lang="en")
    newest = open_story("failed").find(GateDecision)[0]
    assert _seen(page, "gate-verdict").startswith(TEXT.word(newest.verdict))
    assert rows_of(page, "die-a-ledger")[0][1].endswith(TEXT.word(newest.verdict))


def test_lots_shows_the_stored_images_of_each(address: str, page: Any) -> None:
    _open(page, address, "lots", "failed", lang="en", lot="L2138")
    store = open_inspections("failed")
    images = store.images(line="die-a", lot="L2138")
    defective = sum(bool(image.detections) for image in images)
    assert f"{defective} of {len(images)} images" in _seen(page, "judged-by")
    shown = {row[0]: (row[3], row[4].split()[0]) for row in rows_of(page, "lot-table")}
    assert shown == {row.lot: (str(row.images), str(row.defective)) for row in store.lots("die-a", 100)}


def test_runs_shows_what_the_orchestrator_tells(address: str, page: Any) -> None:
    _open(page, address, "runs", "failed", lang="en")
    told = open_runs("failed").runs("die-a", flows=("retrain", "watch", "inspect-lot"), limit=100)
    assert [row[1] for row in rows_of(page, "run-table")] == [run.flow for run in told]
    assert [row[0] for row in rows_of(page, "planned-table")] == [item.flow for item in open_runs("").planned("die-a")]


def test_weekly_shows_the_page_that_the_stored_week_makes(address: str, page: Any) -> None:
    _open(page, address, "weekly", "failed", lang="en", until="2026-03-11")
    frame = page.locator("iframe").get_attribute("srcdoc")
    week = Week.ending(datetime(2026, 3, 11, tzinfo=UTC).date(), UTC)
    inspected = inspected_in(open_inspections("failed"), "die-a", week)
    content = week_of(open_story("failed"), "die-a", week, inspected, now=datetime.now(UTC))
    assert _text_of(page, frame) == _text_of(page, write_weekly(content, weekly_words("en", UTC)).decode())


def test_every_link_opens_its_page_and_keeps_line_and_language(address: str, page: Any) -> None:
    watched = Watched(page)
    followed: set[str] = set()
    for path, line in (*((view.PATH, "tiles") for view in VIEWS), ("today", "die-a"), ("lots", "die-a")):
        _open(page, address, path, "two_lines", lang="ko", line=line)
        for target in _links(page, address) - followed:
            followed.add(target)
            page.goto(f"{target}&story=two_lines")
            wait_until_drawn(page)
            asked = parse_qs(urlsplit(page.url).query)
            assert (target, _faults(page), watched.errors) == (target, [], [])
            assert (asked["line"], asked["lang"]) == ([line], ["ko"])
            shown = page.locator(".st-key-line input").input_value()
            assert shown == line
    assert len(followed) > len(VIEWS)


def test_every_entry_of_the_menu_opens_its_page_and_keeps_line_and_language(address: str, page: Any) -> None:
    _open(page, address, "", "two_lines", lang="ko", line="tiles")
    for view in (*VIEWS[1:], VIEWS[0]):
        title = phrases()["ko"][view.TITLE]
        page.get_by_test_id("stTopNav").get_by_role("link", name=title, exact=True).click()
        page.wait_for_function("title => document.querySelector('h1')?.innerText === title", arg=title)
        wait_until_drawn(page)
        asked = parse_qs(urlsplit(page.url).query)
        assert (asked["line"], asked["lang"], _faults(page)) == (["tiles"], ["ko"], [])


def test_every_table_is_offered_as_csv_with_all_of_its_rows(address: str, page: Any, tmp_path: Path) -> None:
    offered = 0
    for view in VIEWS:
        _open(page, address, view.PATH, "failed", lang="ko")
        unfold(page)
        tables = page.locator("[data-testid='stMarkdownContainer'] > table")
        buttons = page.locator("[class*='st-key-'][class*='-csv'] button")
        assert (view.PATH, buttons.count()) == (view.PATH, tables.count())
        for place in range(tables.count()):
            with page.expect_download() as download:
                buttons.nth(place).press("Enter")  # a click goes astray where the page moves under it
            file = tmp_path / f"{view.PATH}-{place}.csv"
            download.value.save_as(file)
            with file.open(encoding="utf-8-sig", newline="") as told:
                stored = list(csv.DictReader(told))
            assert len(stored) >= tables.nth(place).locator("tbody tr").count() > 0
            offered += 1
    assert offered > len(VIEWS)


def test_text_from_data_becomes_no_element_on_any_page(address: str, page: Any) -> None:
    watched = Watched(page)
    shown = {}
    for view in VIEWS:
        _open(page, address, view.PATH, "hostile", lang="en")
        shown[view.PATH] = page.locator("body").inner_text().replace(JOINER, "").count(HOSTILE)
        assert (view.PATH, _faults(page), page.locator(FORBIDDEN).count()) == (view.PATH, [], 0)
        for frame in page.frames:
            assert frame.locator(FORBIDDEN).count() == 0
        assert (view.PATH, too_wide(page), watched.errors, watched.dialogs) == (view.PATH, [], [], [])
    assert HOSTILE in TRICKED
    # The weekly report is a document of its own.
    assert {path for path, count in shown.items() if not count} <= {"weekly"}
    assert not [url for url in watched.asked if "evil" in url]


def test_a_lot_of_any_name_opens_by_its_link(address: str, page: Any) -> None:
    watched = Watched(page)
    _open(page, address, "lots", "hostile", lang="en")
    (target,) = [link for link in _links(page, address) if "evil" in link]
    page.goto(f"{target}&story=hostile")
    wait_until_drawn(page)
    assert HOSTILE in page.locator("h3").first.inner_text().replace(JOINER, "")
    assert (_faults(page), page.locator(FORBIDDEN).count(), watched.errors, watched.dialogs) == ([], 0, [], [])


def _links(page: Any, address: str) -> set[str]:
    """Return the addresses of the links on a page that stay in the dashboard, without the menu's."""
    found = page.locator("[data-testid='stMain'] a[href]").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    whole = {urljoin(page.url, href) for href in found if not href.startswith("#")}
    return {target for target in whole if target.startswith(f"{address}/")}


def _text_of(page: Any, document: str) -> str:
    """Return the text of a report, its spaces aside."""
    body = page.evaluate("html => new DOMParser().parseFromString(html, 'text/html').body.innerText", document)
    return " ".join(str(body).split())
