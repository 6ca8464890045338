"""Reviewed images of inspections to a model's recall and precision in production."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from wafergate.domain.evaluation import ClassFigures, Detections, Rate, Truth
from wafergate.domain.gate import GatePolicy
from wafergate.domain.identity import identify
from wafergate.domain.production import (
    ProductionClass,
    ProductionDraw,
    ProductionFigures,
    ProductionItem,
    ReviewedImage,
    newest_by_image,
)
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile
from wafergate.stages.cover import Covered, cover
from wafergate.stages.evaluate import evaluate

__all__ = ["production_figures"]


def production_figures(
    parts: Parts,
    line: LineFile,
    model_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Outcome:
    """Judge a model by the audited images of its inspections; the same truths give the same row.

    Args:
        parts: the real parts.
        line: the line file: [gate] iou and confidence.
        model_id: the model.
        since: only inspections from this time on.
        until: only inspections before this time.

    Raises:
        NotFoundError: no inspection in the window has an audit that was reviewed whole.
    """
    draws = [
        draw
        for draw in parts.facts.find(ProductionDraw, line=line.name, model_id=model_id)
        if (since is None or draw.inspected_at >= since) and (until is None or draw.inspected_at < until)
    ]
    items = parts.facts.find(ProductionItem, draw_id=[draw.id for draw in draws]) if draws else []
    images = sorted({item.image for item in items})
    truths = newest_by_image(parts.facts.find(ReviewedImage, line=line.name, image=images)) if images else {}
    covered = cover(draws, items, truths)
    if not covered.items:
        raise NotFoundError(_nothing(line.name, model_id, draws, covered))
    return _judged(parts, line, covered, truths)


def _judged(parts: Parts, line: LineFile, covered: Covered, truths: Mapping[str, ReviewedImage]) -> Outcome:
    first, last = covered.draws[0], covered.draws[-1]
    gate = line.gate
    row_id = identify(
        "production", line.name, first.model_id, first.inspected_at, last.inspected_at, gate.iou, gate.confidence,
        [draw.id for draw in covered.draws], [(item.id, truths[item.image].id) for item in covered.items],
        covered.waiting, covered.uncovered,
    )  # fmt: skip
    if parts.facts.find(ProductionFigures, id=row_id):
        return Outcome(row_id, reused=True)
    classes, escapes, overkill = _figures(parts, covered.items, truths, gate)
    row = ProductionFigures(
        id=row_id,
        line=line.name,
        model_id=first.model_id,
        since=first.inspected_at,
        until=last.inspected_at,
        iou=gate.iou,
        confidence=gate.confidence,
        share=covered.share,
        runs=len(covered.draws),
        inspected=sum(draw.images for draw in covered.draws),
        images=len(covered.items),
        waiting=covered.waiting,
        uncovered=covered.uncovered,
        classes=classes,
        escapes=escapes,
        overkill=overkill,
        created_at=parts.clock(),
    )
    return Outcome(row_id, not parts.facts.save(row))


def _figures(
    parts: Parts, items: Sequence[ProductionItem], truths: Mapping[str, ReviewedImage], gate: GatePolicy
) -> tuple[tuple[ProductionClass, ...], Rate, Rate]:
    own = parts.facts.get(ModelVersion, items[0].model_id).classes
    # A class that came up after training is a miss of this model like any other.
    new = {box.defect_class for item in items for box in truths[item.image].boxes}.difference(own)
    classes = (*own, *sorted(new))
    found = evaluate(
        [Truth.of(truths[item.image].boxes, classes) for item in items],
        [_detections(item, classes) for item in items],
        classes,
        thresholds=dict.fromkeys(classes, 0.0),  # what an inspection keeps lies above its threshold already
        policy=gate,
        groups=[item.metadata.get("lot") or item.image for item in items],
    )
    return tuple(_class(figures) for figures in found.classes), found.escapes, found.overkill


def _class(figures: ClassFigures) -> ProductionClass:
    return ProductionClass(
        defect_class=figures.defect_class,
        recall=figures.recall,
        precision=figures.precision,
        grouped_recall=figures.grouped_recall or figures.recall,
        misses=figures.misses,
        false_alarms=figures.false_alarms,
    )


def _detections(item: ProductionItem, classes: Sequence[str]) -> Detections:
    said = sorted(item.detections, key=lambda found: -found[1])
    boxes = np.array([found[2:] for found in said], np.float32).reshape(-1, 4)
    scores = np.array([found[1] for found in said], np.float32)
    return Detections(boxes, scores, np.array([classes.index(found[0]) for found in said], np.int64))


def _nothing(line: str, model_id: str, draws: Sequence[ProductionDraw], covered: Covered) -> str:
    if not draws:
        return (
            f"no inspection of line {line!r} by model {model_id} has been drawn for review in this window; "
            "`wafergate audit list` shows what is in the queue"
        )
    waits = f"{covered.waiting} audited images wait" if covered.waiting else "nothing was drawn at random"
    return (
        f"line {line!r}: recall in production needs an inspection whose audited images are all reviewed; in "
        f"{len(draws)} inspections by model {model_id} {waits}. `wafergate audit export`, then `audit import`; or "
        "raise [review] audit"
    )
