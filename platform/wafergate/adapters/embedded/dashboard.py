"""The Streamlit dashboard as a part of the stack."""

import importlib.util
import sys
from pathlib import Path

import urllib3

from wafergate.adapters.embedded import prefect, sign_in
from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.ports import LOOPBACK
from wafergate.adapters.embedded.processes import Launch
from wafergate.adapters.embedded.state import ProcessRecord, write_private

COOKIE = "dashboard_cookie"
"""Name of the secret that signs cookies."""


def installed() -> bool:
    """Say whether Streamlit (the extra `dashboard`) can be imported."""
    return importlib.util.find_spec("streamlit") is not None


def part(app: Path) -> Part:
    """Return the part that serves a Streamlit app.

    Args:
        app: The app's file.
    """

    def launch(context: Context) -> Launch:
        """Say how the app is served; who may look at it stands in a file that only its owner reads."""
        secrets = context.folder("dashboard") / "secrets.toml"
        text = sign_in.secrets_text(
            context.environ, cookie_secret=context.state.secret(COOKIE), address=context.address("dashboard")
        )
        write_private(secrets, text)
        options = {
            "secrets.files": str(secrets),
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
