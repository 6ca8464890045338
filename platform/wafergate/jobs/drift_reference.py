"""What a window is held against: the training images, then the champion's first stable windows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from wafergate.domain.drift import DriftReport, DriftVerdict, ReferenceKind
from wafergate.domain.inspection import InspectedImage
from wafergate.domain.novelty import ModelReference
from wafergate.domain.samples import ImageRecord
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.predictions import read_predictions
from wafergate.jobs.drift_window import INSPECTIONS, KEYS, inspected_table, told_boxes
from wafergate.jobs.novelty import familiar, refer, taught_images
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.drift import seen_table

__all__ = ["Reference", "pick_reference"]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Images to hold a window against; the columns of `table` are those of a window's."""

    kind: ReferenceKind
    table: pd.DataFrame


def pick_reference(
    parts: Parts, line: LineFile, model: ModelVersion, *, before: datetime | None, progress: Progress
) -> Reference:
    """Return the reference for a window that begins at `before`; None for a source, which is newer than all.

    Only windows that ended before count as accepted, so that the same window asked again meets the same reference.
    """
    accepted = _accepted(parts, line, model, before)
    if accepted:
        return Reference(ReferenceKind.ACCEPTED, inspected_table(parts, accepted, model.classes))
    row = parts.facts.get(ModelReference, refer(parts, model, progress=progress).id)
    return Reference(ReferenceKind.TRAINING, _training_table(parts, model, row))


def _accepted(parts: Parts, line: LineFile, model: ModelVersion, before: datetime | None) -> list[InspectedImage]:
    """Return the images of the oldest stable windows, as many as the line file asks for; none while they are fewer."""
    wanted = line.drift.reference_images
    if not wanted:
        return []
    rows = [
        (row.since, row.until, row.window)
        for row in parts.facts.find(
            DriftReport, line=line.name, model_id=model.id, source=INSPECTIONS, verdict=DriftVerdict.STABLE.value
        )
        if row.since and row.until and (before is None or row.until < before)
    ]
    images: dict[str, InspectedImage] = {}
    for since, until, label in sorted(rows):
        lot = label.removeprefix("lot ") if label.startswith("lot ") else None
        end = until + timedelta(microseconds=1)
        found = parts.inspections.images(line=line.name, lot=lot, since=since, until=end)
        images |= {image.image: image for image in found if image.model_id == model.id and image.image not in images}
        if len(images) >= wanted:
            return list(images.values())
    return []


def _training_table(parts: Parts, model: ModelVersion, row: ModelReference) -> pd.DataFrame:
    kept = read_predictions(parts.files.get(row.predictions))
    known = familiar(parts, row)
    records = {item.id: item for item in parts.facts.find(ImageRecord, id=list(kept.names))}
    table = seen_table(
        [records[name] for name in kept.names],
        [None] * len(kept.names) if known is None else known.trained.tolist(),
        [told_boxes(said, model.classes, model.thresholds) for said in kept.detections],
        model.classes,
    )
    told = {sample.image: sample.metadata for sample in taught_images(parts, model)}
    table["image"] = list(kept.names)
    for key in KEYS:
        table[key] = [told.get(name, {}).get(key, "") for name in kept.names]
    return table
