"""What is expected of a dataset version: every check, its severity and what to do where it does not hold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wafergate.domain.samples import BoxPolicy
from wafergate.errors import ConfigError

__all__ = ["Check", "checks", "names_of", "suite_limits"]

MAX_SIZE_SCORE = 6.0
"""Robust z past which a box is far outside its class's sizes: 5 of DeepPCB's 6,873 boxes, none of the tiles' 336."""

MAX_IMBALANCE = 10.0
"""Boxes of the commonest class over boxes of this one from which a class counts as rare (rule M5)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation about one column, independent of the library that tests it.

    Attributes:
        name: the stored name, e.g. `box_inside_image`.
        table: `images`, `boxes` or `classes`.
        column: the column looked at; missing values are not checked. Empty for `rows`.
        kind: `between` (every value), `in_set`, `unique`, `sum` (of the column) or `rows` (of the table).
        severity: `error` stops the flow, `warning` reports.
        requirement: what holds, as the middle of a sentence.
        advice: what to do where it does not.
        low: least value allowed, None for no bound.
        high: largest value allowed, None for no bound.
        strict: whether the bounds themselves are refused.
        allowed: the values of `in_set`.
    """

    name: str
    table: str
    column: str
    kind: str
    severity: str
    requirement: str
    advice: str
    low: float | None = None
    high: float | None = None
    strict: bool = False
    allowed: tuple[str, ...] = ()


def suite_limits(policy: BoxPolicy, classes: Sequence[str]) -> dict[str, object]:
    """Return the limits of a line as plain values, as the suite takes and its report keeps them.

    Args:
        policy: the line's `[boxes]`.
        classes: the line's defect classes.
    """
    return {
        "classes": list(classes),
        "min_side": policy.min_side,
        "max_aspect": policy.max_aspect,
        "whole_image": policy.whole_image,
        "duplicate_iou": policy.duplicate_iou,
        "outside_px": policy.outside_px,
        "size_score": MAX_SIZE_SCORE,
        "imbalance": MAX_IMBALANCE,
    }


def _number(limits: Mapping[str, object], key: str) -> float:
    value = limits.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        message = f"the validation suite needs a number for {key!r}, found {value!r}; build limits with suite_limits()"
        raise ConfigError(message)
    return float(value)


def names_of(limits: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Return a list of names from the limits.

    Raises:
        ConfigError: it is missing, empty or not a list.
    """
    value = limits.get(key)
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        message = f"the validation suite needs a list of names for {key!r}, found {value!r}"
        raise ConfigError(message)
    return tuple(str(name) for name in value)


def checks(limits: Mapping[str, object]) -> tuple[Check, ...]:
    """Return everything a dataset version is checked for.

    Args:
        limits: as `suite_limits` returns them.

    Raises:
        ConfigError: a limit is missing or is not what it should be.
    """
    return (*_image_checks(), *_box_errors(limits), *_box_warnings(limits), *_class_checks(limits))


def _image_checks() -> tuple[Check, ...]:
    return (
        Check(
            "images_present",
            "images",
            "",
            "rows",
            "error",
            "the dataset holds at least one image",
            "check the source folder and its format: everything in it was quarantined or is no image",
            low=1,
        ),
        Check(
            "image_name_unique",
            "images",
            "name",
            "unique",
            "error",
            "every image has a name of its own",
            "rename the images, or remove the second entry of each from the label file",
        ),
        Check(
            "image_size_positive",
            "images",
            "shortest_side",
            "between",
            "error",
            "every image is at least one pixel wide and high",
            "remove the image, or correct the size its label file states",
            low=1,
        ),
        Check(
            "image_bytes_unique",
            "images",
            "image",
            "unique",
            "warning",
            "no image file occurs twice",
            "keep one of each; until then the splitter keeps them on one side",
        ),
        Check(
            "normal_images_present",
            "images",
            "normal",
            "sum",
            "warning",
            "some images show no defect",
            "add images of good parts: without them the overkill rate cannot be proven",
            low=1,
        ),
    )


def _box_errors(limits: Mapping[str, object]) -> tuple[Check, ...]:
    outside = _number(limits, "outside_px")
    return (
        Check(
            "class_known",
            "boxes",
            "defect_class",
            "in_set",
            "error",
            "every box has a defect class of the line",
            "add the class to [line] classes, or map its label in [taxonomy]",
            allowed=names_of(limits, "classes"),
        ),
        Check(
            "box_has_area",
            "boxes",
            "least_extent",
            "between",
            "error",
            "every box has its right edge right of its left one and its lower edge below its upper one",
            "draw the box again in the labelling tool and bring the export back",
            low=0,
            strict=True,
        ),
        Check(
            "box_inside_image",
            "boxes",
            "overhang_px",
            "between",
            "error",
            f"every box lies at most {outside:g} px outside its image",
            "correct the box in the labelling tool (is it another image's?), or raise [boxes] outside_px",
            high=outside,
        ),
    )


def _box_warnings(limits: Mapping[str, object]) -> tuple[Check, ...]:
    side, aspect, whole = (_number(limits, key) for key in ("min_side", "max_aspect", "whole_image"))
    duplicate, size = _number(limits, "duplicate_iou"), _number(limits, "size_score")
    look = "look at the box in the review list; nothing is changed unless a person corrects it"
    return (
        Check(
            "box_side",
            "boxes",
            "shortest_side",
            "between",
            "warning",
            f"every box's shorter side is at least {side:g} px",
            look,
            low=side,
        ),
        Check(
            "box_aspect",
            "boxes",
            "aspect",
            "between",
            "warning",
            f"no box is more than {aspect:g} times longer than wide",
            look,
            high=aspect,
        ),
        Check(
            "box_whole_image",
            "boxes",
            "image_share",
            "between",
            "warning",
            f"every box covers less than {whole:.0%} of its image",
            look,
            high=whole,
            strict=True,
        ),
        Check(
            "box_duplicate",
            "boxes",
            "duplicate_iou",
            "between",
            "warning",
            f"no two boxes of one class overlap by {duplicate:g} IoU or more",
            look,
            high=duplicate,
            strict=True,
        ),
        Check(
            "box_size_outlier",
            "boxes",
            "size_score",
            "between",
            "warning",
            f"every box's size is within {size:g} robust standard deviations of its class's sizes",
            look,
            high=size,
        ),
    )


def _class_checks(limits: Mapping[str, object]) -> tuple[Check, ...]:
    ratio = _number(limits, "imbalance")
    return (
        Check(
            "class_present",
            "classes",
            "boxes",
            "between",
            "warning",
            "every defect class has at least one box",
            "label images of the class: a class without boxes can neither be trained nor proven",
            low=1,
        ),
        Check(
            "class_balance",
            "classes",
            "imbalance",
            "between",
            "warning",
            f"no defect class has over {ratio:g} times fewer boxes than the commonest",
            high=ratio,
            advice="collect more of the class; augmentation within its caps helps training, never the test",
        ),
    )
