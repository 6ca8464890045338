"""The embedded Prefect server, on the embedded PostgreSQL, and a process worker for its work pool."""

import datetime as dt
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

from wafergate.adapters.embedded import postgres, processes
from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.ports import LOOPBACK
from wafergate.adapters.embedded.processes import Launch
from wafergate.adapters.embedded.state import ProcessRecord
from wafergate.errors import ServiceError

WORK_POOL = "wafergate"
WORKER = "wafergate"
START_SLACK = dt.timedelta(seconds=1)  # creation times are whole clock ticks, heartbeats microseconds
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_LOGGING_COLORS": "false",
    "PYTHONUNBUFFERED": "1",
}


def api_url(context: Context) -> str:
    """Return the address that Prefect's clients use."""
    return f"http://{context.address('prefect')}/api"


def offered(context: Context) -> dict[str, str]:
    """Return the settings that the embedded Prefect answers for."""
    return {"prefect_api_url": api_url(context), "prefect_ui_url": f"http://{context.address('prefect')}"}


def environment(context: Context) -> dict[str, str]:
    """Return the caller's environment with Prefect's settings replaced by ours, profiles included."""
    kept: Mapping[str, str] = {k: v for k, v in context.environ.items() if not k.startswith("PREFECT_")}
    return {
        **kept,
        **QUIET,
        "PREFECT_HOME": str(context.folder("prefect")),
        "PREFECT_API_URL": api_url(context),
        "WAFERGATE_HOME": str(context.home),
    }


def launch_server(context: Context) -> Launch:
    """Say how the server is run."""
    connection = postgres.url(context, postgres.PREFECT, postgres.PREFECT)
    settings = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": connection.replace("postgresql:", "postgresql+asyncpg:", 1),
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(context.state.ports["prefect"]),
        "PREFECT_UI_API_URL": api_url(context),
        # Else it unpacks its pages into the installed package, which may belong to another user.
        "PREFECT_UI_STATIC_DIRECTORY": str(context.folder("prefect") / "pages"),
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",  # seconds at each start for blocks nobody uses
    }
    command = [sys.executable, "-m", "prefect", "server", "start"]
    return Launch(command, {**environment(context), **settings}, context.folder("prefect"))


def launch_worker(context: Context) -> Launch:
    """Say how the worker is run; it makes the work pool if that is missing."""
    command = [sys.executable, "-m", "prefect", "worker", "start"]
    options = ["--pool", WORK_POOL, "--type", "process", "--name", WORKER, "--install-policy", "never"]
    path = os.pathsep.join([str(Path(sys.executable).parent), context.environ.get("PATH", os.defpath)])
    settings = {"PATH": path, "TMPDIR": str(own_temporary_folder())}
    return Launch([*command, *options], {**environment(context), **settings}, context.folder("prefect"))


def own_temporary_folder() -> Path:
    """Return a temporary folder of this user alone.

    Prefect's workers share one name in the system's, which the first user to start one owns. It is not in the home
    folder, whose path may be too long for the sockets that data loaders make in theirs.

    Raises:
        ServiceError: Somebody else has made it.
    """
    path = Path(tempfile.gettempdir()) / f"wafergate-{os.geteuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise ServiceError(f"worker: {path} belongs to another user: have it removed, or set TMPDIR to another folder")
    return path


def server_answers(context: Context, record: ProcessRecord) -> bool:
    """Say whether the API is healthy."""
    del record
    return request(context, "GET", "/health") is True


def worker_answers(context: Context, record: ProcessRecord) -> bool:
    """Say whether the server has heard from this very process: a dead one counts as online for a while."""
    process = processes.find(record)
    if process is None:
        return False
    # A correction of the clock moves the second of the two; the beats of before and after it count all the same.
    earliest = min(record.create_time, process.create_time())
    started = dt.datetime.fromtimestamp(earliest, dt.UTC) - START_SLACK
    found = request(context, "POST", f"/work_pools/{WORK_POOL}/workers/filter")
    beats = [entry["last_heartbeat_time"] for entry in found if entry["name"] == WORKER]
    return any(dt.datetime.fromisoformat(beat) >= started for beat in beats if beat)


def request(context: Context, method: str, path: str) -> Any:
    """Ask the server something; an answer other than 200 is a `ValueError`."""
    body = b"{}" if method == "POST" else None
    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=2, read=10))
    answer = pool.request(method, api_url(context) + path, body=body, headers={"content-type": "application/json"})
    if answer.status != 200:
        raise ValueError(f"{path} answers {answer.status}")
    return json.loads(answer.data)


SERVER = Part(
    "prefect",
    needs=("postgres",),
    ports=("prefect",),
    launch=launch_server,
    answers=server_answers,
    start_seconds=120.0,  # makes its tables at first start
)
PART_WORKER = Part(
    "worker",
    needs=("prefect", "s3"),
    ports=(),
    launch=launch_worker,
    answers=worker_answers,
    start_seconds=90.0,
    stop_seconds=30.0,  # it ends its flow runs first
)
