"""What is expected of a dataset version: every check with its limits and what to do where it does not hold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from wafergate.domain.samples import BoxPolicy
from wafergate.domain.validation import SEVERITIES, Check, Severity, ValidationPolicy
from wafergate.errors import ConfigError

__all__ = ["checks", "names_of", "suite_limits"]


def suite_limits(
    boxes: BoxPolicy,
    classes: Sequence[str],
    *,
    dataset: ValidationPolicy | None = None,
    group_by: Sequence[str] = (),
) -> dict[str, object]:
    """Return the limits of a line as plain values, as the suite takes and its report keeps them.

    Args:
        boxes: the line's `[boxes]`.
        classes: the line's defect classes.
        dataset: the line's `[validation]`.
        group_by: the metadata keys of `[split] group_by`; without any nothing is expected of groups.
    """
    rules = dataset or ValidationPolicy()
    return {
        "classes": list(classes),
        "group_by": list(group_by),
        "min_side": boxes.min_side,
        "max_aspect": boxes.max_aspect,
        "whole_image": boxes.whole_image,
        "duplicate_iou": boxes.duplicate_iou,
        "outside_px": boxes.outside_px,
        "size_score": boxes.size_score,
        "class_images": rules.min_class_images,
        "class_groups": rules.min_class_groups,
        "group_images": rules.min_group_images,
        "group_share": rules.max_group_share,
        "normal_low": rules.min_normal_share,
        "normal_high": rules.max_normal_share,
        "imbalance": rules.max_imbalance,
        "severity": {name: rules.severity.get(name, level).value for name, level in SEVERITIES.items()},
    }


def _number(limits: Mapping[str, object], key: str) -> float:
    value = limits.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        message = f"the validation suite needs a number for {key!r}, found {value!r}; build limits with suite_limits()"
        raise ConfigError(message)
    return float(value)


def names_of(limits: Mapping[str, object], key: str, *, some: bool = True) -> tuple[str, ...]:
    """Return a list of names from the limits; with `some` it must not be empty.

    Raises:
        ConfigError: it is missing, empty or not a list.
    """
    value = limits.get(key)
    if isinstance(value, str) or not isinstance(value, Sequence) or (some and not value):
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
    grouped = bool(names_of(limits, "group_by", some=False))
    found = (*_image_checks(limits), *_box_errors(limits), *_box_warnings(limits), *_class_checks(limits))
    if grouped:
        found += _group_checks(limits)
    severities = limits.get("severity")
    if not isinstance(severities, Mapping):
        message = f"the validation suite needs a severity for every check, found {severities!r}"
        raise ConfigError(message)
    return tuple(replace(check, severity=Severity(severities[check.name])) for check in found)


def _image_checks(limits: Mapping[str, object]) -> tuple[Check, ...]:
    low, high = _number(limits, "normal_low"), _number(limits, "normal_high")
    return (
        Check(
            "images_present",
            "images",
            "",
            "rows",
            "the dataset holds at least one image",
            "check the source folder and its format: everything in it was quarantined or is no image",
            low=1,
        ),
        Check(
            "image_name_unique",
            "images",
            "name",
            "unique",
            "every image has a name of its own",
            "rename the images, or remove the second entry of each from the label file",
        ),
        Check(
            "image_size_positive",
            "images",
            "shortest_side",
            "between",
            "every image is at least one pixel wide and high",
            "remove the image, or correct the size its label file states",
            low=1,
        ),
        Check(
            "image_bytes_unique",
            "images",
            "image",
            "unique",
            "no image file occurs twice",
            "keep one of each; until then a split uses the first by name",
        ),
        Check(
            "image_files_stored",
            "images",
            "files_stored",
            "between",
            "the files of every image lie in S3 in the size they were stored with",
            "run the intake of this source again: it stores what is missing; else restore the bucket",
            low=1,
        ),
        Check(
            "normal_share",
            "images",
            "normal",
            "mean",
            f"{low:.0%} to {high:.0%} of the images show no defect",
            "without images of good parts the overkill rate cannot be proven; without defects nothing can be learnt",
            low=low,
            high=high,
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
            "every box has a defect class of the line",
            "add the class to [line] classes, or map its label in [taxonomy]",
            allowed=names_of(limits, "classes"),
        ),
        Check(
            "box_has_area",
            "boxes",
            "least_extent",
            "between",
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
            f"every box's shorter side is at least {side:g} px",
            look,
            low=side,
        ),
        Check(
            "box_aspect",
            "boxes",
            "aspect",
            "between",
            f"no box is more than {aspect:g} times longer than wide",
            look,
            high=aspect,
        ),
        Check(
            "box_whole_image",
            "boxes",
            "image_share",
            "between",
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
            f"every box's size is within {size:g} robust standard deviations of its class's sizes",
            look,
            high=size,
        ),
    )


def _class_checks(limits: Mapping[str, object]) -> tuple[Check, ...]:
    ratio, images = _number(limits, "imbalance"), _number(limits, "class_images")
    return (
        Check(
            "class_present",
            "classes",
            "boxes",
            "between",
            "every defect class has at least one box",
            "label images of the class: a class without boxes can neither be trained nor proven",
            low=1,
        ),
        Check(
            "class_images",
            "classes",
            "images",
            "between",
            f"every defect class shows on at least {images:g} images",
            "collect more images of the class: from few images a class is learnt badly",
            low=images,
        ),
        Check(
            "class_balance",
            "classes",
            "imbalance",
            "between",
            f"no defect class has over {ratio:g} times fewer boxes than the commonest",
            "collect more of the class; augmentation within its caps helps training, never the test",
            high=ratio,
        ),
    )


def _group_checks(limits: Mapping[str, object]) -> tuple[Check, ...]:
    keys = ", ".join(names_of(limits, "group_by"))
    images, share, groups = (_number(limits, key) for key in ("group_images", "group_share", "class_groups"))
    return (
        Check(
            "image_group_named",
            "images",
            "group_named",
            "between",
            f"every image has the metadata {keys} of [split] group_by",
            "name it in [intake] pattern or metadata.csv, or take it out of group_by",
            low=1,
        ),
        Check(
            "class_groups",
            "classes",
            "groups",
            "between",
            f"every defect class occurs in at least {groups:g} groups ({keys})",
            "collect the class from other groups: a group never crosses the split",
            low=groups,
        ),
        Check(
            "group_images",
            "groups",
            "images",
            "between",
            f"every group ({keys}) has at least {images:g} images",
            "check the group's name: a group of few images is often a mistyped one",
            low=images,
        ),
        Check(
            "group_share",
            "groups",
            "share",
            "between",
            f"no group ({keys}) holds more than {share:.0%} of the images",
            "collect from other groups: one group goes to one side of the split as a whole",
            high=share,
        ),
    )
