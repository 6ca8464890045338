"""May the line be retrained now? Asked by drift, on demand, or by a person."""

from prefect import flow, runtime, task

from flows.intake import adopt, ingest
from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import LinePath, MaybeFormat
from flows.release import send_alerts
from flows.retrainings import DeployedRetrainings
from flows.telling import say
from wafergate.domain.governor import GovernorDecision
from wafergate.jobs import govern as govern_job
from wafergate.jobs.correct import newest_of
from wafergate.line import LineFile
from wafergate.wiring import open_parts

__all__ = ["govern"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def ask(line: LineFile, event: str, actor: str, dataset: str) -> str:
    """Ask the governor; return its decision's id."""
    runs = DeployedRetrainings()
    done = govern_job.ask_governor(open_parts(), line, event, actor=actor, retrainings=runs, dataset_id=dataset)
    row = open_parts().facts.get(GovernorDecision, done.id)
    say(f"governor{' (decided before)' if done.reused else ''}: {row.summary}")
    for rule in row.missing:
        say(f"  {rule.rule}: {rule.next_step}")
    return done.id


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def govern(
    line: LinePath, event: str = "", actor: str = "scheduler", source: str = "", format: MaybeFormat = ""
) -> str:
    """Decide whether to retrain, and start the retraining where every rule holds; return the decision's id.

    Args:
        line: path of the line file.
        event: what asks, e.g. id of a drift report; empty for this run itself.
        actor: who asks.
        source: where the line's labels lie: they are taken in, with what people corrected in them and the reviewed
            images of inspections, and that is what counts and is trained on. Empty for the newest dataset version.
        format: of the source.
    """
    line_file = begin("govern", line, {"event": event, "actor": actor, "source": source, "format": format})
    dataset = ""
    if source:
        corrected = newest_of(open_parts(), ingest(line_file, source, format, 0))
        dataset = adopt(line_file, corrected.id, actor)
    decision = ask(line_file, event or f"run {runtime.flow_run.id}", actor, dataset)
    send_alerts(line_file)
    return decision


if __name__ == "__main__":
    by_hand("governor")
