"""The Streamlit dashboard as a part of the stack."""

import importlib.util
import os
import secrets as random_secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import urllib3

from wafergate.adapters.embedded import prefect, sign_in
from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.ports import LOOPBACK
from wafergate.adapters.embedded.processes import Launch
from wafergate.adapters.embedded.state import ProcessRecord, write_private
from wafergate.errors import ConfigError

COOKIE = "dashboard_cookie"
"""Name of the secret that signs cookies."""


def installed() -> bool:
    """Say whether Streamlit (the extra `dashboard`) can be imported."""
    return importlib.util.find_spec("streamlit") is not None


def serving(app: Path, *, host: str, port: int, secrets: Path) -> list[str]:
    """Return the command that serves a Streamlit app.

    Args:
        app: the app's file.
        host: address it listens on.
        port: port it listens on.
        secrets: Streamlit's file of secrets; empty where nobody signs in.
    """
    options = {
        "secrets.files": str(secrets),
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(app), *arguments]


def serve(app: Path, environ: Mapping[str, str], folder: Path, *, host: str, port: int) -> NoReturn:
    """Become the server of the app, on the services that the environment names: signals reach it and nothing else.

    Args:
        app: the app's file.
        environ: the environment.
        folder: where the file of secrets goes, which only its owner reads.
        host: address it listens on.
        port: port it listens on.

    Raises:
        ConfigError: sign-in is half configured, or Streamlit is not installed.
    """
    if not installed():
        message = "the dashboard needs Streamlit: pip install 'wafergate[dashboard]'"
        raise ConfigError(message)
    cookie = random_secrets.token_urlsafe(24)
    text = sign_in.secrets_text(environ, cookie_secret=cookie, address=f"{host}:{port}")
    folder.mkdir(parents=True, exist_ok=True)
    secrets = folder / f"secrets-{port}.toml"
    write_private(secrets, text)
    command = serving(app, host=host, port=port, secrets=secrets)
    os.execve(command[0], command, dict(environ))  # noqa: S606 - no shell, and every word is ours


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
        command = serving(app, host=LOOPBACK, port=context.state.ports["dashboard"], secrets=secrets)
        return Launch(command, prefect.environment(context), context.folder("dashboard"))

    return Part("dashboard", needs=("postgres", "s3"), ports=("dashboard",), launch=launch, answers=answers)


def answers(context: Context, record: ProcessRecord) -> bool:
    """Say whether the app's server is healthy."""
    del record
    pool = urllib3.PoolManager(retries=False, timeout=5)
    return pool.request("GET", f"http://{context.address('dashboard')}/_stcore/health").status == 200
