"""The Streamlit dashboard as a part of the stack."""

import importlib.util
import sys
from pathlib import Path

import urllib3

from wafergate.adapters.embedded import prefect
from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.ports import LOOPBACK
from wafergate.adapters.embedded.processes import Launch
from wafergate.adapters.embedded.state import ProcessRecord


def installed() -> bool:
    """Say whether Streamlit (the extra `dashboard`) can be imported."""
    return importlib.util.find_spec("streamlit") is not None


def part(app: Path) -> Part:
    """Return the part that serves a Streamlit app.

    Args:
        app: The app's file.
    """

    def launch(context: Context) -> Launch:
        """Say how the app is served."""
        options = {
            "server.address": LOOPBACK,
            "server.port": str(context.state.ports["dashboard"]),
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", "streamlit", "run", str(app), *arguments]
        return Launch(command, prefect.environment(context), context.folder("dashboard"))

    return Part("dashboard", needs=("postgres", "s3"), ports=("dashboard",), launch=launch, answers=answers)


def answers(context: Context, record: ProcessRecord) -> bool:
    """Say whether the app's server is healthy."""
    del record
    pool = urllib3.PoolManager(retries=False, timeout=5)
    return pool.request("GET", f"http://{context.address('dashboard')}/_stcore/health").status == 200
