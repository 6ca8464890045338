"""Raw images and labels to a validated dataset version."""

from pathlib import Path

from prefect import flow, task

from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.telling import Teller, say
from wafergate.adapters.source import WatchedSource, open_source
from wafergate.domain.samples import DatasetVersion
from wafergate.jobs import ingest as ingest_job
from wafergate.jobs import validate as validate_job
from wafergate.line import LineFile
from wafergate.wiring import open_parts

__all__ = ["ingest", "intake", "validate"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def ingest(line: LineFile, source: str, format: str, limit: int) -> str:
    """Read and store a source; return the dataset version's id."""
    with Teller() as progress:
        files = WatchedSource(open_source(Path(source)), progress)
        done = ingest_job.ingest(open_parts(), line, files, format, limit=limit, progress=progress)
    version = open_parts().facts.get(DatasetVersion, done.id)
    known = "known already" if done.reused else "new"
    say(f"dataset version {version.number} ({known}): {version.images} images, {sum(version.instances.values())} boxes")
    return done.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def validate(line: LineFile, dataset_id: str) -> str:
    """Run the validation suite; return its result's id."""
    done = validate_job.validate(open_parts(), line, dataset_id)
    say("validation passed" + (" before" if done.reused else ""))
    return done.id


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def intake(line: str, source: str, format: str, limit: int = 0) -> str:
    """Ingest and validate; return the dataset version's id.

    Args:
        line: path of the line file.
        source: folder or archive.
        format: coco, deeppcb, masks, voc or yolo.
        limit: take this many samples, spread evenly; 0 takes all.
    """
    line_file = begin("intake", line, {"source": source, "format": format, "limit": limit})
    dataset = ingest(line_file, source, format, limit)
    validate(line_file, dataset)
    return dataset


if __name__ == "__main__":
    by_hand("intake")
