"""What came of holding a dataset version against its expectations."""

from dataclasses import dataclass
from datetime import datetime

__all__ = ["ValidationFinding", "ValidationResult"]


@dataclass(frozen=True, slots=True)
class ValidationFinding:
    """One expectation and what came of it.

    Attributes:
        expectation: a short name such as `box_inside_image`.
        severity: `error` stops the flow, `warning` reports.
        success: whether it held.
        checked: how many rows were looked at.
        unexpected: how many of them broke it.
        examples: up to 5 of those, named.
        detail: one sentence for a person.
        low: the least value allowed, None for no bound.
        high: the largest value allowed, None for no bound.
        value: what the dataset as a whole has, where that is compared; None where each row is.
    """

    expectation: str
    severity: str
    success: bool
    checked: int
    unexpected: int
    examples: tuple[str, ...]
    detail: str
    low: float | None = None
    high: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The outcome of the suite over a dataset version.

    Attributes:
        id: from the dataset version and the limits.
        dataset_id: what was looked at.
        success: whether no error-level check failed.
        findings: one for each check, errors first.
        report: the full result in S3 (SHA-256), JSON.
        created_at: when.
        docs: the same as Data Docs, one HTML page in S3 (SHA-256); None for results from before they were kept.
    """

    id: str
    dataset_id: str
    success: bool
    findings: tuple[ValidationFinding, ...]
    report: str
    created_at: datetime
    docs: str | None = None
