"""Register the flows of a line as Prefect deployments, with the schedules of its line file, and release through one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.schedules import Cron

from flows.opening import FAILED
from wafergate.errors import ConfigError, PromotionError, ServiceError
from wafergate.line import load_line
from wafergate.wiring import settings

__all__ = ["WORK_POOL", "register", "run_release"]

WORK_POOL = "wafergate"
ENTRIES = ("intake", "retrain", "release", "inspect_lot", "watch", "alerts", "weekly")


def register(line_path: Path) -> list[str]:
    """Create or update one deployment for each flow; return their names, e.g. `retrain/pcb`.

    Raises:
        ConfigError: a schedule is set without the source and format it would read.
        ServiceError: Prefect does not take a deployment.
    """
    line, root = load_line(line_path), Path(__file__).resolve().parent.parent
    schedule = line.schedule
    # A dispatcher without a channel would start a process every few minutes for nothing.
    told = schedule.alerts if line.alerts.channels or settings().alert_urls else ""
    crons = {"retrain": schedule.retrain, "watch": schedule.watch, "alerts": told, "weekly": schedule.weekly}
    sources = {"retrain": schedule.source, "watch": schedule.incoming}
    made, names = [], []
    for entry in ENTRIES:
        cron, source = crons.get(entry, ""), sources.get(entry, "")
        if cron and entry in {"retrain", "watch"} and not (source and schedule.format):
            key = "incoming" if entry == "watch" else "source"
            message = f"[schedule] {entry} = {cron!r} needs {key} and format as well: what would it read at night?"
            raise ConfigError(message)
        parameters: dict[str, object] = {"line": str(line_path.resolve())}
        if source:
            parameters |= {"source": _located(source, line_path.parent), "format": schedule.format}
        flow = cast("Flow[Any, Any]", Flow.from_source(source=str(root), entrypoint=f"flows/{entry}.py:{entry}"))
        deployment = flow.to_deployment(
            name=line.name,
            parameters=parameters,
            schedule=Cron(cron, timezone=schedule.timezone) if cron else None,
            concurrency_limit=1 if entry in {"retrain", "alerts", "weekly"} else None,
            tags=["wafergate", line.name],
        )
        made.append(cast("RunnerDeployment", deployment))
        names.append(f"{flow.name}/{line.name}")
    for deployment in made:
        _apply(deployment)
    return names


def _located(source: str, folder: Path) -> str:
    """Return where a source lies seen from anywhere: paths of a line file are relative to it, addresses are not."""
    return source if "://" in source else str((folder / source).resolve())


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


def _apply(deployment: RunnerDeployment) -> None:
    # Not `prefect.deploy`: in 3.8 it asks for the pool's workers in a way its own server refuses.
    try:
        deployment.apply(work_pool_name=WORK_POOL)
    except DeploymentApplyError as error:
        message = (
            f"Prefect does not take deployment {deployment.full_name} ({error}): is there a process work pool "
            f"{WORK_POOL!r}? `wafergate up` makes one"
        )
        raise ServiceError(message) from error
