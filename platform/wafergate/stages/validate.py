"""The tables a dataset version is validated by, and the error a failed validation ends in.

No box is ever moved here (rule M4): grossly wrong ones are named, for a person to look at.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wafergate.domain.samples import Sample
from wafergate.domain.validation_rows import ValidationFinding
from wafergate.domain.words import counted
from wafergate.errors import ValidationFailedError

__all__ = ["box_table", "class_table", "findings_to_error", "group_table", "image_table"]

MIN_BOXES_FOR_SIZES = 10
"""Fewer boxes of a class say nothing about its sizes: their score is missing and is not checked."""

SMALLEST_SPREAD = 0.10
"""Least standard deviation assumed of a class's log areas, so that boxes drawn all alike do not flag a 1 % change."""


def image_table(samples: Sequence[Sample], *, group_by: Sequence[str] = (), lost: Collection[str] = ()) -> pd.DataFrame:
    """Return one row for each image, metadata under `meta_…` (missing where a sample has none of that key).

    Args:
        samples: the images of a dataset version.
        group_by: metadata keys whose values, together, name a group.
        lost: digests whose file is not in the store as it was put there.

    Returns:
        Columns `example` (how a finding names it), name, image (SHA-256), width, height, shortest_side (pixels),
        boxes (count), normal (1 without defect, else 0), has_reference, files_stored (1 where neither image nor
        golden reference is lost, else 0), group (missing where a key of `group_by` is), group_named (1 or 0), meta_*.
    """
    table = pd.DataFrame(
        {
            "name": pd.Series([sample.name for sample in samples], dtype=object),
            "image": pd.Series([sample.image for sample in samples], dtype=object),
            "width": np.array([sample.width for sample in samples], dtype=np.int64),
            "height": np.array([sample.height for sample in samples], dtype=np.int64),
            "boxes": np.array([len(sample.boxes) for sample in samples], dtype=np.int64),
            "has_reference": np.array([sample.reference is not None for sample in samples], dtype=bool),
        }
    )
    table["example"] = table["name"]
    table["shortest_side"] = table[["width", "height"]].min(axis=1)
    table["normal"] = (table["boxes"] == 0).astype(np.int64)
    stored = [sample.image not in lost and sample.reference not in lost for sample in samples]
    table["files_stored"] = np.array(stored, dtype=np.int64)
    table["group"] = pd.Series([_group(sample, group_by) for sample in samples], dtype=object)
    table["group_named"] = table["group"].notna().astype(np.int64)
    for key in sorted({key for sample in samples for key in sample.metadata}):
        table[f"meta_{key}"] = pd.Series([sample.metadata.get(key) for sample in samples], dtype=object)
    return table


def _group(sample: Sample, group_by: Sequence[str]) -> str | None:
    values = [sample.metadata.get(key) for key in group_by]
    return " / ".join(str(value) for value in values) if values and all(values) else None


def box_table(samples: Sequence[Sample]) -> pd.DataFrame:
    """Return one row for each box, in the order of the samples, with every derived figure the checks need.

    Returns:
        Columns `example` (how a finding names it), name, box_index (its place in its image), defect_class, raw_label,
        x1, y1, x2, y2, width, height (pixels, negative with swapped corners), least_extent (the smaller of the two),
        shortest_side, aspect (longer over shorter side; both missing without area), overhang_px (how far the box lies
        outside its image, 0 inside), image_share (of the image's area, 0..), duplicate_iou (largest IoU with another
        box of its class in its image), size_score (see `_size_scores`), meta_*.
    """
    rows = [(index, item) for index, sample in enumerate(samples) for item in sample.boxes]
    places = [place for sample in samples for place in range(len(sample.boxes))]
    owner = np.array([index for index, _ in rows], dtype=np.int64)
    corners = np.array([item.box.as_tuple() for _, item in rows], dtype=np.float64).reshape(-1, 4)
    table = pd.DataFrame(
        {
            "name": pd.Series([samples[index].name for index, _ in rows], dtype=object),
            "box_index": np.array(places, dtype=np.int64),
            "defect_class": pd.Series([item.defect_class for _, item in rows], dtype=object),
            "raw_label": pd.Series([item.raw_label for _, item in rows], dtype=object),
        }
    )
    table[["x1", "y1", "x2", "y2"]] = corners
    _add_shape(table, corners)
    sizes = np.array([(sample.width, sample.height) for sample in samples], dtype=np.float64).reshape(-1, 2)[owner]
    _add_place(table, corners, sizes)
    class_codes = pd.factorize(table["defect_class"])[0].astype(np.int64)
    table["duplicate_iou"] = _largest_overlap(corners, owner, class_codes)
    table["size_score"] = _size_scores(table["defect_class"], table["width"] * table["height"])
    table["example"] = [
        f"{samples[index].name} [{item.defect_class} {', '.join(f'{value:g}' for value in item.box.as_tuple())}]"
        for index, item in rows
    ]
    for key in sorted({key for sample in samples for key in sample.metadata}):
        table[f"meta_{key}"] = pd.Series([samples[index].metadata.get(key) for index, _ in rows], dtype=object)
    return table


def _add_shape(table: pd.DataFrame, corners: NDArray[np.float64]) -> None:
    extent = corners[:, 2:] - corners[:, :2]
    shortest, longest = extent.min(axis=1), extent.max(axis=1)
    has_area = shortest > 0
    table["width"], table["height"] = extent[:, 0], extent[:, 1]
    table["least_extent"] = shortest
    # A box without area is an error of its own; it would only repeat itself among the warnings.
    table["shortest_side"] = np.where(has_area, shortest, np.nan)
    table["aspect"] = np.divide(longest, shortest, out=np.full_like(longest, np.nan), where=has_area)


def _add_place(table: pd.DataFrame, corners: NDArray[np.float64], sizes: NDArray[np.float64]) -> None:
    left_top = np.minimum(corners[:, :2], corners[:, 2:])
    right_bottom = np.maximum(corners[:, :2], corners[:, 2:])
    table["overhang_px"] = np.maximum(-left_top, right_bottom - sizes).max(axis=1, initial=0.0)
    area = np.clip(corners[:, 2:] - corners[:, :2], 0, None).prod(axis=1)
    image_area = sizes.prod(axis=1)
    table["image_share"] = np.divide(area, image_area, out=np.zeros_like(area), where=image_area > 0)


def _largest_overlap(
    corners: NDArray[np.float64], owner: NDArray[np.int64], class_codes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each box's largest IoU with another box of its class in its image, 0 where it is alone.

    Boxes are sorted by image and class; pass k compares every box with the one k places further while both belong
    together, so the work is the number of pairs and memory stays linear.
    """
    order = np.lexsort((class_codes, owner))
    boxes, image, label = corners[order], owner[order], class_codes[order]
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    best = np.zeros(len(boxes))
    first, step = np.arange(len(boxes)), 1
    while True:
        first = first[first + step < len(boxes)]
        second = first + step
        together = (image[first] == image[second]) & (label[first] == label[second])
        first, second = first[together], second[together]
        if not len(first):
            break
        low = np.maximum(boxes[first, :2], boxes[second, :2])
        high = np.minimum(boxes[first, 2:], boxes[second, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        union = area[first] + area[second] - shared
        iou = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
        best[first] = np.maximum(best[first], iou)
        best[second] = np.maximum(best[second], iou)
        step += 1
    result = np.empty_like(best)
    result[order] = best
    return result


def _size_scores(classes: "pd.Series[str]", areas: "pd.Series[float]") -> "pd.Series[float]":
    """Return |log area - class median| over the class's robust standard deviation of log areas.

    The standard deviation is 1.4826 times the median absolute deviation (Iglewicz and Hoaglin 1993), at least
    `SMALLEST_SPREAD`. Missing for boxes without area and for classes with fewer than `MIN_BOXES_FOR_SIZES` boxes.
    """
    logs = pd.Series(np.log(areas.where(areas > 0).to_numpy(dtype=np.float64)))
    away = (logs - logs.groupby(classes).transform("median")).abs()
    spread = (1.4826 * away.groupby(classes).transform("median")).clip(lower=SMALLEST_SPREAD)
    enough = logs.groupby(classes).transform("count") >= MIN_BOXES_FOR_SIZES
    scores: pd.Series[float] = (away / spread).where(enough)
    return scores


def class_table(boxes: pd.DataFrame, images: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return one row for each defect class of the line: example, boxes, images, groups, imbalance.

    Images and groups are missing for a class without boxes, which is a finding of its own; so is `imbalance`, the
    commonest class's boxes over this one's.
    """
    names = list(classes)
    counts = boxes["defect_class"].value_counts().reindex(names, fill_value=0).to_numpy(dtype=np.int64)
    most = float(counts.max(initial=0))
    imbalance = np.divide(most, counts, out=np.full(len(names), np.nan), where=counts > 0)
    owners = boxes[["name", "defect_class"]].merge(images[["name", "group"]].drop_duplicates("name"), on="name")
    seen = owners.groupby("defect_class")[["name", "group"]].nunique().reindex(names)
    example = [f"{name} ({count} boxes)" for name, count in zip(names, counts, strict=True)]
    return pd.DataFrame(
        {
            "example": example,
            "boxes": counts,
            "images": seen["name"].to_numpy(dtype=np.float64),
            "groups": seen["group"].to_numpy(dtype=np.float64),
            "imbalance": imbalance,
        }
    )


def group_table(images: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each group of images: example, images, share (of all images, 0..1)."""
    counts = images["group"].value_counts().sort_index()
    example = [f"{name} ({count} images)" for name, count in counts.items()]
    share = counts.to_numpy(dtype=np.float64) / max(len(images), 1)
    return pd.DataFrame({"example": example, "images": counts.to_numpy(dtype=np.int64), "share": share})


def findings_to_error(findings: Sequence[ValidationFinding], dataset: str) -> ValidationFailedError | None:
    """Return the error that stops the flow, or None where no error-level finding failed.

    Args:
        findings: what the suite found; `detail` ends with what to do.
        dataset: how to name the dataset version.
    """
    failed = [finding for finding in findings if finding.severity == "error" and not finding.success]
    if not failed:
        return None
    lines = [f"{dataset} failed {counted(len(failed), 'validation check')}:"]
    for finding in failed:
        more = finding.unexpected - len(finding.examples)
        named = ", ".join(finding.examples) + (f" and {more} more" if finding.examples and more > 0 else "")
        lines.append(f"  {finding.expectation}: {finding.detail}" + (f" Found: {named}." if named else ""))
    return ValidationFailedError("\n".join(lines))
