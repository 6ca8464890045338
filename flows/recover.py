"""A run that crashed is reported, and taken up again where it stopped."""

import time
from datetime import datetime
from uuid import UUID

from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.states import AwaitingRetry, Running

from flows.automations import LOST, heartbeat_s
from flows.opening import begin, is_transient, run_name, tell_failure
from flows.parameters import LinePath
from flows.release import send_alerts
from flows.telling import say
from wafergate.line import LineFile
from wafergate.stages.alerts import crash_alert
from wafergate.wiring import open_parts

__all__ = ["recover"]

TRIES = 3
"""A run that crashed so often is left to a person: it may be what kills its worker."""

_RESOURCE = "prefect.flow-run."
_LIVES = "It gives signs of life: only word of them was lost"
_MARGIN_S = 15  # until a sign of life is stored
_LOOK_EVERY_S = 5.0


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def take_up(line: LineFile, run_id: UUID) -> str:
    """Report a crashed run and schedule it again; return the state it is left in.

    A run whose signs of life did not arrive, because Prefect was away, counts as lost and goes on all the same. It is
    called running again and nothing else is done: a second process would do its work beside it.
    """
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        if run.state is None or not run.state.is_crashed():
            say(f"run {run.name!r} is {run.state_name} again: nothing to take up")
            return run.state_name or ""
        wait_s = heartbeat_s(line.schedule.lost_after_s) + _MARGIN_S
        lost = (run.state.message or "").startswith(LOST)
        if lost and gives_signs_of_life(client, run_id, run.state.timestamp, wait_s=wait_s):
            client.set_flow_run_state(run_id, Running(message=_LIVES), force=True)
            say(f"run {run.name!r} goes on: nothing to take up")
            return "Running"
        states = client.read_flow_run_states(run_id)
        crashes = sum((state.type is StateType.CRASHED) - (state.message == _LIVES) for state in states)
        again = crashes < TRIES
        _report(line, run, crashes, again)
        if again:
            message = f"Taken up again after crash {crashes}: {run.state.message or 'no reason given'}"
            client.set_flow_run_state(run_id, AwaitingRetry(message=message))
    say(f"run {run.name!r} crashed, {crashes} of {TRIES}: {'taken up again' if again else 'left to a person'}")
    return "AwaitingRetry" if again else "Crashed"


def gives_signs_of_life(client: SyncPrefectClient, run_id: UUID, since: datetime, *, wait_s: float) -> bool:
    """Tell whether a heartbeat of a run is younger than a moment, or comes while this waits for one."""
    ends = time.monotonic() + wait_s
    while True:
        wanted = EventFilter(
            occurred=EventOccurredFilter(since=since),
            event=EventNameFilter(name=[f"{_RESOURCE}heartbeat"]),
            resource=EventResourceFilter(id=[f"{_RESOURCE}{run_id}"]),
        )
        if client.read_events(wanted, limit=1).events:
            return True
        if time.monotonic() >= ends:
            return False
        time.sleep(_LOOK_EVERY_S)


def _report(line: LineFile, run: FlowRun, crashes: int, again: bool) -> None:
    parts = open_parts()
    reason = (run.state.message if run.state else None) or "no reason given"
    name = run.name or str(run.id)
    alert = crash_alert(line.name, name, f"{run.id} {crashes}", reason, again=again, now=parts.clock())
    parts.facts.save(alert)


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def recover(line: LinePath, run: str) -> str:
    """Report a crashed run and take it up again, three times at most; return the state it is left in.

    Args:
        line: path of the line file.
        run: id of the run, or Prefect's name of it as a resource.
    """
    line_file = begin("recover", line, {"run": run})
    state = take_up(line_file, UUID(run.removeprefix(_RESOURCE)))
    send_alerts(line_file)
    return state
