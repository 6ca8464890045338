"""The review list of a dataset version: who puts labels on it, where they stand, what a person answers."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from wafergate.domain.gate import LedgerKind
from wafergate.domain.geometry import Box
from wafergate.domain.identity import identify
from wafergate.domain.review import (
    Answer,
    ReviewAnswer,
    ReviewItem,
    ReviewState,
    Suspected,
    Suspicion,
    item_of,
    standing,
)
from wafergate.domain.samples import DatasetVersion, RawBox, RawSample, Sample
from wafergate.errors import NotFoundError
from wafergate.formats import coco, spreadsheet
from wafergate.formats.drawing import draw_box
from wafergate.jobs.named_rows import find_by_digits
from wafergate.jobs.parts import Parts, ahead, silent
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft, Progress

__all__ = ["EXPORTED", "Listed", "add_items", "export", "find_item", "keep", "review_list"]

EXPORTED = "review.json"
"""In an exported folder: which dataset version it holds."""

Listed = tuple[ReviewItem, ReviewState]

_COLUMNS = (
    "item", "image", "box", "label", "suspicion", "score", "detail", "state", "x1", "y1", "x2", "y2", "picture",
)  # fmt: skip


def add_items(parts: Parts, dataset_id: str, suspected: Iterable[Suspected]) -> int:
    """Put suspicions about a dataset version's boxes on its review list; return how many were not there yet.

    Raises:
        NotFoundError: there is no such version, or a suspicion names an image it does not hold.
    """
    version = parts.facts.get(DatasetVersion, dataset_id)
    wanted = list(suspected)
    if not wanted:
        return 0
    names = sorted({item.sample for item in wanted})
    images = {item.name: item.image for item in parts.facts.find(Sample, dataset_id=dataset_id, name=names)}
    unknown = [name for name in names if name not in images]
    if unknown:
        message = f"dataset version {version.number} of line {version.line!r} holds no image {unknown[0]!r}"
        raise NotFoundError(message)
    now = parts.clock()
    return parts.facts.save_all(
        item_of(item, dataset_id=dataset_id, line=version.line, image=images[item.sample], now=now) for item in wanted
    )


def review_list(parts: Parts, dataset_id: str) -> list[Listed]:
    """Return every item of a dataset version with where it stands, the worst kind and the highest score first."""
    order = list(Suspicion)
    items = sorted(
        parts.facts.find(ReviewItem, dataset_id=dataset_id),
        key=lambda item: (order.index(item.kind), -item.score, item.sample, item.id),
    )
    answers = parts.facts.find(ReviewAnswer, key=[item.key for item in items])
    states = standing(items, answers)
    return [(item, states[item.id]) for item in items]


def find_item(parts: Parts, key: str) -> ReviewItem:
    """Return the item of an id, or of the first digits of one as lists show them.

    Raises:
        NotFoundError: there is none, or there are several.
    """
    return find_by_digits(parts.facts, ReviewItem, key, prefix="review-", shown_by="wafergate review list")


def keep(parts: Parts, item: ReviewItem, *, actor: str, reason: str) -> bool:
    """Answer that a label is right as it is, for this and every later version; return whether that is new."""
    answer = ReviewAnswer(
        id=identify("answer", item.key, Answer.KEPT),
        item_id=item.id,
        key=item.key,
        answer=Answer.KEPT,
        actor=actor,
        reason=reason,
        corrected_in=None,
        created_at=parts.clock(),
    )
    told = {"image": item.sample, "label": item.label, "box": list(item.box.as_tuple()), "suspicion": item.kind.value}
    draft = LedgerDraft(item.line, LedgerKind.REVIEWED, item.id, actor, reason, told)
    return parts.facts.save(answer, ledger=[draft])


def export(
    parts: Parts, line: LineFile, dataset_id: str, listed: Sequence[Listed], *, progress: Progress = silent
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder that any labelling tool can edit and `jobs.correct` brings back.

    `coco/` holds the images of the items given, with all of their boxes under the labels they were drawn with;
    `pictures/` shows each suspicion; `suspicions.csv` lists them; `review.json` names the version.

    Args:
        parts: the real parts.
        line: the line file: its labels are offered as categories.
        dataset_id: the version.
        listed: items of this version.
        progress: told of every picture.
    """
    version = parts.facts.get(DatasetVersion, dataset_id)
    names = sorted({item.sample for item, _ in listed})
    samples = {item.name: item for item in parts.facts.find(Sample, dataset_id=dataset_id, name=names)}
    labels = {*line.classes, *(mapping.raw for mapping in line.taxonomy.map)}
    for name, data in coco.write([_raw(samples[name]) for name in names], labels=labels).items():
        yield f"coco/{name}", data
    digests = [samples[name].image for name in names]
    for name, data in zip(names, ahead(parts.files.get, digests), strict=True):
        yield f"coco/{name}", data
    pictures = [_picture_name(place, item) for place, (item, _) in enumerate(listed, start=1)]

    def draw(item: ReviewItem) -> bytes:
        return _picture(parts, item, samples[item.sample])

    drawn = ahead(draw, (item for item, _ in listed))
    for done, (name, data) in enumerate(zip(pictures, drawn, strict=True), start=1):
        yield name, data
        progress("drawing pictures", done, len(pictures))
    yield "suspicions.csv", _table(listed, pictures)
    told = {"line": version.line, "version": version.number, "dataset": version.id}
    yield EXPORTED, json.dumps(told, indent=1).encode()


def _raw(sample: Sample) -> RawSample:
    boxes = tuple(RawBox(item.raw_label, item.box, item.polygon) for item in sample.boxes)
    return RawSample(sample.name, boxes, size=(sample.width, sample.height))


def _picture_name(place: int, item: ReviewItem) -> str:
    return f"pictures/{place:04d}-{item.kind}-{PurePosixPath(item.sample).stem}.png"


def _picture(parts: Parts, item: ReviewItem, sample: Sample) -> bytes:
    others: list[Box] = [drawn.box for place, drawn in enumerate(sample.boxes) if place != item.box_index]
    return parts.encode(draw_box(parts.decode(parts.files.get(item.image)), item.box, others))


def _table(listed: Sequence[Listed], pictures: Sequence[str]) -> bytes:
    rows: list[tuple[object, ...]] = []
    for (item, state), picture in zip(listed, pictures, strict=True):
        place = "" if item.box_index is None else item.box_index + 1
        about = (item.id, item.sample, place, item.label, item.kind.value, item.score, item.detail, state.value)
        rows.append((*about, *item.box.as_tuple(), picture))
    return spreadsheet.table(_COLUMNS, rows)
