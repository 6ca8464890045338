"""Golden parts through the inspection: does it still say of them what it always said?"""

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import LinePath
from flows.release import send_alerts
from flows.telling import Teller, say
from wafergate.domain.golden import GoldenRun
from wafergate.jobs import golden as golden_job
from wafergate.line import LineFile
from wafergate.wiring import open_parts

__all__ = ["golden"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def check(line: LineFile) -> str:
    """Check the sealed parts; return the check's id."""
    with Teller() as progress:
        done = golden_job.check_golden(open_parts(), line, progress=progress)
    row = open_parts().facts.get(GoldenRun, done.id)
    table = [{"part": item.name, "difference": item.kind.value, "what": item.detail} for item in row.differences]
    create_table_artifact(table, key="golden", description=f"{row.parts} golden parts, {len(table)} differences")
    say(f"golden parts: {row.parts} checked, {len(row.differences) or 'no'} differences")
    return done.id


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def golden(line: LinePath) -> str:
    """Check the golden parts and alert at any difference; return the check's id.

    Args:
        line: path of the line file.
    """
    line_file = begin("golden", line, {})
    row = check(line_file)
    send_alerts(line_file)
    return row


if __name__ == "__main__":
    by_hand("golden")
