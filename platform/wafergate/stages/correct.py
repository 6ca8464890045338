"""A corrected export laid over a dataset version: what is the same stays the same, what differs is taken over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wafergate.domain.changes import BoxChange, Changes, compare_boxes, compare_samples
from wafergate.domain.samples import LabelledBox, RawBox, RawSample, Sample
from wafergate.errors import SourceError

__all__ = ["ROUNDED_PX", "Correction", "correct"]

ROUNDED_PX = 0.02
"""Corners this near to what was exported are the same: labelling tools write x, y, width and height to 2 decimals."""

_LISTED = 5


@dataclass(frozen=True, slots=True)
class Correction:
    """What a corrected export makes of a dataset version.

    Attributes:
        samples: of the new version, in the order of the old one; those without a change are the old ones.
        changes: what differs between the two.
    """

    samples: tuple[Sample, ...]
    changes: Changes


def correct(
    base: Sequence[Sample], head: Sequence[Sample], export: Iterable[RawSample], labels: Mapping[str, str]
) -> Correction:
    """Lay a corrected export over the newest version of its chain.

    Only what differs between the export and the version it was made from is a correction; an image that it does not
    name, or names as it was, stays as the newest version has it. A box whose corners were only rounded keeps its own,
    and its outline where the export has none.

    Args:
        base: samples of the version that was exported.
        head: samples of the newest version corrected from it; `base` itself where there is none.
        export: what came back; boxes only, everything else of an image is kept.
        labels: defect class of every raw label in the export.

    Raises:
        SourceError: an image is unknown, has another size, or was corrected otherwise since it was exported.
    """
    known = {sample.name: sample for sample in base}
    current = {sample.name: sample for sample in head}
    corrected: dict[str, Sample] = {}
    clashes = []
    for item in export:
        exported = known.get(item.name)
        if exported is None:
            message = f"the export names the image {item.name}, which is not in the version it corrects"
            raise SourceError(message)
        _require_size(item, exported)
        boxes = _settled(exported.boxes, item.boxes, labels)
        changes = compare_boxes(exported.boxes, boxes)
        if not changes:
            continue
        wanted = _applied(exported.boxes, changes)
        now = current.get(item.name)
        if now is not None and (now.image, now.boxes) == (exported.image, exported.boxes):
            corrected[item.name] = replace(now, boxes=wanted)
        elif now is None or now.image != exported.image or compare_boxes(now.boxes, wanted):
            clashes.append(item.name)
    if clashes:
        raise _clash(clashes)
    samples = tuple(corrected.get(sample.name, sample) for sample in head)
    return Correction(samples, compare_samples(head, samples))


def _clash(names: Sequence[str]) -> SourceError:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    message = (
        f"{len(names)} images were corrected otherwise since this was exported: {', '.join(names[:_LISTED])}{more}; "
        "nothing was changed. Export them again and correct the newest version"
    )
    return SourceError(message)


def _require_size(item: RawSample, sample: Sample) -> None:
    if item.size is not None and item.size != (sample.width, sample.height):
        message = (
            f"the export draws on {item.size[0]} x {item.size[1]} pixels of {item.name}, the image has "
            f"{sample.width} x {sample.height}: was it resized in the labelling tool?"
        )
        raise SourceError(message)


def _settled(old: Sequence[LabelledBox], new: Sequence[RawBox], labels: Mapping[str, str]) -> list[LabelledBox]:
    """Return the export's boxes, each under its class; one that was not redrawn is the old one again."""
    free = list(old)
    matches: dict[int, LabelledBox] = {}
    # Labels that stayed choose first, so that of two boxes with equal corners the relabelled one is told.
    for same_label in (True, False):
        for place, item in enumerate(new):
            near = [box for box in free if _same_corners(box, item) and (box.raw_label == item.label) is same_label]
            if place not in matches and near:
                matches[place] = min(near, key=lambda box: _farthest(box, item))
                free.remove(matches[place])
    return [_labelled(item, labels, matches.get(place)) for place, item in enumerate(new)]


def _labelled(item: RawBox, labels: Mapping[str, str], match: LabelledBox | None) -> LabelledBox:
    made = LabelledBox(item.label, labels[item.label], item.box, _outline(item))
    if match is None:
        return made
    if match.raw_label == item.label:
        made = replace(made, defect_class=match.defect_class)
    if not made.polygon or _same_outline(made.polygon, match.polygon):
        made = replace(made, polygon=match.polygon)
    return replace(made, box=match.box)


def _farthest(box: LabelledBox, item: RawBox) -> float:
    """Return by how many pixels two boxes' corners differ at most, along one axis."""
    pairs = zip(box.box.as_tuple(), item.box.as_tuple(), strict=True)
    return max(abs(first - second) for first, second in pairs)


def _same_corners(box: LabelledBox, item: RawBox) -> bool:
    return _farthest(box, item) <= ROUNDED_PX


def _outline(item: RawBox) -> tuple[tuple[float, float], ...]:
    """Return the outline, unless it is only the box itself, as some tools write it."""
    box = item.box
    corners = {(x, y) for x in (box.x1, box.x2) for y in (box.y1, box.y2)}
    only_box = len(item.polygon) <= 5 and all(
        min(max(abs(x - other_x), abs(y - other_y)) for other_x, other_y in corners) <= ROUNDED_PX
        for x, y in item.polygon
    )
    return () if only_box else item.polygon


def _same_outline(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]) -> bool:
    return len(first) == len(second) and all(
        max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= ROUNDED_PX for a, b in zip(first, second, strict=True)
    )


def _applied(old: Sequence[LabelledBox], changes: Iterable[BoxChange]) -> tuple[LabelledBox, ...]:
    """Return the old boxes in their order with the changes made; what was added comes last."""
    boxes: list[LabelledBox | None] = list(old)
    for change in changes:
        if change.before_index is None:
            boxes.append(change.after)
        else:
            boxes[change.before_index] = change.after
    return tuple(box for box in boxes if box is not None)
