"""One Streamlit process over the stories and one Chromium for the tests of a file."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.browser import LOAD_MS, chromium, served

APP = Path(__file__).parent / "served_stories.py"


@pytest.fixture(autouse=True)
def _own_main_module() -> Iterator[None]:
    # AppTest leaves the page it ran behind as `__main__`; processes started later would run that page as theirs.
    own = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = own


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(APP, tmp_path_factory.mktemp("streamlit") / "log.txt") as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        # One context, so that the pages share its cache.
        context = running.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
        context.set_default_timeout(LOAD_MS)
        yield context


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page()
    yield opened
    opened.close()
