"""A corrected export to a new dataset version: what changed, box by box, and who changed it."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from wafergate.domain.changes import SAME_BOX_IOU, Changes
from wafergate.domain.gate import LedgerKind
from wafergate.domain.geometry import Box, iou_matrix
from wafergate.domain.identity import canonical_json, identify
from wafergate.domain.review import Answer, ReviewAnswer, ReviewItem
from wafergate.domain.samples import DatasetVersion, QuarantineReason, RawSample, Sample, count_classes
from wafergate.errors import SourceError, TaxonomyError
from wafergate.formats import READERS, ReadOptions
from wafergate.jobs.parts import Parts
from wafergate.jobs.taxonomy import stays_signed
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft
from wafergate.stages.correct import Correction, correct

__all__ = ["Corrected", "bring_back", "newest_of", "read_labels"]

_LISTED = 5
_IN_LEDGER = 20


@dataclass(frozen=True, slots=True)
class Corrected:
    """What became of a corrected export.

    Attributes:
        id: the dataset version that holds the corrections.
        parent: the version they were laid over; the same id where there was nothing to correct.
        changes: what differs between the two.
    """

    id: str
    parent: str
    changes: Changes


class _Labels:
    """The label files of an export beside the images of the version it corrects, which need not come back."""

    def __init__(self, export: Mapping[str, bytes], images: Sequence[str], title: str) -> None:
        self._export = export
        self._names = tuple(sorted({*export, *images}))
        self.title = title

    def names(self) -> Sequence[str]:
        return self._names

    def unsafe(self) -> Sequence[tuple[str, str]]:
        return ()

    def read(self, name: str) -> bytes:
        if name not in self._export:
            message = f"{self.title} is read for its labels alone, not for {name}"
            raise SourceError(message)
        return self._export[name]

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name))


def newest_of(parts: Parts, dataset_id: str) -> DatasetVersion:
    """Return the newest version that was corrected from this one, itself where none was."""
    version = parts.facts.get(DatasetVersion, dataset_id)
    while later := parts.facts.find(DatasetVersion, parent=version.id, limit=1):
        version = later[0]
    return version


def bring_back(
    parts: Parts,
    line: LineFile,
    export: Mapping[str, bytes],
    dataset_id: str,
    *,
    title: str,
    actor: str,
    reason: str,
    dry: bool = False,
) -> Corrected:
    """Make a new dataset version of a corrected COCO export; the same export twice changes nothing.

    Images that the export does not name, or names as they were, keep everything. Corrections are laid over the newest
    version corrected from the one that was exported.

    Args:
        parts: the real parts.
        line: the line file.
        export: the JSON files that came back, by their paths; images are not needed.
        dataset_id: the version that was exported.
        title: where they came from, for a person.
        actor: who corrected.
        reason: why; both stand in the ledger.
        dry: only tell what would change.

    Raises:
        SourceError: it is no COCO, a label cannot be read, an image is unknown or resized, or was corrected otherwise
            since it was exported.
        TaxonomyError: a label has no defect class, or another one than in this version.
    """
    head = newest_of(parts, dataset_id)
    base = parts.facts.find(Sample, dataset_id=dataset_id)
    current = base if head.id == dataset_id else parts.facts.find(Sample, dataset_id=head.id)
    found = read_labels(export, [sample.name for sample in base], title)
    labels = _classes(line, base, found)
    made = correct(base, current, found, labels)
    if not made.changes.images or dry:
        return Corrected(head.id, head.id, made.changes)
    version = replace(
        _version(parts, head, title, made.samples), taxonomy_signed=stays_signed(line, head, current, made.samples)
    )
    samples = (replace(sample, dataset_id=version.id) for sample in made.samples)
    answers = _answers(parts, {dataset_id, head.id}, version, made, actor=actor, reason=reason)
    parts.facts.save(version, [*samples, *answers], ledger=[_told(parts, head, version, made, actor, reason)])
    return Corrected(version.id, head.id, made.changes)


def read_labels(export: Mapping[str, bytes], images: Sequence[str], title: str) -> list[RawSample]:
    """Return the labels that came back from a labelling tool, of the images that they name.

    Args:
        export: COCO files by their paths.
        images: names they may speak of.
        title: where they came from, for a person.

    Raises:
        SourceError: nothing of it is COCO, a label cannot be read, or another image is named.
    """
    reading = READERS["coco"](_Labels(export, images, title), ReadOptions())
    problems = [
        f"{path}: {detail}"
        for path, reason, detail in reading.problems
        # an image that the export does not name is as it was
        if reason is not QuarantineReason.IMAGE_WITHOUT_LABEL
    ]
    if problems:
        more = f" (and {len(problems) - _LISTED} more)" if len(problems) > _LISTED else ""
        message = f"{title} cannot be brought back: {'; '.join(problems[:_LISTED])}{more}; nothing was changed"
        raise SourceError(message)
    return list(reading.samples)


def _classes(line: LineFile, base: Sequence[Sample], found: Sequence[RawSample]) -> Mapping[str, str]:
    labels = line.taxonomy.resolve((box.label for item in found for box in item.boxes), line.classes)
    held = {box.raw_label: box.defect_class for sample in base for box in sample.boxes}
    other = sorted(label for label in labels if held.get(label, labels[label]) != labels[label])
    if other:
        message = (
            f"the label {other[0]!r} stands for {held[other[0]]!r} in this version and for {labels[other[0]]!r} in the "
            "line file: run the intake again, then correct the version it makes"
        )
        raise TaxonomyError(message)
    return labels


def _version(parts: Parts, parent: DatasetVersion, title: str, samples: Sequence[Sample]) -> DatasetVersion:
    content = [replace(sample, dataset_id="") for sample in samples]
    instances, images = count_classes(samples, parent.instances)
    return replace(
        parent,
        id=identify("data", "corrected", parent.id, content),
        number=0,
        source=f"version {parent.number} corrected by {title}",
        format="coco",
        normal_images=sum(not sample.boxes for sample in samples),
        instances=instances,
        image_counts=images,
        created_at=parts.clock(),
        parent=parent.id,
    )


def _told(
    parts: Parts, parent: DatasetVersion, version: DatasetVersion, made: Correction, actor: str, reason: str
) -> LedgerDraft:
    """Tell every change: the first ones in the ledger itself, all of them in a file that it names by digest."""
    lines = [(image.name, str(box)) for image in made.changes.images for box in image.boxes]
    details = {
        "parent": parent.id,
        "images": len(made.changes.images),
        "boxes": {kind.value: count for kind, count in made.changes.box_counts.items()},
        "first": [list(line) for line in lines[:_IN_LEDGER]],
        "changes": parts.files.put(canonical_json(made.changes.images).encode()),
    }
    return LedgerDraft(version.line, LedgerKind.CORRECTED, version.id, actor, reason, details)


def _answers(
    parts: Parts, datasets: set[str], version: DatasetVersion, made: Correction, *, actor: str, reason: str
) -> list[ReviewAnswer]:
    """Return the answers that the corrections give to items of the versions they began from."""
    changed = {image.name: image.boxes for image in made.changes.images}
    answers = []
    for item in parts.facts.find(ReviewItem, dataset_id=sorted(datasets), sample=sorted(changed)):
        boxes = [change.before.box for change in changed[item.sample] if change.before is not None]
        added = [change.after.box for change in changed[item.sample] if change.before is None and change.after]
        if item.box in boxes or (item.box_index is None and _overlaps(item.box, added)):
            answers.append(
                ReviewAnswer(
                    id=identify("answer", item.id, Answer.CORRECTED, version.id),
                    item_id=item.id,
                    key=item.key,
                    answer=Answer.CORRECTED,
                    actor=actor,
                    reason=reason,
                    corrected_in=version.id,
                    created_at=parts.clock(),
                )
            )
    return answers


def _overlaps(box: Box, others: Sequence[Box]) -> bool:
    shares = iou_matrix(np.array([box.as_tuple()]), np.array([other.as_tuple() for other in others]))
    return bool((shares >= SAME_BOX_IOU).any())
