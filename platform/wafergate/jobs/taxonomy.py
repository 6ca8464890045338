"""Propose how labels become defect classes, see what it does, and enter the customer's agreement (rule M3)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import LedgerKind
from wafergate.domain.identity import identify
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.taxonomy import Signature, Taxonomy, TaxonomyVersion
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import TaxonomyError
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft

__all__ = ["Effect", "agreed", "confusions", "effects", "propose", "sign", "stays_signed"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a taxonomy does to one raw label of a dataset version.

    Attributes:
        raw: the label.
        boxes: drawn under it.
        images: that show it.
        now: its defect class in the version.
        then: its defect class under the taxonomy; None where it would have none.
    """

    raw: str
    boxes: int
    images: int
    now: str
    then: str | None


def propose(parts: Parts, line: str, taxonomy: Taxonomy, *, actor: str) -> Outcome:
    """Keep the merges and renames of a taxonomy as a version of the line's; the same ones are the same version.

    Raises:
        TaxonomyError: it changes nothing, so that nobody need agree to it.
    """
    if not taxonomy.changes:
        message = "a taxonomy needs a merge or a rename to agree on, found none: labels that are classes need no entry"
        raise TaxonomyError(message)
    row_id = identify("taxonomy", line, taxonomy.changes)
    if parts.facts.find(TaxonomyVersion, id=row_id):
        return Outcome(row_id, reused=True)
    row = TaxonomyVersion(row_id, line, 0, taxonomy.changes, actor, parts.clock())
    return Outcome(row_id, not parts.facts.save(row))


def sign(parts: Parts, taxonomy_id: str, *, signed_by: str, signed_on: date, reference: str, actor: str) -> Outcome:
    """Enter the customer's agreement to a version, told in the ledger.

    Raises:
        NotFoundError: there is no such version.
        TaxonomyError: who, or where it is written, is missing, or the day has not come yet.
    """
    version = parts.facts.get(TaxonomyVersion, taxonomy_id)
    now = parts.clock()
    if not signed_by.strip() or not reference.strip():
        message = "a signature needs who agreed on the customer's side and where it is written (mail, minutes, ticket)"
        raise TaxonomyError(message)
    if signed_on > now.date():
        message = f"nobody agreed on {signed_on} yet: it is {now.date()}"
        raise TaxonomyError(message)
    day = signed_on.isoformat()
    row_id = identify("signature", taxonomy_id, signed_by, day, reference)
    row = Signature(row_id, version.id, version.line, signed_by, day, reference, actor, now)
    told = LedgerDraft(
        line=version.line,
        kind=LedgerKind.SIGNED,
        subject=version.id,
        actor=actor,
        reason=f"{signed_by} agreed on {day} to taxonomy {version.number} ({reference})",
        details={"signature": row_id, "map": {item.raw: item.defect_class for item in version.map}},
    )
    return Outcome(row_id, not parts.facts.save(row, ledger=[told]))


def agreed(parts: Parts, dataset: DatasetVersion) -> bool:
    """Tell whether the customer agreed to every merge and rename that a dataset version's boxes went through.

    The line file said so at intake, or a signature entered since covers them all; one signed version must, because
    what a customer agreed to is a taxonomy as a whole.
    """
    if dataset.taxonomy_signed:
        return True
    changed = _changed(parts.facts.find(Sample, dataset_id=dataset.id))
    signed = {row.taxonomy_id for row in parts.facts.find(Signature, line=dataset.line)}
    versions = (parts.facts.get(TaxonomyVersion, version) for version in signed)
    return not changed or any(changed <= {(item.raw, item.defect_class) for item in row.map} for row in versions)


def stays_signed(line: LineFile, parent: DatasetVersion, held: Iterable[Sample], drawn: Iterable[Sample]) -> bool:
    """Tell whether what was agreed to for a version covers one that people's boxes make of it.

    A merge or rename that the parent does not hold needs the signature of the line file as it is now.

    Args:
        line: the line file.
        parent: the version that was added to or corrected.
        held: its samples.
        drawn: the samples that are new or changed.
    """
    own = {(item.raw, item.defect_class) for item in line.taxonomy.changes} if line.taxonomy.signed else set()
    return parent.taxonomy_signed and _changed(drawn) <= _changed(held) | own


def _changed(samples: Iterable[Sample]) -> set[tuple[str, str]]:
    """Return the merges and renames that boxes went through, as raw label and class."""
    pairs = {(box.raw_label, box.defect_class) for sample in samples for box in sample.boxes}
    return {(raw, name) for raw, name in pairs if raw != name}


def effects(samples: Sequence[Sample], classes: Sequence[str], taxonomy: Taxonomy) -> list[Effect]:
    """Return what a taxonomy does to every raw label of a dataset version, by label."""
    boxes: Counter[str] = Counter()
    images: Counter[str] = Counter()
    now: dict[str, str] = {}
    for sample in samples:
        boxes.update(box.raw_label for box in sample.boxes)
        images.update({box.raw_label for box in sample.boxes})
        now |= {box.raw_label: box.defect_class for box in sample.boxes}
    then = {name: name for name in classes} | {item.raw: item.defect_class for item in taxonomy.map}
    return [Effect(raw, boxes[raw], images[raw], now[raw], then.get(raw)) for raw in sorted(boxes)]


def confusions(parts: Parts, line: str) -> list[tuple[str, str, int]]:
    """Return (true class, said class, instances) of the line's newest judged model, most confused first."""
    for model in parts.facts.find(ModelVersion, line=line):
        judged = parts.facts.find(Evaluation, model_id=model.id, limit=1)
        if judged:
            cells = [
                (truth, said, judged[0].confusion[row][column])
                for row, truth in enumerate(model.classes)
                for column, said in enumerate(model.classes)
                if row != column and judged[0].confusion
            ]
            return sorted((cell for cell in cells if cell[2]), key=lambda cell: (-cell[2], cell[:2]))
    return []
