"""What a dataset version is held against: the checks, how severe each is, and the limits a line sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

__all__ = ["SEVERITIES", "Check", "Severity", "ValidationPolicy"]


class Severity(StrEnum):
    """`error` stops the flow, `warning` reports."""

    ERROR = "error"
    WARNING = "warning"


SEVERITIES: Mapping[str, Severity] = {
    "images_present": Severity.ERROR,
    "image_name_unique": Severity.ERROR,
    "image_size_positive": Severity.ERROR,
    "image_files_stored": Severity.ERROR,
    "image_group_named": Severity.ERROR,
    "class_known": Severity.ERROR,
    "box_has_area": Severity.ERROR,
    "box_inside_image": Severity.ERROR,
    "image_bytes_unique": Severity.WARNING,
    "normal_share": Severity.WARNING,
    "box_side": Severity.WARNING,
    "box_aspect": Severity.WARNING,
    "box_whole_image": Severity.WARNING,
    "box_duplicate": Severity.WARNING,
    "box_size_outlier": Severity.WARNING,
    "class_present": Severity.WARNING,
    "class_images": Severity.WARNING,
    "class_groups": Severity.WARNING,
    "class_balance": Severity.WARNING,
    "group_images": Severity.WARNING,
    "group_share": Severity.WARNING,
}
"""Every check of the suite; `[validation] severity` overrides. Errors are what no later step could work with."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation about one column, independent of the library that tests it.

    Attributes:
        name: the stored name, a key of `SEVERITIES`.
        table: `images`, `boxes`, `classes` or `groups`.
        column: the column looked at; missing values are not checked. Empty for `rows`.
        kind: `between` (every value), `in_set`, `unique`, `mean` (of the column) or `rows` (of the table).
        requirement: what holds, as the middle of a sentence.
        advice: what to do where it does not.
        low: least value allowed, None for no bound.
        high: largest value allowed, None for no bound.
        strict: whether the bounds themselves are refused.
        allowed: the values of `in_set`.
        severity: what becomes of the flow where it does not hold.
    """

    name: str
    table: str
    column: str
    kind: str
    requirement: str
    advice: str
    low: float | None = None
    high: float | None = None
    strict: bool = False
    allowed: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class ValidationPolicy:
    """`[validation]`: what a dataset version as a whole should hold.

    Attributes:
        min_class_images: images a defect class should have (rule M5).
        min_class_groups: groups a defect class should occur in; with one alone it can be trained or tested, not both.
        min_group_images: images a group should have; a group of one is often a mistyped lot.
        max_group_share: largest share of the images in one group.
        min_normal_share: least share of images without defect: the overkill rate is proven on them.
        max_normal_share: largest share of images without defect.
        max_imbalance: boxes of the commonest class over boxes of another from which that one counts as rare (rule M5).
        severity: severity by check, where it differs from `SEVERITIES`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    min_class_images: Annotated[int, Ge(1)] = 10
    min_class_groups: Annotated[int, Ge(1)] = 2
    min_group_images: Annotated[int, Ge(1)] = 2
    max_group_share: Annotated[float, Gt(0), Le(1)] = 0.5
    min_normal_share: Annotated[float, Ge(0), Le(1)] = 0.05
    max_normal_share: Annotated[float, Ge(0), Le(1)] = 0.95
    max_imbalance: Annotated[float, Ge(1)] = 10.0
    severity: Mapping[str, Severity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(self.severity.keys() - SEVERITIES.keys())
        if unknown:
            message = f"severity names no check: {', '.join(unknown)}; the checks are {', '.join(SEVERITIES)}"
            raise ValueError(message)
        if self.min_normal_share > self.max_normal_share:
            message = (
                f"min_normal_share {self.min_normal_share:g} must not be above max_normal_share "
                f"{self.max_normal_share:g}"
            )
            raise ValueError(message)
