"""The dashboard over a year of inspections: first views, what the database takes of them, many viewers, memory.

`WAFERGATE_BENCH_INSPECTIONS` sets how many images lie behind the pages, `WAFERGATE_BENCH_LOADS` how many page loads the
memory is watched over. `WAFERGATE_BENCH_STORE` names a folder that keeps the generated images for another run, and
`WAFERGATE_BENCH_PARTS` those of `reads,views,viewers,loads` to measure; an empty one only generates. Needs Chromium.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from dashboards.reading import drift, line, lots, weekly
from dashboards.shell import VIEWS
from tests import rows
from tests.benchmarks import bench_inspections
from tests.benchmarks.bench_inspections import DAYS, IMAGES, LINE, LOT, database, fill, median_ms, server_in
from tests.benchmarks.table import Row
from tests.dashboards.browser import chromium, find_chromium, served, wait_until_drawn
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections
from wafergate.domain.gate import Champion, LedgerKind
from wafergate.domain.weekly import Week

APP = Path(__file__).parents[2] / "dashboards" / "app.py"
LOADS = int(os.environ.get("WAFERGATE_BENCH_LOADS", "200"))
STORE = os.environ.get("WAFERGATE_BENCH_STORE")
PARTS = os.environ.get("WAFERGATE_BENCH_PARTS", "reads,views,viewers,loads").split(",")
WAIT_MS = 120_000
FIRST_VIEWS = 5
VIEW_S, READ_MS, VIEWERS, GROWTH_MIB = 1.5, 200.0, 20, 50.0


def run() -> list[Row]:
    """Return the rows of this benchmark."""
    if find_chromium() is None:
        return [Row("dashboard", "", "", None, "", "no Chromium")]
    now = datetime.now(UTC)
    with _filled(now) as address:
        facts, store = PostgresFacts(address, clock=lambda: now), PostgresInspections(address, clock=lambda: now)
        try:
            lot = store.lots(LINE, 1)[0].lot
            reads = [*_reads(facts, store, now)] if "reads" in PARTS else []
        finally:
            facts.close()
            store.close()
        return [*reads, *(_views(address, lot) if {"views", "viewers", "loads"}.intersection(PARTS) else ())]


@contextmanager
def _filled(now: datetime) -> Iterator[str]:
    """Run a server that holds the images and their champion; yield its address."""
    if STORE is None:
        with database() as address:
            _fill(address, now)
            yield address
        return
    mark = Path(STORE) / "images"
    whole = mark.exists() and mark.read_text() == str(IMAGES)
    if not whole:
        shutil.rmtree(Path(STORE) / "postgres", ignore_errors=True)  # another size, or half generated
    with server_in(Path(STORE)) as address:
        if not whole:
            _fill(address, now)
            mark.write_text(str(IMAGES))
        yield address


def _fill(address: str, now: datetime) -> None:
    # The year must end today: the pages show the newest days.
    bench_inspections.START = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    fill(address)
    facts = PostgresFacts(address, clock=lambda: now)
    _champion(facts, now)
    facts.close()
    owner = PostgresInspections(address, clock=lambda: now, owner=address)
    owner.reroll(LINE)
    owner.close()


def _champion(facts: PostgresFacts, now: datetime) -> None:
    """Make a model that judged the images champion, with what the pages say of one."""
    verdict, model = rows.decision(LINE, "b"), rows.model(LINE, "b")
    for row in (rows.evaluation(LINE, "b"), verdict, rows.drift_report(LINE, model)):
        facts.save(row)
    champion = Champion(LINE, model.id, verdict.id, "bench", "measured", now)
    facts.promote(champion, kind=LedgerKind.PROMOTED, details={})


def _reads(facts: PostgresFacts, store: PostgresInspections, now: datetime) -> Iterator[Row]:
    """Yield how long each page's questions take."""
    week, today = Week.ending(now.date(), UTC), now.date()
    lot = store.lots(LINE, 1)[0].lot
    asked: dict[str, Callable[[], object]] = {
        "today": lambda: line.load_view(facts, LINE),
        "drift": lambda: (drift.load_reports(facts, LINE), lots.load_days(store, LINE, today)),
        "lots": lambda: (lots.load_days(store, LINE, today), lots.load_lots(store, LINE)),
        f"a lot of {LOT}": lambda: lots.load_images(store, LINE, lot, None, None),
        "weekly": lambda: weekly.load_week(facts, LINE, week, weekly.load_inspected(store, LINE, week)),
    }
    for name, question in asked.items():
        took = median_ms(lambda question=question: [question()])  # type: ignore[misc]
        what = f"dashboard: database part of {name}, {IMAGES:,} images, ms"
        yield Row(what, f"{took:.0f}", f"{READ_MS:.0f}", took / READ_MS, "< 1", _verdict(took < READ_MS))


def _views(address: str, lot: str) -> Iterator[Row]:
    environment = {
        "WAFERGATE_DATABASE_READONLY_URL": address,
        "WAFERGATE_S3_ENDPOINT": "127.0.0.1:9",
        "WAFERGATE_S3_ACCESS_KEY": "none",
        "WAFERGATE_S3_SECRET_KEY": "none",
        "WAFERGATE_S3_SECURE": "false",
    }
    with tempfile.TemporaryDirectory(prefix="wafergate-bench-") as folder:
        os.environ.update(environment | {"WAFERGATE_HOME": folder})
        with served(APP, Path(folder) / "log.txt") as url, chromium() as browser:
            context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
            _load(context, f"{url}/today")  # starts the session's imports and fills the browser's cache
            if "views" in PARTS:
                yield from _first_views(context, url)
            if "viewers" in PARTS:
                took, errors = _together(context, f"{url}/lots?line={LINE}&lot={lot}")
                what = f"dashboard: {VIEWERS} viewers at once, errors (all drawn after {took:.1f} s)"
                yield Row(what, str(errors), "0", None, "0", _verdict(errors == 0))
            if "loads" in PARTS:
                yield _growth(context, url)


def _usual(context: Any, url: str) -> float:
    """Return the median of a few first views, each by a session of its own, seconds."""
    return statistics.median(_load(context, url) for _ in range(FIRST_VIEWS))


def _first_views(context: Any, url: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="wafergate-bench-") as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text("import streamlit\n\nstreamlit.write('nothing')\n", encoding="utf-8")
        with served(empty, Path(folder) / "log.txt") as bare:
            _load(context, bare)
            least = _usual(context, bare)
    yield Row(
        "first view of an empty Streamlit page: the least a page takes here, s", f"{least:.2f}", "", None, "", "shown"
    )
    for view in VIEWS:
        took = _usual(context, f"{url}/{view.PATH}?line={LINE}")
        what = f"dashboard: first view of {view.PATH}, s"
        yield Row(what, f"{took:.2f}", f"{VIEW_S}", took / VIEW_S, "< 1", _verdict(took < VIEW_S))


def _load(context: Any, address: str) -> float:
    """Return the seconds until a page is drawn."""
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(address)
    wait_until_drawn(page, WAIT_MS)
    took = time.perf_counter() - begun
    page.close()
    return took


def _together(context: Any, address: str) -> tuple[float, int]:
    """Return the seconds until all viewers see a page, and how many see an error."""
    begun = time.perf_counter()
    pages = [context.new_page() for _ in range(VIEWERS)]
    for page in pages:
        page.goto(address, wait_until="commit")
    for page in pages:
        wait_until_drawn(page, WAIT_MS)
    took = time.perf_counter() - begun
    bad = "[data-testid='stException'], .st-key-trouble"
    errors = sum(page.locator(bad).count() > 0 for page in pages)
    for page in pages:
        page.close()
    return took, errors


def _growth(context: Any, url: str) -> Row:
    """Return how much the server's memory grows over many page loads, after some that fill its caches."""
    server = next(child for child in psutil.Process().children() if "streamlit" in " ".join(child.cmdline()))
    paths = [f"{url}/{view.PATH}?line={LINE}" for view in VIEWS]
    for place in range(4 * len(paths)):
        _load(context, paths[place % len(paths)])
    before = server.memory_info().rss
    for place in range(LOADS):
        _load(context, paths[place % len(paths)])
    grown = (server.memory_info().rss - before) / 2**20
    what = f"dashboard: memory growth over {LOADS} page loads, MiB"
    return Row(what, f"{grown:.1f}", f"{GROWTH_MIB:.0f}", grown / GROWTH_MIB, "< 1", _verdict(grown < GROWTH_MIB))


def _verdict(held: bool) -> str:
    return "met" if held else "missed"
