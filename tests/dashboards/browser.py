"""A real Streamlit process and a real Chromium, and what a reader finds on the page."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE_S = 240.0
"""How long a busy machine may take for a step before a test calls it stuck."""
LOAD_MS = 1000 * PATIENCE_S


def find_chromium() -> str | None:
    """Return the system's Chromium, if there is one."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(script: Path, log: Path, *options: str, port: int = 0) -> Iterator[str]:
    """Run a Streamlit script on a port of the loopback, a free one where none is given; yield its address."""
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.address", "127.0.0.1"]
    command += [
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--browser.gatherUsageStats",
        "false",
        *options,
    ]
    # From dashboards/, so that its theme holds for scripts elsewhere as well.
    with log.open("wb") as sink:
        # The path first, as some packages install a folder called tests of their own.
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
        process = subprocess.Popen(
            command, cwd=ROOT / "dashboards", env=environment, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        _await_health(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def _await_health(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health") as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    message = f"streamlit did not answer on port {port} within {PATIENCE_S:.0f} s: {log.read_text()[-2000:]}"
    raise RuntimeError(message)


@contextlib.contextmanager
def chromium(executable: str | None = None) -> Iterator[Any]:
    """Start Chromium without a window; yield Playwright's browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable or find_chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def wait_until_drawn(page: Any, timeout_ms: float = LOAD_MS) -> None:
    """Wait until the script has run, all of it stands on the page and nothing spins."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']", timeout=timeout_ms)
    page.wait_for_function(
        '() => !document.querySelector(\'[data-testid="stSkeleton"], [data-testid="stSpinner"]\')',
        timeout=timeout_ms,
    )


# The server draws what a line hides once it is told that the line is open: the page is at rest before and after that.
OPENED = """() => [...document.querySelectorAll('[data-testid="stExpander"] details[open]')]
    .every(line => line.querySelector('[data-testid="stElementContainer"]'))"""


def unfold(page: Any) -> None:
    """Open every line that hides something, and wait for what it hid."""
    closed = page.locator("[data-testid='stExpander'] details:not([open]) > summary")
    while closed.count():
        before = closed.count()
        closed.first.press("Enter")  # a click goes astray while the line before it still opens
        page.wait_for_function(
            f"() => document.querySelectorAll('[data-testid=\"stExpander\"] details:not([open])').length < {before}"
        )
        page.wait_for_function(OPENED)
        wait_until_drawn(page)


SETTLING = 80  # looks at a page that is still being laid out
# The frame of the page scrolls inside itself: the window's own width says nothing.
WIDE = """() => [...document.querySelectorAll('[data-testid="stMain"] *:not(svg *)')]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .map(element => element.outerHTML.slice(0, 120))"""


def too_wide(page: Any) -> list[str]:
    """Return the beginnings of the elements that run over the window's side, on a desk and on a tablet."""
    found = []
    for width, height in ((1440, 900), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        wide: list[str] = page.evaluate(WIDE)
        for _ in range(SETTLING):
            if not wide:
                break
            page.wait_for_timeout(250)  # charts follow the width
            wide = page.evaluate(WIDE)
        found += [f"{width}: {element}" for element in wide]
    return found


# Icons are letters of a font: their names are no part of what a reader sees.
SEEN = """element => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("[role='img']").forEach(icon => icon.remove());
    return copy.textContent.replace(/\\s+/g, " ").trim();
}"""


def rows_of(page: Any, key: str) -> list[list[str]]:
    """Return the text of a table's body cells, row by row; `key` is the container's."""
    rows: list[list[str]] = page.locator(f".st-key-{key} table tbody tr").evaluate_all(
        f"rows => rows.map(row => [...row.cells].map({SEEN}))"
    )
    return rows


def read_page(page: Any) -> dict[str, Any]:
    """Return what an opened dashboard says of its line.

    Returns:
        `champion`: its name; `sentence`: the line's state; `gate`: the newest verdict's line; `recalls`, `found` and
        `verdicts`: per class the recall as shown (three digits), hits and instances as (int, int), and the word.
    """
    wait_until_drawn(page)
    classes = {row[0]: row for row in rows_of(page, "class-table")}

    def shown(key: str, within: str = "") -> str:
        place = page.locator(f".st-key-{key} {within}")
        return str(place.first.evaluate(SEEN)) if place.count() else ""

    def pair(cell: str) -> tuple[int, ...]:
        return tuple(int(part.replace(",", "")) for part in cell.split("/"))

    return {
        "champion": shown("champion-name", "strong"),
        "sentence": shown("sentence"),
        "gate": shown("gate-verdict"),
        "recalls": {name: row[1] for name, row in classes.items()},
        "found": {name: pair(row[4]) for name, row in classes.items()},
        "verdicts": {name: row[-1] for name, row in classes.items()},
    }


def read_dashboard(url: str) -> dict[str, Any]:
    """Open a dashboard in Chromium and return what `read_page` finds."""

    def read() -> dict[str, Any]:
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(LOAD_MS)
            page.goto(url)
            return read_page(page)

    # In a thread of its own: Playwright runs once a thread, and a caller's test may have one open already.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(read).result()
