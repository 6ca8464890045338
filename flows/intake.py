"""Raw images and labels to a validated dataset version."""

import shlex

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_table_artifact

from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import AnyFormat, Limit, LinePath
from flows.telling import Teller, say
from wafergate.adapters.source import WatchedSource
from wafergate.domain.review import ReviewState
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.validation_rows import ValidationResult
from wafergate.jobs import adopt as adopt_job
from wafergate.jobs import ingest as ingest_job
from wafergate.jobs import validate as validate_job
from wafergate.jobs.correct import newest_of
from wafergate.jobs.review import review_list
from wafergate.jobs.versions import find_version
from wafergate.line import LineFile
from wafergate.wiring import open_parts, open_source

__all__ = ["adopt", "ingest", "intake", "stored_version", "validate"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def ingest(line: LineFile, source: str, format: str, limit: int) -> str:
    """Read and store a source; return the dataset version's id."""
    with Teller() as progress:
        files = WatchedSource(open_source(source), progress)
        done = ingest_job.ingest(open_parts(), line, files, format, limit=limit, progress=progress)
    version = open_parts().facts.get(DatasetVersion, done.id)
    known = "known already" if done.reused else "new"
    say(f"dataset version {version.number} ({known}): {version.images} images, {sum(version.instances.values())} boxes")
    if version.quarantined:
        say(f"  {version.quarantined} set aside: wafergate quarantine list --line {shlex.quote(line.name)}")
    corrected = newest_of(open_parts(), done.id)
    if corrected.id != done.id:
        say(
            f"  note: people corrected version {version.number} in version {corrected.number}; "
            f"to train on that: wafergate retrain --version {corrected.number}"
        )
    return done.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def adopt(line: LineFile, dataset_id: str, actor: str) -> str:
    """Add the reviewed images of inspections to a dataset version; return the id of the version that holds both."""
    done = adopt_job.adopt(open_parts(), line, dataset_id, actor=actor, reason="retraining takes what people reviewed")
    if done.added:
        version = open_parts().facts.get(DatasetVersion, done.id)
        say(f"dataset version {version.number}: {done.added} reviewed images of inspections added")
    if done.left_out:
        name, why = done.left_out[0]
        say(f"  note: {len(done.left_out)} reviewed images are left out; {name}: {why}")
    return done.id


def stored_version(line: LineFile, named: str) -> str:
    """Return the id of a dataset version that is there already: a corrected one, or one made of tiles."""
    version = find_version(open_parts().facts, line.name, named)
    boxes = sum(version.instances.values())
    say(f"dataset version {version.number} ({version.source}): {version.images} images, {boxes} boxes")
    return version.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def validate(line: LineFile, dataset_id: str) -> str:
    """Run the validation suite and tell what it found; return its result's id."""
    parts = open_parts()
    done = validate_job.examine(parts, line, dataset_id)
    result = parts.facts.get(ValidationResult, done.id)
    _publish(result)
    validate_job.require_valid(parts, done.id)
    warned = [finding for finding in result.findings if not finding.success]
    known = " (known)" if done.reused else ""
    warnings = f"{len(warned) or 'no'} {'warning' if len(warned) == 1 else 'warnings'}"
    say(f"validation{known}: {len(result.findings)} checks, no error, {warnings}")
    for finding in warned:
        say(f"  note: {finding.expectation}: {finding.detail}")
    waiting = sum(state is ReviewState.OPEN for _, state in review_list(parts, dataset_id))
    if waiting:
        boxes = "box" if waiting == 1 else "boxes"
        say(f"  {waiting} {boxes} to look at: wafergate review list --line {shlex.quote(line.name)}")
    return done.id


def _publish(result: ValidationResult) -> None:
    """Show a validation in Prefect: its findings as a table, its Data Docs as a link."""
    rows = [
        {
            "check": finding.expectation,
            "severity": finding.severity,
            "held": "yes" if finding.success else "no",
            "checked": finding.checked,
            "broken": finding.unexpected,
            "detail": finding.detail,
            "examples": ", ".join(finding.examples),
        }
        for finding in result.findings
    ]
    create_table_artifact(rows, key="validation", description=f"Validation of dataset version {result.dataset_id}")
    if result.docs:
        create_link_artifact(
            open_parts().files.link(result.docs, content_type="text/html; charset=utf-8"),
            link_text="Data Docs",
            key="data-docs",
            description="The address holds for seven days; later: wafergate validation show "
            f"{result.dataset_id} --docs FOLDER",
        )


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def intake(line: LinePath, source: str, format: AnyFormat, limit: Limit = 0) -> str:
    """Ingest and validate; return the dataset version's id.

    Args:
        line: path of the line file.
        source: folder, archive or s3://bucket/prefix.
        format: coco, deeppcb, masks, voc or yolo.
        limit: take this many samples, spread evenly; 0 takes all.
    """
    line_file = begin("intake", line, {"source": source, "format": format, "limit": limit})
    dataset = ingest(line_file, source, format, limit)
    validate(line_file, dataset)
    return dataset


if __name__ == "__main__":
    by_hand("intake")
