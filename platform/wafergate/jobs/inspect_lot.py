"""The champion over new images: what it found on each, in the store."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from wafergate.domain.evaluation import Detections
from wafergate.domain.identity import identify
from wafergate.domain.inspection import InspectedImage, InspectionRun
from wafergate.domain.training import ModelVersion
from wafergate.errors import SourceError
from wafergate.jobs.draw import queue_run
from wafergate.jobs.evaluate import run_detector
from wafergate.jobs.ingest import as_samples, examine_files, keep_fitting, read_source
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.promote import champion_model
from wafergate.jobs.quarantine import released_in, set_aside
from wafergate.jobs.serve import serving_detector
from wafergate.jobs.versions import taught_on
from wafergate.line import LineFile
from wafergate.ports import Progress, Source
from wafergate.stages.merge_tiles import in_tiles

__all__ = ["inspect_lot"]


def inspect_lot(
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    limit: int = 0,
    progress: Progress = silent,
) -> Outcome:
    """Inspect a source with the line's champion at its frozen thresholds; the same images twice add nothing.

    Labels, if the source has any, are not looked at. A champion that was taught on tiles inspects by the same tiles.
    Images that people should look at enter the review queue.

    Raises:
        PromotionError: the line has no champion.
        SourceError: the source holds no image that can be inspected.
    """
    model = champion_model(parts, line.name)
    released = released_in(parts, line.name, source)
    found, problems = read_source(line, source, format_name, limit=limit, released=released)
    names = sorted({item.name for item in found} | {item.reference for item in found if item.reference})
    records, refused = examine_files(parts, line, source, names, released=released, progress=progress)
    unlabelled = (replace(item, boxes=(), size=None) for item in found)
    kept, unfit = keep_fitting(unlabelled, records, channels=model.channels)
    refused = [*problems, *refused, *unfit]
    set_aside(parts, line.name, source, refused)
    samples = as_samples(kept, records, {})
    if not samples:
        first = f", the first is {refused[0].path}: {refused[0].detail}" if refused else ""
        message = (
            f"{source.title} holds no image that line {line.name!r} can inspect; {len(refused)} were refused{first}"
        )
        raise SourceError(message)
    row_id = identify("inspection", line.name, model.id, [(item.name, item.image) for item in samples])
    if parts.facts.find(InspectionRun, id=row_id):
        queue_run(parts, line, row_id, samples)  # had it been interrupted before
        return Outcome(row_id, reused=True)
    detector = serving_detector(parts, line, model, progress=progress)
    for policy in taught_on(parts, model.dataset_id):
        detector = in_tiles(detector, policy)
    stage = "inspecting images"
    detections = run_detector(parts, detector, samples, model.channels, stage=stage, progress=progress)
    now = parts.clock()
    images = [
        InspectedImage(
            run_id=row_id,
            position=place,
            line=line.name,
            model_id=model.id,
            name=sample.name,
            image=sample.image,
            captured_at=now,
            lot=sample.metadata.get("lot", ""),
            wafer=sample.metadata.get("wafer", ""),
            die=sample.metadata.get("die", ""),
            station=sample.metadata.get("station", ""),
            product=sample.metadata.get("product", ""),
            detections=_kept(model, said),
        )
        for place, (sample, said) in enumerate(zip(samples, detections, strict=True))
    ]
    instances = Counter(name for image in images for name, *_ in image.detections)
    row = InspectionRun(
        id=row_id,
        line=line.name,
        model_id=model.id,
        source=source.title,
        images=len(images),
        defective=sum(bool(image.detections) for image in images),
        instances=_every_class(model, instances),
        quarantined=len(refused),
        created_at=now,
    )
    new = parts.inspections.save(row, images)
    queue_run(parts, line, row_id, samples)
    return Outcome(row_id, not new)


def _kept(model: ModelVersion, said: Detections) -> tuple[tuple[str, float, float, float, float, float], ...]:
    """Return the detections at or above their class's operating threshold."""
    return tuple(
        (name, float(score), float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        for box, score, index in zip(said.boxes, said.scores, said.classes, strict=True)
        if score >= model.thresholds[name := model.classes[index]]
    )


def _every_class(model: ModelVersion, counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) for name in model.classes}
