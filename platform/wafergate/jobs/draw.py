"""An inspection run to its images in the review queue."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC

from wafergate.domain.identity import identify
from wafergate.domain.inspection import InspectedImage, InspectionRun
from wafergate.domain.production import ProductionDraw, ProductionItem, Stratum
from wafergate.domain.samples import Sample
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.versions import uncut
from wafergate.line import LineFile
from wafergate.stages.draw import Picked, draw

__all__ = ["queue_run"]

_TOLD = ("lot", "wafer", "die", "station", "product")


def queue_run(parts: Parts, line: LineFile, run_id: str, samples: Sequence[Sample] = ()) -> Outcome:
    """Put images of an inspection into the review queue; a run is drawn once, whatever the policy says later.

    Images that the model's data set holds already are never drawn: the model has learnt from them or was judged by
    them. One process anywhere draws for a line at a time, so that the limits of a day hold.

    Args:
        parts: the real parts.
        line: the line file: [review].
        run_id: the inspection run.
        samples: its images as they were read, by position: they tell golden references and further metadata.

    Raises:
        NotFoundError: there is no such run.
    """
    row_id = identify("draw", run_id)
    run = parts.facts.get(InspectionRun, run_id)
    with parts.facts.exclusive(f"review queue of line {run.line}", waiting=_patiently):
        if parts.facts.find(ProductionDraw, id=row_id):
            return Outcome(row_id, reused=True)
        row, items = _drawn(parts, line, run, {sample.position: sample for sample in samples})
        return Outcome(row_id, not parts.facts.save(row, items))


def _patiently() -> None:
    """Wait without a word: another inspection of the line is being drawn, which takes seconds."""


def _drawn(
    parts: Parts, line: LineFile, run: InspectionRun, samples: dict[int, Sample]
) -> tuple[ProductionDraw, list[ProductionItem]]:
    policy = line.review
    model = parts.facts.get(ModelVersion, run.model_id)
    images = sorted(parts.inspections.images(line=run.line, run_id=run.id), key=lambda image: image.position)
    known = _held(parts, model, images)
    fresh = [image for image in images if image.image not in known]
    day = run.created_at.astimezone(UTC).date().isoformat()
    taken: Counter[Stratum] = Counter()
    for before in parts.facts.find(ProductionDraw, line=run.line, day=day):
        taken.update(before.drawn)
    left = {stratum: max(0, policy.day - taken[stratum]) for stratum in Stratum}
    share = min(policy.audit, left[Stratum.AUDIT] / len(fresh)) if fresh else 0.0
    here = sorted({image.image for image in fresh})
    queued = {item.image for item in parts.facts.find(ProductionItem, line=run.line, image=here)} if here else set()
    picked = draw(fresh, model.thresholds, policy, share=share, left=left, queued=queued)
    counts = Counter(item.stratum for item in picked)
    row = ProductionDraw(
        id=identify("draw", run.id),
        line=run.line,
        run_id=run.id,
        model_id=run.model_id,
        day=day,
        images=len(fresh),
        known=len(images) - len(fresh),
        share=share,
        drawn={stratum: counts[stratum] for stratum in Stratum},
        policy=policy,
        inspected_at=run.created_at,
        created_at=parts.clock(),
    )
    return row, [_item(row, item, samples.get(item.image.position)) for item in picked]


def _held(parts: Parts, model: ModelVersion, images: Sequence[InspectedImage]) -> set[str]:
    """Return the SHA-256 of those images that the model's data set holds, whole or cut into tiles.

    Only these are asked for: a run is one chunk of many, and the data set may hold a hundred thousand.
    """
    versions = sorted({model.dataset_id, uncut(parts, model.dataset_id)})
    here = sorted({image.image for image in images})
    return {sample.image for sample in parts.facts.find(Sample, dataset_id=versions, image=here)}


def _item(row: ProductionDraw, picked: Picked, sample: Sample | None) -> ProductionItem:
    image = picked.image
    return ProductionItem(
        id=identify("item", image.run_id, image.position),
        draw_id=row.id,
        line=row.line,
        run_id=row.run_id,
        model_id=row.model_id,
        position=image.position,
        stratum=picked.stratum,
        rank=picked.rank,
        detail=picked.detail,
        name=image.name,
        image=image.image,
        reference=sample.reference if sample else None,
        metadata=_metadata(image, sample),
        detections=image.detections,
        created_at=row.created_at,
    )


def _metadata(image: InspectedImage, sample: Sample | None) -> dict[str, str]:
    told = {name: value for name in _TOLD if (value := getattr(image, name))}
    return {"captured_at": image.captured_at.isoformat(), **told, **(sample.metadata if sample else {})}
