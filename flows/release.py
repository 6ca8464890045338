"""Promote what passed, approve what waits, go back to an earlier champion."""

from datetime import datetime

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.opening import asked_at, begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import LinePath
from flows.telling import say
from wafergate.domain.gate import GateDecision, LedgerKind
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import PromotionError
from wafergate.jobs import alerts as alerts_job
from wafergate.jobs import promote as promote_job
from wafergate.jobs.licences import require_releasable
from wafergate.line import LineFile
from wafergate.terminal import approval_command
from wafergate.wiring import alert_channel, open_parts

__all__ = ["awaiting_approval", "promote", "release", "send_alerts"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def promote(line: LineFile, decision_id: str, actor: str, reason: str, asked: datetime | None = None) -> str:
    """Make a passed model champion, if its licences are allowed today; return its id.

    Where a person asked for it, it is refused if the champion was changed since.
    """
    require_releasable(open_parts(), line, open_parts().facts.get(GateDecision, decision_id).model_id)
    done = promote_job.promote(open_parts(), decision_id, actor=actor, reason=reason, asked_at=asked)
    model = open_parts().facts.get(ModelVersion, done.id)
    say(f"model {model.number} {'is champion already' if done.reused else 'is now champion'}")
    return done.id


@task
def send_alerts(line: LineFile) -> int:
    """Send what waits in the outbox; return how many alerts still wait."""
    said = alerts_job.dispatch(open_parts(), alert_channel(line), line.alerts, line=line.name)
    if said != alerts_job.Dispatch():
        say(f"alerts: {said}")
    return said.waiting


def awaiting_approval(decision_id: str) -> State[str]:
    """Return the final state of a run whose model passed and waits for a person, with the command that releases it."""
    command = approval_command(decision_id)
    note = f"Decision `{decision_id}` passed the gate and awaits approval.\n\n    {command}\n"
    create_markdown_artifact(note, key="awaiting-approval", description=f"Decision {decision_id} awaits approval")
    return Completed(name="AwaitingApproval", message=f"Awaiting approval: {command}", data=decision_id)


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def release(line: LinePath, actor: str, reason: str, decision: str = "", rollback_to: str = "") -> str:
    """Release a decision that waits for approval, or roll back; return the champion's model id.

    Args:
        line: path of the line file.
        actor: who does it.
        reason: why.
        decision: id of a gate decision that passed; empty for a rollback.
        rollback_to: id of an earlier champion, or `previous`.
    """
    line_file = begin("release", line, {"decision": decision, "rollback_to": rollback_to, "actor": actor})
    if decision:
        found = open_parts().facts.get(GateDecision, decision)
        if found.line != line_file.name:
            message = f"decision {decision} is of line {found.line!r}, not of {line_file.name!r}"
            raise PromotionError(message)
        return promote(line_file, decision, actor, reason, asked_at())
    model_id = "" if rollback_to == "previous" else rollback_to
    earlier = promote_job.earlier_champion(open_parts(), line_file.name, model_id)
    require_releasable(open_parts(), line_file, earlier.subject)
    done = promote_job.rollback(open_parts(), line_file.name, actor=actor, reason=reason, model_id=model_id)
    say(f"rolled back to model {open_parts().facts.get(ModelVersion, done.id).number} ({LedgerKind.ROLLED_BACK})")
    return done.id


if __name__ == "__main__":
    by_hand("release")
