"""Pictures of every page in every language, size and theme: `make screenshots`.

`python -m tests.dashboards.screenshots "URL?line=NAME" FOLDER [PAGE]` takes those of one line, or of one page;
`python -m tests.dashboards.screenshots "URL?line=sample" docs --readme` the two that the README shows.
"""

import sys
from pathlib import Path
from typing import Any

from dashboards.shell import VIEWS
from tests.dashboards.browser import chromium, wait_until_drawn

SIZES = ((1440, 900), (820, 1180))
LANGUAGES = ("en", "ko")
THEMES = ("light", "dark")
README_PAGES, README_SIZE = ("today", "classes"), (1440, 1180)


def take(browser: Any, url: str, folder: Path, name: str) -> list[Path]:
    """Photograph the whole page at every size, in every language and theme; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for width, height in SIZES:
        for theme in THEMES:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
            for language in LANGUAGES:
                page.goto(f"{url}{'&' if '?' in url else '?'}lang={language}")
                wait_until_drawn(page)
                file = folder / f"{name}-{width}-{theme}-{language}.png"
                _photograph(page, file, width, height)
                files.append(file)
            page.close()
    return files


def take_readme(browser: Any, url: str, file: Path) -> Path:
    """Photograph what a reader sees first of a page."""
    width, height = README_SIZE
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light", locale="en-US")
    page.goto(url)
    wait_until_drawn(page)
    page.screenshot(path=file)
    page.close()
    return file


def _photograph(page: Any, file: Path, width: int, height: int) -> None:
    """Stretch the window to the whole page, which scrolls inside a container of its own, and photograph it."""
    inner = page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(inner, height)})
    page.wait_for_timeout(300)
    page.screenshot(path=file)
    page.set_viewport_size({"width": width, "height": height})


def main(arguments: list[str]) -> int:
    """Photograph every page of the dashboard at an address, or the one named."""
    if len(arguments) not in {2, 3}:
        sys.stderr.write("usage: python -m tests.dashboards.screenshots URL FOLDER [PAGE | --readme]\n")
        return 2
    address, _, query = arguments[0].partition("?")
    folder, readme = Path(arguments[1]), arguments[2:] == ["--readme"]
    names = README_PAGES if readme else arguments[2:] or [view.PATH for view in VIEWS]
    with chromium() as browser:
        for name in names:
            url = f"{address.rstrip('/')}/{name}?{query}"
            taken = [take_readme(browser, url, folder / f"{name}.png")] if readme else take(browser, url, folder, name)
            sys.stdout.writelines(f"{file}\n" for file in taken)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
