"""Images of inspections that people look at, and what their truth says of the champion in production."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from wafergate.domain.evaluation import Rate
from wafergate.domain.samples import LabelledBox

__all__ = [
    "ProductionClass",
    "ProductionDraw",
    "ProductionExport",
    "ProductionFigures",
    "ProductionItem",
    "ProductionReview",
    "ReviewPolicy",
    "ReviewedImage",
    "Stratum",
    "newest_by_image",
]

Found = tuple[str, float, float, float, float, float]


class Stratum(StrEnum):
    """Why an image is in the review queue. Only `audit` speaks for all images; the other two pick the hard ones."""

    AUDIT = "audit"  # drawn at random
    NEAR = "near"  # a score lies near its class's threshold
    FAR = "far"  # it differs most from what the model learnt from


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """`[review]`: which inspected images people look at.

    Attributes:
        audit: share of every inspection's images that is drawn at random; each image's chance.
        near: largest share of an inspection's images to pick for a score near a threshold.
        far: largest share to pick for differing most from training.
        margin: a score this near to its threshold is near, as a share of the threshold.
        day: each of the three takes at most this many images a day. Where that cuts the audit, its share falls for
            that inspection.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    audit: Annotated[float, Ge(0), Le(1)] = 0.05
    near: Annotated[float, Ge(0), Le(1)] = 0.05
    far: Annotated[float, Ge(0), Le(1)] = 0.05
    margin: Annotated[float, Gt(0), Le(0.5)] = 0.2
    day: Annotated[int, Ge(1)] = 100


@dataclass(frozen=True, slots=True)
class ProductionDraw:
    """What the review queue took of one inspection; a run is drawn once, for good.

    Attributes:
        id: from the inspection run.
        line: the production line.
        run_id: the inspection run.
        model_id: the model that inspected.
        day: UTC date of the inspection, `YYYY-MM-DD`; the limits count by it.
        images: how many could be drawn.
        known: how many more the model's data set held already; they say nothing new and are never drawn.
        share: chance of each image to be in the audit, 0..1.
        drawn: images in each stratum, every one named.
        policy: as it stood.
        inspected_at: when the run was made.
        created_at: when the queue took them.
    """

    id: str
    line: str
    run_id: str
    model_id: str
    day: str
    images: int
    known: int
    share: float
    drawn: Mapping[Stratum, int]
    policy: ReviewPolicy
    inspected_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProductionItem:
    """One inspected image in the review queue; it holds all that review needs, however long inspections are kept.

    Attributes:
        id: from the run and the position.
        draw_id: the draw that took it.
        line: the production line.
        run_id: the inspection run.
        model_id: the model that inspected.
        position: place of the image in the run.
        stratum: why it is here.
        rank: 0-based place in its stratum: of the audit in random order, else the most telling first.
        detail: why, as one sentence.
        name: path in the source of the inspection.
        image: SHA-256 of the image.
        reference: SHA-256 of its golden reference, where one is known.
        metadata: lot, wafer, die, station, product, captured_at …
        detections: what counted as found: class, score, x1, y1, x2, y2.
        created_at: when it came into the queue.
    """

    id: str
    draw_id: str
    line: str
    run_id: str
    model_id: str
    position: int
    stratum: Stratum
    rank: int
    detail: str
    name: str
    image: str
    reference: str | None
    metadata: Mapping[str, str]
    detections: tuple[Found, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProductionExport:
    """A set of images handed to a labelling tool.

    Attributes:
        id: from its content.
        line: the production line.
        items: by the name each image has in the export: id of its item, and of the review whose boxes it shows; empty
            where it shows the model's.
        created_at: when it was written first.
    """

    id: str
    line: str
    items: Mapping[str, tuple[str, str]]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProductionReview:
    """One export that came back.

    Attributes:
        id: from the export and what came back.
        line: the production line.
        export_id: the export.
        actor: who looked.
        reason: what they say about it.
        images: how many images got a truth, or another one.
        boxes: boxes that differ from what was exported, by kind of change.
        created_at: when.
    """

    id: str
    line: str
    export_id: str
    actor: str
    reason: str
    images: int
    boxes: Mapping[str, int]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewedImage:
    """The truth of one image as a person sees it; never changed, a later one goes before an earlier one.

    Attributes:
        id: from the review and the image.
        review_id: the review that brought it.
        line: the production line.
        image: SHA-256 of the image; its truth holds for every item that shows these bytes.
        item_id: the item that was looked at.
        boxes: every defect on it; empty for an image without defect.
        changed: boxes that differ from what the reviewer was shown.
        actor: who looked.
        created_at: when.
    """

    id: str
    review_id: str
    line: str
    image: str
    item_id: str
    boxes: tuple[LabelledBox, ...]
    changed: int
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProductionClass:
    """How one defect class does in production, on audited images.

    Attributes:
        defect_class: the class.
        recall: found instances of all that reviewers saw, with exact bounds.
        precision: right detections of all, with exact bounds.
        grouped_recall: recall with bounds by bootstrap over lots, whose defects are missed together.
        misses: instances not found, by `ErrorKind`.
        false_alarms: detections that found nothing, by `ErrorKind`.
    """

    defect_class: str
    recall: Rate
    precision: Rate
    grouped_recall: Rate
    misses: Mapping[str, int]
    false_alarms: Mapping[str, int]

    @property
    def instances(self) -> int:
        """How many defects of the class reviewers saw."""
        return self.recall.trials

    @property
    def found(self) -> int:
        """How many of them the model had found."""
        return self.recall.hits


@dataclass(frozen=True, slots=True)
class ProductionFigures:
    """What the random audit says of a model in production; `stages.cover` says why it may be believed.

    Attributes:
        id: from the model, the window and every truth that went in.
        line: the production line.
        model_id: the model.
        since: time of the first inspection that counts.
        until: time of the last one.
        iou: overlap from which a detection counts as found.
        confidence: of each one-sided bound.
        share: chance each image had to be among the audited ones that count, 0..1.
        runs: inspections that count.
        inspected: images they stand for.
        images: audited images that count.
        waiting: audited images that nobody has looked at yet; their inspections do not count until all are.
        uncovered: inspected images of runs that do not count because the day's limit cut their share.
        classes: every defect class.
        escapes: defective images on which nothing was found.
        overkill: images without defect on which something was found.
        created_at: when.
    """

    id: str
    line: str
    model_id: str
    since: datetime
    until: datetime
    iou: float
    confidence: float
    share: float
    runs: int
    inspected: int
    images: int
    waiting: int
    uncovered: int
    classes: tuple[ProductionClass, ...]
    escapes: Rate
    overkill: Rate
    created_at: datetime

    def by_class(self) -> Mapping[str, ProductionClass]:
        """Return the figures keyed by defect class."""
        return {figures.defect_class: figures for figures in self.classes}


def newest_by_image(reviewed: Iterable[ReviewedImage]) -> dict[str, ReviewedImage]:
    """Return the truth that holds for each image: the newest one, by the image's SHA-256."""
    return {item.image: item for item in sorted(reviewed, key=lambda item: (item.created_at, item.id))}
