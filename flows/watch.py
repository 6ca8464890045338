"""Has the line drifted from what its champion was trained on?"""

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.events import tell_drift
from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import AnyFormat, Limit, LinePath
from flows.release import send_alerts
from flows.telling import Teller, say
from wafergate.adapters.source import WatchedSource
from wafergate.domain.drift import DriftReport
from wafergate.jobs import watch as watch_job
from wafergate.jobs.parts import Outcome
from wafergate.line import LineFile
from wafergate.wiring import open_parts, open_source

__all__ = ["watch"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def measure_drift(line: LineFile, source: str, format: str, limit: int, window: str, name: str) -> Outcome:
    """Compare a window with its reference; return the drift report."""
    with Teller() as progress:
        if source:
            images = WatchedSource(open_source(source), progress)
            done = watch_job.watch(open_parts(), line, images, format, limit=limit, progress=progress)
        else:
            done = watch_job.watch_stored(open_parts(), line, window, name=name, progress=progress)
    row = open_parts().facts.get(DriftReport, done.id)
    table = [
        {
            "feature": item.feature,
            "distance": round(item.distance, 4),
            "threshold": round(item.threshold, 4),
            "drifted": item.drifted,
            "reference mean": round(item.reference_mean, 3),
            "current mean": round(item.current_mean, 3),
        }
        for item in row.features
    ]
    create_table_artifact(table, key="drift", description=f"{row.verdict.value}: {row.window} of {row.source}")
    moved = ", ".join(item.feature for item in row.features if item.drifted)
    say(f"drift{' (known)' if done.reused else ''}: {row.verdict.value}" + (f" in {moved}" if moved else ""))
    say(f"advice: {row.advice.value if row.advice else 'none'}: {row.reason}")
    return done


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def find_due(line: LineFile, window: str) -> list[str]:
    """Return the days or lots that are due, the newest last."""
    return watch_job.due_windows(open_parts(), line, window)


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def watch(
    line: LinePath,
    source: str = "",
    format: AnyFormat = "images",
    limit: Limit = 0,
    window: str = "",
    name: str = "",
) -> str:
    """Measure drift of new images and alert where there is some; return the newest drift report's id.

    Of what was inspected each day or lot that has ended since the last report is told first.

    Args:
        line: path of the line file.
        source: folder, archive or s3://bucket/prefix; empty for what the line's model has inspected.
        format: `images` for images alone, or a labelled format whose labels are not looked at.
        limit: take this many of a source, spread evenly; 0 takes all.
        window: of what was inspected: `day`, `lot` or a number of images; empty as the line file says.
        name: which day (YYYY-MM-DD) or lot; empty for all that are due.
    """
    told = {"source": source, "format": format, "limit": limit, "window": window, "name": name}
    line_file = begin("watch", line, told)
    *ended, newest = [name] if source or name else find_due(line_file, window)
    for each in ended:
        done = measure_drift(line_file, source, format, limit, window, each)
        if not done.reused:  # else an earlier run has told of it
            tell_drift(open_parts().facts.get(DriftReport, done.id))
    report = measure_drift(line_file, source, format, limit, window, newest).id
    tell_drift(open_parts().facts.get(DriftReport, report))
    send_alerts(line_file)
    return report


if __name__ == "__main__":
    by_hand("watch")
