"""Register the flows of a line as Prefect deployments, with the schedules of its line file, and release through one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import Flow
from prefect.schedules import Cron, Schedule

from flows.automations import TAG, heartbeat_s, register_automations
from flows.opening import FAILED
from wafergate.errors import ConfigError, PromotionError, ServiceError
from wafergate.line import LineFile, load_line
from wafergate.wiring import settings

__all__ = ["TRAINING_QUEUE", "WORK_POOL", "reads", "register", "run_release"]

WORK_POOL = "wafergate"
TRAINING_QUEUE = "training"
"""The queue of every line's `retrain`: one run at a time, because there is one GPU."""

ENTRIES = ("intake", "retrain", "release", "inspect_lot", "watch", "govern", "golden", "recover", "alerts", "weekly")
_ALONE = {"retrain", "inspect_lot", "watch", "govern", "golden", "alerts", "weekly"}
_LABELLED = {"retrain", "govern"}
_INCOMING = {"inspect_lot", "watch"}
_POOL_MADE_BY = (
    f"`wafergate up` makes one, or on servers of your own `prefect worker start --pool {WORK_POOL} --type process`"
)


def register(line_path: Path) -> list[str]:
    """Create or update the line's deployments and automations; registering twice changes nothing.

    Returns:
        The names of the deployments, e.g. `retrain/pcb`.

    Raises:
        ConfigError: a schedule is wrong, or is set without the source and format it would read.
        ServiceError: Prefect does not take a deployment.
    """
    line = load_line(line_path)
    deployments = dict(_deployments(line, line_path))
    try:
        with get_client(sync_client=True) as client:
            _make_queue(client)
            ids = {entry: _apply(deployment) for entry, deployment in deployments.items()}
            register_automations(client, line.name, ids, lost_after_s=line.schedule.lost_after_s)
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        message = f"Prefect does not take the line's deployments ({error}): see `wafergate status`"
        raise ServiceError(message) from error
    return [deployment.full_name for deployment in deployments.values()]


def _deployments(line: LineFile, line_path: Path) -> Iterator[tuple[str, RunnerDeployment]]:
    root, schedule = Path(__file__).resolve().parent.parent, line.schedule
    crons = _crons(line)
    beat = heartbeat_s(schedule.lost_after_s)
    for entry in ENTRIES:
        flow = cast("Flow[Any, Any]", Flow.from_source(source=str(root), entrypoint=f"flows/{entry}.py:{entry}"))
        cron = crons.get(entry, "")
        deployment = flow.to_deployment(
            name=line.name,
            parameters={"line": str(line_path.resolve())} | reads(entry, line),
            schedules=[_cron(entry, cron, schedule.timezone)] if cron else [],
            concurrency_limit=1 if entry in _ALONE else None,
            tags=[TAG, line.name],
            work_pool_name=WORK_POOL,
            work_queue_name=TRAINING_QUEUE if entry == "retrain" else None,
            job_variables={"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(beat)}},
        )
        yield entry, cast("RunnerDeployment", deployment)


def _cron(entry: str, cron: str, timezone: str) -> Schedule:
    try:
        return Cron(cron, timezone=timezone)
    except ValueError as error:
        told = "; ".join(str(error).splitlines()[:1])
        message = f"[schedule] of {entry}: {cron!r} in {timezone!r} is no cron expression in a time zone ({told})"
        raise ConfigError(message) from error


def _crons(line: LineFile) -> dict[str, str]:
    schedule = line.schedule
    # A dispatcher without a channel would start a process every few minutes for nothing.
    told = schedule.alerts if line.alerts.channels or settings().alert_urls else ""
    return {
        "retrain": schedule.retrain,
        "inspect_lot": schedule.inspect,
        "watch": schedule.watch,
        "golden": schedule.golden,
        "alerts": told,
        "weekly": schedule.weekly,
    }


def reads(entry: str, line: LineFile) -> dict[str, str]:
    """Return the source and format that a flow reads when nobody names another; nothing where the line names none.

    Raises:
        ConfigError: it runs by itself and has none.
    """
    schedule = line.schedule
    if entry in _LABELLED:
        key, source, format_name = "source", schedule.source, schedule.format
    elif entry in _INCOMING:
        key, source, format_name = "incoming", schedule.incoming, schedule.incoming_format or schedule.format
    else:
        return {}
    word = {"inspect_lot": "inspect"}.get(entry, entry)
    stored = entry == "watch" and not source  # then it watches what the line has inspected
    if getattr(schedule, word, "") and not (source and format_name) and not stored:
        cron = getattr(schedule, word)
        message = f"[schedule] {word} = {cron!r} needs {key} and format as well: what would it read at night?"
        raise ConfigError(message)
    return {"source": _located(source, line.path.parent), "format": format_name} if source and format_name else {}


def _located(source: str, folder: Path) -> str:
    """Return where a source lies seen from anywhere: paths of a line file are relative to it, addresses are not."""
    return source if "://" in source else str((folder / source).resolve())


def _make_queue(client: SyncPrefectClient) -> None:
    """Make the queue of the trainings if it is missing; who has more GPUs raises its limit in Prefect."""
    try:
        client.create_work_queue(TRAINING_QUEUE, concurrency_limit=1, work_pool_name=WORK_POOL)
    except ObjectAlreadyExists:
        return
    except ObjectNotFound as error:
        message = f"Prefect has no process work pool {WORK_POOL!r}: {_POOL_MADE_BY}"
        raise ServiceError(message) from error


def run_release(line_name: str, parameters: Mapping[str, object], *, wait_s: float = 120.0) -> bool:
    """Run a line's `release` deployment and wait for its end; return False where the line has none.

    Raises:
        PromotionError: the run ended without a release; the message is its own.
        ServiceError: no worker ended it in time; it stays in Prefect.
    """
    try:
        run = cast("FlowRun", run_deployment(f"release/{line_name}", parameters=dict(parameters), timeout=wait_s))
    except ObjectNotFound:
        return False
    if run.state is None or not run.state.is_final():
        message = (
            f"the release of line {line_name!r} waits in Prefect as run {run.name!r}, and no worker ended it within "
            f"{wait_s:.0f} s: see `wafergate status`; it goes on by itself when a worker runs"
        )
        raise ServiceError(message)
    if not run.state.is_completed():
        raise PromotionError((run.state.message or run.state.name or "").removeprefix(FAILED))
    return True


def _apply(deployment: RunnerDeployment) -> UUID:
    # Not `prefect.deploy`: in 3.8 it asks for the pool's workers in a way its own server refuses.
    try:
        return cast("UUID", deployment.apply())
    except DeploymentApplyError as error:
        message = (
            f"Prefect does not take deployment {deployment.full_name} ({error}): is there a process work pool "
            f"{WORK_POOL!r}? {_POOL_MADE_BY}"
        )
        raise ServiceError(message) from error
