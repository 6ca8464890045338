"""A run that crashed is reported, and taken up again where it stopped."""

from uuid import UUID

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import AwaitingRetry

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


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def take_up(line: LineFile, run_id: UUID) -> str:
    """Report a crashed run and schedule it again; return the state it is left in."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        if run.state is None or not run.state.is_crashed():
            say(f"run {run.name!r} is {run.state_name} again: nothing to take up")
            return run.state_name or ""
        crashes = sum(state.type is StateType.CRASHED for state in client.read_flow_run_states(run_id))
        again = crashes < TRIES
        _report(line, run, crashes, again)
        if again:
            message = f"Taken up again after crash {crashes}: {run.state.message or 'no reason given'}"
            client.set_flow_run_state(run_id, AwaitingRetry(message=message))
    say(f"run {run.name!r} crashed, {crashes} of {TRIES}: {'taken up again' if again else 'left to a person'}")
    return "AwaitingRetry" if again else "Crashed"


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
