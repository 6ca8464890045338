"""Reviewed images of inspections to a dataset version that holds them as well."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from wafergate.domain.gate import LedgerKind
from wafergate.domain.identity import identify
from wafergate.domain.models import Channels
from wafergate.domain.production import ProductionItem, ReviewedImage, newest_by_image
from wafergate.domain.samples import DatasetVersion, ImageRecord, Sample, count_classes
from wafergate.jobs.parts import Parts
from wafergate.jobs.taxonomy import stays_signed
from wafergate.jobs.versions import find_version
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft
from wafergate.stages.group import has_keys

__all__ = ["Adopted", "adopt", "production_name"]

FOLDER = "production"
"""Where adopted images lie in a dataset version; their names tell them from images of an intake."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of the reviewed images.

    Attributes:
        id: the dataset version that holds them; the parent where nothing was new.
        parent: the version they were added to.
        added: how many images are new.
        known: how many the parent held already; its labels stay.
        differing: how many of those were reviewed to other boxes than the parent has.
        left_out: name, and why it cannot be used to train.
    """

    id: str
    parent: str
    added: int
    known: int
    differing: int
    left_out: tuple[tuple[str, str], ...]


def adopt(parts: Parts, line: LineFile, dataset_id: str = "", *, actor: str, reason: str) -> Adopted:
    """Make a dataset version of another one and every reviewed image that it does not hold; twice adds nothing.

    The images keep their lot and wafer, so that the next split puts them where their group has been: what follows a
    group that judged never teaches, and what judged before keeps judging.

    Args:
        parts: the real parts.
        line: the line file.
        dataset_id: the version to add to; the line's newest of whole images where none is named.
        actor: who asks.
        reason: why; both stand in the ledger.

    Raises:
        NotFoundError: the line has no dataset version.
    """
    parent = find_version(parts.facts, line.name, dataset_id, whole=True)
    held = parts.facts.find(Sample, dataset_id=parent.id)
    truths = newest_by_image(parts.facts.find(ReviewedImage, line=line.name))
    boxes = _boxes(held)
    known = [image for image in truths if image in boxes]
    differing = sum(_as_drawn(truths[image]) != boxes[image] for image in known if boxes[image] is not None)
    new, left_out = _usable(line, _samples(parts, line.name, [truths[image] for image in truths if image not in boxes]))
    if not new:
        return Adopted(parent.id, parent.id, 0, len(known), differing, tuple(left_out))
    version = _version(parts, line, parent, held, new)
    placed = [replace(item, dataset_id=version.id, position=place) for place, item in enumerate([*held, *new])]
    told = {"parent": parent.id, "images": len(new), "boxes": sum(len(item.boxes) for item in new)}
    draft = LedgerDraft(line.name, LedgerKind.ADOPTED, version.id, actor, reason, told)
    parts.facts.save(version, placed, ledger=[draft])
    return Adopted(version.id, parent.id, len(new), len(known), differing, tuple(left_out))


def production_name(item: ProductionItem) -> str:
    """Return a file name for an inspected image that no other image has, flat as labelling tools want it."""
    name = PurePosixPath(item.name)
    return f"{name.stem}-{item.image[:12]}{name.suffix}"


_Drawn = frozenset[tuple[str, tuple[float, float, float, float]]]


def _boxes(samples: Iterable[Sample]) -> dict[str, _Drawn | None]:
    """Return what is drawn on every image; None for an image of which only tiles are there."""
    drawn: dict[str, _Drawn | None] = {}
    for sample in samples:
        drawn[sample.image] = _as_drawn(sample)
        if sample.part is not None:
            drawn.setdefault(sample.part.image, None)
    return drawn


def _as_drawn(item: Sample | ReviewedImage) -> _Drawn:
    return frozenset((box.defect_class, box.box.as_tuple()) for box in item.boxes)


def _samples(parts: Parts, line: str, truths: Sequence[ReviewedImage]) -> list[Sample]:
    """Return a sample for every reviewed image, in the order of their names."""
    items = {item.id: item for item in parts.facts.find(ProductionItem, line=line, id=[row.item_id for row in truths])}
    sizes = {row.id: row for row in parts.facts.find(ImageRecord, id=[row.image for row in truths])}
    made = [_sample(items[row.item_id], row, sizes) for row in truths]
    return sorted(made, key=lambda sample: sample.name)


def _sample(item: ProductionItem, truth: ReviewedImage, records: Mapping[str, ImageRecord]) -> Sample:
    record = records[truth.image]
    return Sample(
        dataset_id="",
        position=0,
        name=f"{FOLDER}/{production_name(item)}",
        image=truth.image,
        reference=item.reference,
        width=record.width,
        height=record.height,
        boxes=truth.boxes,
        metadata=item.metadata,
    )


def _usable(line: LineFile, samples: Sequence[Sample]) -> tuple[list[Sample], list[tuple[str, str]]]:
    """Return the samples that a split and a training can use, and of the others the name and what they lack."""
    kept, left_out = [], []
    for sample in samples:
        unknown = sorted({box.defect_class for box in sample.boxes}.difference(line.classes))
        if unknown:
            left_out.append((sample.name, f"it shows {unknown[0]!r}, which is not in [line] classes"))
        elif not has_keys(sample, line.split):
            wanted = [*line.split.group_by, *([line.split.neighbour_key] if line.split.neighbour_key else [])]
            left_out.append((sample.name, f"its inspection told no {' and '.join(wanted)}, which [split] groups by"))
        elif sample.reference is None and line.models.channels is Channels.GOLDEN:
            left_out.append((sample.name, "it has no golden reference for [models] channels 'golden'"))
        else:
            kept.append(sample)
    return kept, left_out


def _version(
    parts: Parts, line: LineFile, parent: DatasetVersion, held: Sequence[Sample], new: Sequence[Sample]
) -> DatasetVersion:
    samples = [*held, *new]
    content = [replace(sample, dataset_id="", position=place) for place, sample in enumerate(samples)]
    instances, images = count_classes(samples, dict.fromkeys([*parent.instances, *line.classes]))
    return replace(
        parent,
        id=identify("data", "adopted", parent.id, content),
        number=0,
        source=f"version {parent.number} and {len(new)} reviewed images of inspections",
        images=len(samples),
        normal_images=sum(not sample.boxes for sample in samples),
        instances=instances,
        image_counts=images,
        taxonomy_signed=stays_signed(line, parent, held, new),
        created_at=parts.clock(),
        parent=parent.id,
    )
