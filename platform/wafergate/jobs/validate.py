"""A dataset version to its validation result; an error-level finding stops what comes after."""

from collections.abc import Iterable

from wafergate.domain.identity import identify
from wafergate.domain.samples import DatasetVersion, ImageRecord, Sample
from wafergate.domain.validation_rows import ValidationResult
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.review import add_items
from wafergate.line import LineFile
from wafergate.stages.expect import checks, suite_limits
from wafergate.stages.review import suspect
from wafergate.stages.validate import box_table, findings_to_error, image_table

__all__ = ["examine", "require_valid", "validate"]


def validate(parts: Parts, line: LineFile, dataset_id: str) -> Outcome:
    """Run the suite over a dataset version, store its result, and stop on an error-level finding.

    Raises:
        ValidationFailedError: names every failed error-level finding; the result is stored all the same.
        ServiceError: an expectation itself broke.
    """
    done = examine(parts, line, dataset_id)
    require_valid(parts, done.id)
    return done


def examine(parts: Parts, line: LineFile, dataset_id: str) -> Outcome:
    """Run the suite over a dataset version, store its result with its Data Docs, and fill the review list.

    Raises:
        ServiceError: an expectation itself broke; then nothing is stored.
    """
    version = parts.facts.get(DatasetVersion, dataset_id)
    limits = suite_limits(line.boxes, line.classes, dataset=line.validation, group_by=line.split.group_by)
    row_id = identify("validation", dataset_id, limits)
    if parts.facts.find(ValidationResult, id=row_id):
        return Outcome(row_id, reused=True)
    samples = parts.facts.find(Sample, dataset_id=dataset_id)
    boxes = box_table(samples)
    images = image_table(samples, group_by=line.split.group_by, lost=_lost(parts, samples))
    title = f"Validation of dataset version {version.number} of line {version.line}"
    found = parts.validate(images, boxes, limits=limits, title=title)
    failed = any(not finding.success and finding.severity == "error" for finding in found.findings)
    # The list comes first: where a result is there, its suspicions are as well.
    add_items(parts, version.id, suspect(boxes, checks(limits)))
    result = ValidationResult(
        row_id,
        dataset_id,
        not failed,
        tuple(found.findings),
        parts.files.put(found.report),
        parts.clock(),
        parts.files.put(found.docs),
    )
    return Outcome(row_id, not parts.facts.save(result))


def require_valid(parts: Parts, validation_id: str) -> None:
    """Stop where an error-level check failed.

    Raises:
        ValidationFailedError: names every failed error-level finding.
    """
    result = parts.facts.get(ValidationResult, validation_id)
    version = parts.facts.get(DatasetVersion, result.dataset_id)
    error = findings_to_error(result.findings, f"dataset version {version.number} of line {version.line!r}")
    if error is not None:
        raise error


def _lost(parts: Parts, samples: Iterable[Sample]) -> set[str]:
    """Return the digests whose file is not in the store in the size it was examined with."""
    digests = sorted({digest for item in samples for digest in (item.image, item.reference) if digest})
    examined = {record.id: record.bytes for record in parts.facts.find(ImageRecord, id=digests)}
    stored = parts.files.sizes(digests)
    return {digest for digest in digests if stored.get(digest) != examined.get(digest)}
