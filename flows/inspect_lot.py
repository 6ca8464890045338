"""The champion over new images."""

from prefect import flow, task

from flows.hands import hands_on
from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import AnyFormat, Limit, LinePath
from flows.telling import Teller, say
from wafergate.adapters.source import WatchedSource
from wafergate.jobs import inspect_lot as inspect_job
from wafergate.jobs.inspect_lot import Inspected
from wafergate.line import LineFile
from wafergate.wiring import open_parts, open_source, settings

__all__ = ["inspect_lot"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def inspect(line: LineFile, source: str, format: str, limit: int) -> Inspected:
    """Inspect a source with the champion; return what it made."""
    hands = hands_on(line, source, settings().dask_scheduler)
    with Teller() as progress:
        images = WatchedSource(open_source(source), progress)
        done = inspect_job.inspect_lot(open_parts(), line, images, format, limit=limit, hands=hands, progress=progress)
    before = len(done.images) - done.new
    told = f", {before} had been inspected before" if before else ""
    say(f"inspected: {done.new} images{told}" + (f", {done.refused} set aside" if done.refused else ""))
    return done


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def inspect_lot(line: LinePath, source: str, format: AnyFormat = "images", limit: Limit = 0) -> Inspected:
    """Inspect new images; those inspected before by the same champion are not inspected again.

    Args:
        line: path of the line file.
        source: folder, archive or s3://bucket/prefix.
        format: `images` for images alone, or a labelled format whose labels are not looked at.
        limit: take this many, spread evenly; 0 takes all.
    """
    line_file = begin("inspect_lot", line, {"source": source, "format": format, "limit": limit})
    return inspect(line_file, source, format, limit)


if __name__ == "__main__":
    by_hand("inspect")
