"""How every flow begins and how it fails: its line file is kept, and a failure becomes an alert."""

import os
import sys
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect import runtime, task
from prefect.client.schemas.objects import FlowRun as PrefectRun
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.flows import Flow

from wafergate.adapters.machine import code_version
from wafergate.domain.runs import FlowRun, LineFileVersion
from wafergate.errors import ConfigError, ServiceError, WafergateError
from wafergate.jobs.alerts import dispatch
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile, load_line, parse_line
from wafergate.stages.alerts import flow_alert
from wafergate.wiring import alert_channel, open_parts

__all__ = ["FAILED", "asked_at", "begin", "by_hand", "is_transient", "line_or_last", "run_name", "tell_failure"]

FAILED = "Flow run encountered an exception: "
"""What Prefect puts before the message of a failed run."""


def asked_at() -> datetime | None:
    """Return when this run was asked for, which may be long before a worker begins it or takes it up again."""
    context = FlowRunContext.get()
    return context.flow_run.created if context and context.flow_run else None


def run_name() -> str:
    """Name a run after its flow and line, as a person would look for it."""
    line = Path(str(runtime.flow_run.parameters.get("line", ""))).stem
    return f"{runtime.flow_run.flow_name} {line} {runtime.flow_run.scheduled_start_time:%Y-%m-%d %H:%M}"


def is_transient(_task: Any, _run: Any, state: State) -> bool:
    """Tell Prefect to try again only where a service did not answer."""
    try:
        state.result()
    except ServiceError:
        return True
    except Exception:  # noqa: BLE001 - whatever else it was, another try would end the same
        return False
    return False


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def begin(flow: str, line_path: str, parameters: Mapping[str, object]) -> LineFile:
    """Load the line file and keep its text and the run's parameters in the store."""
    line, parts = load_line(Path(line_path)), open_parts()
    parts.facts.save(LineFileVersion(line.digest, line.name, line.text, parts.clock()))
    run_id = str(runtime.flow_run.id or uuid4())
    row = FlowRun(run_id, flow, line.name, line.digest, dict(parameters), parts.clock(), code_version())
    parts.facts.save(row)
    return line


def line_or_last(parts: Parts, line_path: str, tags: Collection[str]) -> LineFile:
    """Return the line file, or where it is broken or gone the one that the deployed line ran under last.

    Without it nobody would hear of a line that stands still because of its file.

    Args:
        parts: the stores.
        line_path: path of the line file.
        tags: of the run; the name of a deployed line is one of them.

    Raises:
        ConfigError: it cannot be read, and no earlier one is known.
    """
    try:
        return load_line(Path(line_path))
    except ConfigError:
        before = parts.facts.find(FlowRun, line=sorted(tags), limit=1)
        if not before:
            raise
        return parse_line(parts.facts.get(LineFileVersion, before[0].line_file).text, Path(line_path))


def tell_failure(flow: Flow[Any, Any], flow_run: PrefectRun, state: State) -> None:
    """Write an alert for a failed run and try to send it; it stays in the outbox if the channel is down."""
    try:
        parts = open_parts()
        line = line_or_last(parts, str(flow_run.parameters.get("line", "")), flow_run.tags)
        message = (state.message or "").removeprefix(FAILED)
        alert = flow_alert(line.name, flow.name, str(flow_run.id), message, now=parts.clock())
        parts.facts.save(alert)
        dispatch(parts, alert_channel(line), line.alerts, line=line.name)
    except WafergateError as error:
        # The store is what failed, or the line file of a line that never ran: nothing can be written, so the run's own
        # log must tell it.
        print(f"no alert could be written: {error}")  # noqa: T201


def by_hand(command: str) -> None:
    """Run a flow's file as the command of the same name, with the same options."""
    os.execv(sys.executable, [sys.executable, "-m", "wafergate", command, *sys.argv[1:]])  # noqa: S606
