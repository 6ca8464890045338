"""Chromium without a window: a self-contained HTML page to a PDF."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from wafergate.errors import ServiceError

__all__ = ["NAMES", "find_chromium", "print_page"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
TIMEOUT_S: Final = 60.0

_FLAGS: Final = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-pdf-header-footer",
)


def find_chromium() -> str | None:
    """Return the path of the system's Chromium, Chrome or Edge, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def print_page(page: bytes) -> bytes:
    """Return a page as it prints, on the paper its own style asks for.

    Args:
        page: a self-contained HTML page in UTF-8; what it would fetch from elsewhere is up to its own policy.

    Raises:
        ServiceError: there is no Chromium, or it did not print the page.
    """
    program = find_chromium()
    if program is None:
        message = (
            f"a PDF needs Chromium or Chrome, found none of {', '.join(NAMES)} on the path: install one (package "
            "chromium), or write the page as .html and print it from a browser"
        )
        raise ServiceError(message)
    with tempfile.TemporaryDirectory(prefix="wafergate-print-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder) / "page.html", Path(folder) / "page.pdf"
        source.write_bytes(page)
        # Chromium keeps no sandbox for root, and says so by not starting.
        rootless = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [program, *_FLAGS, *rootless, f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}"]
        try:
            subprocess.run([*command, source.as_uri()], capture_output=True, timeout=TIMEOUT_S, check=True)
            return target.read_bytes()
        except subprocess.TimeoutExpired as error:
            message = f"{program} did not print the page within {TIMEOUT_S:.0f} s: run it again, or write it as .html"
            raise ServiceError(message) from error
        except (subprocess.CalledProcessError, OSError) as error:
            message = f"{program} did not print the page ({error}): write it as .html and print it from a browser"
            raise ServiceError(message) from error
