"""A dataset version to its validation result; an error-level finding stops what comes after."""

from wafergate.domain.identity import identify
from wafergate.domain.samples import DatasetVersion, Sample, ValidationResult
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile
from wafergate.stages.expect import suite_limits
from wafergate.stages.validate import box_table, findings_to_error, image_table

__all__ = ["validate"]


def validate(parts: Parts, line: LineFile, dataset_id: str) -> Outcome:
    """Run the suite over a dataset version, store its result, and stop on an error-level finding.

    Raises:
        ValidationFailedError: names every failed error-level finding; the result is stored all the same.
        ServiceError: an expectation itself broke.
    """
    version = parts.facts.get(DatasetVersion, dataset_id)
    limits = suite_limits(line.boxes, line.classes)
    row_id = identify("validation", dataset_id, limits)
    done = next(iter(parts.facts.find(ValidationResult, id=row_id)), None)
    if done is None:
        samples = parts.facts.find(Sample, dataset_id=dataset_id)
        findings, report = parts.validate(image_table(samples), box_table(samples), limits=limits)
        failed = any(not finding.success and finding.severity == "error" for finding in findings)
        result = ValidationResult(
            row_id, dataset_id, not failed, tuple(findings), parts.files.put(report), parts.clock()
        )
        parts.facts.save(result)
        reused = False
    else:
        result, reused = done, True
    error = findings_to_error(result.findings, f"dataset version {version.number} of line {version.line!r}")
    if error is not None:
        raise error
    return Outcome(row_id, reused)
