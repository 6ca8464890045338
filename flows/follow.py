"""The champion over images as they come into a folder or an S3 prefix."""

import time

from prefect import flow

from flows.hands import hands_on
from flows.opening import begin, run_name, tell_failure
from flows.parameters import AnyFormat, LinePath
from flows.telling import Teller, say
from wafergate.formats.metadata import METADATA_NAME
from wafergate.jobs import follow as follow_job
from wafergate.jobs.inspect_lot import Inspected
from wafergate.wiring import open_arrivals, open_parts, settings

__all__ = ["follow"]


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def follow(
    line: LinePath, source: str, format: AnyFormat = "images", seconds: float = 0.0, every: float = 2.0
) -> Inspected:
    """Inspect images as they come; return what was inspected when it ends.

    Args:
        line: path of the line file.
        source: folder or s3://bucket/prefix.
        format: `images` for images alone, or a labelled format whose labels are not looked at.
        seconds: end after this long; 0 goes on until it is stopped.
        every: seconds between two looks; a file that has not changed between two looks is whole.
    """
    line_file = begin("follow", line, {"source": source, "format": format, "seconds": seconds, "every": every})
    ends = time.monotonic() + seconds if seconds else None

    def pause() -> bool:
        if ends is not None and time.monotonic() >= ends:
            return False
        time.sleep(every)
        return True

    def told(done: Inspected) -> None:
        if done.new or done.refused or done.waiting:
            aside = f", {done.refused} set aside" if done.refused else ""
            waiting = f", {done.waiting} wait for their row in {METADATA_NAME}" if done.waiting else ""
            say(f"came in: {done.new} images inspected{aside}{waiting}")

    hands = hands_on(line_file, source, settings().dask_scheduler)
    with Teller() as progress:
        return follow_job.follow(
            open_parts(),
            line_file,
            open_arrivals(source),
            format,
            pause=pause,
            told=told,
            hands=hands,
            progress=progress,
        )
