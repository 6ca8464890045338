"""The review queue of inspected images: out to a labelling tool, and their truth back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wafergate.domain.changes import Changes
from wafergate.domain.gate import LedgerKind
from wafergate.domain.geometry import Box
from wafergate.domain.identity import canonical_json, identify
from wafergate.domain.production import (
    ProductionExport,
    ProductionItem,
    ProductionReview,
    ReviewedImage,
    Stratum,
    newest_by_image,
)
from wafergate.domain.samples import ImageRecord, LabelledBox, RawBox, RawSample, Sample
from wafergate.errors import NotFoundError, SourceError
from wafergate.formats import coco, spreadsheet
from wafergate.jobs.adopt import production_name
from wafergate.jobs.correct import read_labels
from wafergate.jobs.parts import Parts, ahead, silent
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft, Progress
from wafergate.stages.correct import correct

__all__ = ["EXPORTED", "Brought", "Queued", "audit_queue", "bring_truth", "export_queue", "find_export"]

EXPORTED = "audit.json"
"""In an exported folder: which export it is."""

Queued = tuple[ProductionItem, ReviewedImage | None]

_COLUMNS = ("image", "stratum", "why", "inspected as", "lot", "wafer", "die", "station", "product", "item")
_IN_LEDGER = 20


@dataclass(frozen=True, slots=True)
class Brought:
    """What came back from a labelling tool.

    Attributes:
        changes: boxes that differ from what is known: from the model's where nobody had looked, else from the truth.
        looked: images that came back.
        new: how many of them got a truth, or another one.
        missing: images of the export that did not come back; they stay in the queue.
        models: models whose inspections showed the images with a new truth.
    """

    changes: Changes
    looked: int
    new: int
    missing: int
    models: tuple[str, ...]


def audit_queue(parts: Parts, line: str) -> list[Queued]:
    """Return a line's queue, each item with the truth of its image if there is one: the audit first, oldest first."""
    order = list(Stratum)
    items = sorted(
        parts.facts.find(ProductionItem, line=line),
        key=lambda item: (order.index(item.stratum), item.created_at, item.run_id, item.rank),
    )
    truths = newest_by_image(parts.facts.find(ReviewedImage, line=line))
    return [(item, truths.get(item.image)) for item in items]


def export_queue(
    parts: Parts, line: LineFile, listed: Sequence[Queued], *, boxes: bool = True, progress: Progress = silent
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder that any labelling tool can edit and `bring_truth` reads.

    `coco/` holds each image once, with the truth where it has one, else with the model's boxes as proposals;
    `images.csv` tells why each is there; `audit.json` names the export, which is stored.

    Args:
        parts: the real parts.
        line: the line file: its labels are offered as categories.
        listed: of this line's queue.
        boxes: False shows no box, so that nobody is led by the model.
        progress: told of every image.
    """
    once: dict[str, Queued] = {}
    for item, truth in listed:
        once.setdefault(item.image, (item, truth))
    chosen = {production_name(item): (item, truth) for item, truth in once.values()}
    items = {name: (item.id, truth.id if truth else "") for name, (item, truth) in chosen.items()}
    row = ProductionExport(identify("export", line.name, items), line.name, items, parts.clock())
    parts.facts.save(row)
    shown = _samples(parts, row)
    labels = {*line.classes, *(mapping.raw for mapping in line.taxonomy.map)}
    for name, data in coco.write([_raw(sample, boxes=boxes) for sample in shown], labels=labels).items():
        yield f"coco/{name}", data
    for done, (sample, data) in enumerate(
        zip(shown, ahead(parts.files.get, [sample.image for sample in shown]), strict=True), start=1
    ):
        yield f"coco/{sample.name}", data
        progress("writing images", done, len(shown))
    yield "images.csv", _table(chosen)
    yield EXPORTED, json.dumps({"line": line.name, "export": row.id}, indent=1).encode()


def find_export(parts: Parts, line: str, named: str = "") -> ProductionExport:
    """Return an export of a line's queue by its id; the newest where nothing is named.

    Raises:
        NotFoundError: the line has none, or not this one.
    """
    found = parts.facts.find(ProductionExport, line=line, limit=1, **({"id": named} if named else {}))
    if not found:
        which = f"export {named!r}" if named else "export"
        message = f"line {line!r} has no {which} of its review queue: `wafergate audit export` makes one"
        raise NotFoundError(message)
    return found[0]


def bring_truth(
    parts: Parts,
    line: LineFile,
    files: Mapping[str, bytes],
    export: ProductionExport,
    *,
    title: str,
    actor: str,
    reason: str,
    dry: bool = False,
) -> Brought:
    """Take over what a person says is on the images of an export; the same again adds nothing.

    Every image in the files has been looked at: its boxes are all of its defects, and without any it shows none. An
    image that the files do not name stays in the queue.

    Args:
        parts: the real parts.
        line: the line file: its taxonomy says what labels mean.
        files: the JSON files that came back, by their paths; images are not needed.
        export: which images may be named.
        title: where they came from, for a person.
        actor: who looked.
        reason: what they say about it; both stand in the ledger.
        dry: only tell what would change.

    Raises:
        SourceError: it is no COCO, names an image that was not exported, has resized one, one was reviewed otherwise
            since it was exported, or two names of the same image show different boxes.
        TaxonomyError: a label has no defect class.
    """
    base = _samples(parts, export)
    truths = newest_by_image(parts.facts.find(ReviewedImage, line=line.name, image=[item.image for item in base]))
    head = [replace(item, boxes=truths[item.image].boxes) if item.image in truths else item for item in base]
    found = read_labels(files, [item.name for item in base], title)
    labels = line.taxonomy.resolve((box.label for item in found for box in item.boxes), line.classes)
    made = correct(base, head, found, labels)
    named = {item.name for item in found}
    looked = _once([sample for sample in made.samples if sample.name in named])
    new = [item for item in looked if item.image not in truths or truths[item.image].boxes != item.boxes]
    shown = parts.facts.find(ProductionItem, line=line.name, image=[item.image for item in new]) if new else []
    models = tuple(sorted({item.model_id for item in shown}))
    missing = len({item.image for item in base}) - len(looked)
    brought = Brought(made.changes, len(looked), len(new), missing, models)
    if new and not dry:
        row = _review(parts, export, brought, [(item, truths.get(item.image)) for item in new], actor, reason)
        changed = {image.name: len(image.boxes) for image in made.changes.images}
        rows = [_reviewed(row, export, item, changed.get(item.name, 0)) for item in new]
        parts.facts.save(row, rows, ledger=[_told(parts, row, brought)])
    return brought


def _samples(parts: Parts, export: ProductionExport) -> list[Sample]:
    """Return the images of an export as it showed them, in the order of their names."""
    wanted = [item_id for item_id, _ in export.items.values()]
    items = {item.id: item for item in parts.facts.find(ProductionItem, line=export.line, id=wanted)}
    reviews = sorted({review_id for _, review_id in export.items.values()} - {""})
    truths = {row.id: row for row in parts.facts.find(ReviewedImage, line=export.line, id=reviews)} if reviews else {}
    records = parts.facts.find(ImageRecord, id=sorted({item.image for item in items.values()}))
    sizes = {row.id: (row.width, row.height) for row in records}
    return [
        Sample(
            dataset_id="",
            position=place,
            name=name,
            image=items[item_id].image,
            reference=None,
            width=sizes[items[item_id].image][0],
            height=sizes[items[item_id].image][1],
            boxes=truths[review_id].boxes if review_id else _proposed(items[item_id]),
            metadata={},
        )
        for place, (name, (item_id, review_id)) in enumerate(sorted(export.items.items()))
    ]


def _once(looked: Sequence[Sample]) -> list[Sample]:
    """Return each image once: an export from before images were told by their bytes may name one twice."""
    first: dict[str, Sample] = {}
    for sample in looked:
        other = first.setdefault(sample.image, sample)
        if set(other.boxes) != set(sample.boxes):
            message = (
                f"{other.name} and {sample.name} are the same image, byte for byte, and show different boxes: "
                "make them alike, or leave one of them out; nothing was changed"
            )
            raise SourceError(message)
    return list(first.values())


def _proposed(item: ProductionItem) -> tuple[LabelledBox, ...]:
    return tuple(LabelledBox(name, name, Box(*corners)) for name, _, *corners in item.detections)


def _raw(sample: Sample, *, boxes: bool) -> RawSample:
    drawn = tuple(RawBox(item.raw_label, item.box, item.polygon) for item in sample.boxes) if boxes else ()
    return RawSample(sample.name, drawn, size=(sample.width, sample.height))


def _table(chosen: Mapping[str, Queued]) -> bytes:
    rows = (
        (
            name,
            item.stratum.value,
            item.detail,
            item.name,
            *(item.metadata.get(key, "") for key in _COLUMNS[4:9]),
            item.id,
        )
        for name, (item, _) in sorted(chosen.items())
    )
    return spreadsheet.table(_COLUMNS, rows)


def _review(
    parts: Parts,
    export: ProductionExport,
    brought: Brought,
    new: Sequence[tuple[Sample, ReviewedImage | None]],
    actor: str,
    reason: str,
) -> ProductionReview:
    content = [(item.image, item.boxes, before.id if before else "") for item, before in new]
    return ProductionReview(
        id=identify("truth", export.id, content),
        line=export.line,
        export_id=export.id,
        actor=actor,
        reason=reason,
        images=len(new),
        boxes={kind.value: count for kind, count in brought.changes.box_counts.items()},
        created_at=parts.clock(),
    )


def _reviewed(row: ProductionReview, export: ProductionExport, sample: Sample, changed: int) -> ReviewedImage:
    return ReviewedImage(
        id=identify("reviewed", row.id, sample.image),
        review_id=row.id,
        line=row.line,
        image=sample.image,
        item_id=export.items[sample.name][0],
        boxes=sample.boxes,
        changed=changed,
        actor=row.actor,
        created_at=row.created_at,
    )


def _told(parts: Parts, row: ProductionReview, brought: Brought) -> LedgerDraft:
    """Tell every change: the first ones in the ledger itself, all of them in a file that it names by digest."""
    lines = [(image.name, str(box)) for image in brought.changes.images for box in image.boxes]
    details = {
        "export": row.export_id,
        "images": row.images,
        "boxes": dict(row.boxes),
        "first": [list(line) for line in lines[:_IN_LEDGER]],
        "changes": parts.files.put(canonical_json(brought.changes.images).encode()),
    }
    return LedgerDraft(row.line, LedgerKind.REVIEWED, row.id, row.actor, row.reason, details)
