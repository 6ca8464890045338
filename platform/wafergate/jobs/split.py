"""A dataset version to a split whose test holds every class evenly, with the proof that nothing leaks."""

from collections.abc import Sequence
from dataclasses import replace

from wafergate.domain.gate import LedgerKind
from wafergate.domain.identity import identify
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import LeakItem, LeakKind, LeakProof, Side, Split, SplitMember
from wafergate.domain.standing import Renewal
from wafergate.domain.words import counted
from wafergate.errors import SplitError
from wafergate.jobs.near_duplicates import find_near_duplicates, known_crowds, known_pairs
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.past import line_splits, looks, renewals, units
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft
from wafergate.stages.apart import copies_aside, leave_overlaps_out, without_copies
from wafergate.stages.leaks import check_leaks, item_of_sample
from wafergate.stages.split import seal
from wafergate.stages.split import split as assign_sides

__all__ = ["preview", "renew", "require_clean", "split"]


def split(parts: Parts, line: LineFile, dataset_id: str) -> Outcome:
    """Split a dataset version as the line's policy says, every image used before on the side it has.

    Raises:
        SplitError: no split holds every class in an even test, or something would stand on both sides.
    """
    row_id = _row_id(parts, line, dataset_id)
    if parts.facts.find(Split, id=row_id):
        return Outcome(row_id, reused=True)
    row, members = _make(parts, line, dataset_id, row_id=row_id)
    return Outcome(row_id, not parts.facts.save(row, members))


def renew(parts: Parts, line: LineFile, dataset_id: str, *, actor: str, reason: str) -> Outcome:
    """Retire the line's test sets and split a dataset version with a new one, told in the ledger.

    Retired test images may teach from now on and never judge again; the new test holds images that no split used for
    anything. Where such images make no even test the old one stays.

    Raises:
        SplitError: the line has no test set yet, or the images that were never used make no even test.
    """
    worn = next(iter(line_splits(parts, line.name)), None)
    if worn is None:
        message = f"line {line.name!r} has no test set to retire: run `wafergate retrain`"
        raise SplitError(message)
    try:
        _make(parts, line, dataset_id, row_id="", retiring=worn.id)
    except SplitError as error:
        message = f"the test set stays: without its images {error}"
        raise SplitError(message) from error
    renewal = Renewal(
        id=identify("renewal", line.name, worn.id),
        line=line.name,
        split_id=worn.id,
        test_digest=worn.test_digest,
        images=worn.images[Side.TEST],
        looks=looks(parts, worn),
        actor=actor,
        reason=reason,
        created_at=parts.clock(),
    )
    details = {"test": renewal.test_digest, "images": renewal.images, "looks": renewal.looks, "dataset": dataset_id}
    draft = LedgerDraft(line.name, LedgerKind.RENEWED, worn.id, actor, reason, details)
    parts.facts.save(renewal, ledger=[draft])
    return split(parts, line, dataset_id)


def _row_id(parts: Parts, line: LineFile, dataset_id: str) -> str:
    retired = sorted(row.id for row in renewals(parts, line.name))
    return identify("split", dataset_id, line.split, line.near_duplicates, sorted(line.classes), *retired)


def _make(
    parts: Parts, line: LineFile, dataset_id: str, *, row_id: str, retiring: str = ""
) -> tuple[Split, list[SplitMember]]:
    """Return a split and its members, not yet saved."""
    samples = parts.facts.find(Sample, dataset_id=dataset_id)
    dataset = parts.facts.get(DatasetVersion, dataset_id)
    find_near_duplicates(parts, line.near_duplicates, dataset_id)
    same = known_pairs(parts, dataset_id, line.near_duplicates)
    groups, past = units(parts, dataset, samples, line.split, same=same, retiring=retiring)
    places = without_copies(samples)
    single, past = [samples[place] for place in places], replace(past, images=[past.images[place] for place in places])
    assignment = assign_sides(single, [groups[place] for place in places], line.classes, line.split, past=past)
    assignment = leave_overlaps_out(single, assignment, line.classes, line.split)
    assignment = copies_aside(groups, places, assignment)
    sides = assignment.sides
    items = [item_of_sample(sample, group) for sample, group in zip(samples, groups, strict=True)]
    train, validation, test = (_on(items, sides, side) for side in (Side.TRAIN, Side.VALIDATION, Side.TEST))
    crowds = [] if line.split.tells_parts_apart else known_crowds(parts, dataset_id, line.near_duplicates)
    leak = check_leaks(train, validation, test, near_duplicates=same, crowds=crowds)
    require_clean(leak)
    row = Split(
        id=row_id,
        dataset_id=dataset_id,
        mode=assignment.mode,
        counts=assignment.counts,
        images=assignment.images,
        normal_images=assignment.normal_images,
        groups=len(set(groups)),
        evenness=assignment.evenness,
        optimal=assignment.optimal,
        gap=assignment.gap,
        test_digest=seal(samples, sides),
        leak=leak,
        warnings=assignment.warnings,
        created_at=parts.clock(),
    )
    members = [
        SplitMember(row_id, sample.position, sample.name, side, group, sample.image)
        for sample, side, group in zip(samples, sides, groups, strict=True)
    ]
    return row, members


def preview(parts: Parts, line: LineFile, dataset_id: str) -> tuple[Split, list[SplitMember]]:
    """Return the split of a dataset version, or the one it would get, and its members; no split is stored.

    Raises:
        SplitError: as `split`.
    """
    row_id = _row_id(parts, line, dataset_id)
    if known := parts.facts.find(Split, id=row_id):
        return known[0], parts.facts.find(SplitMember, split_id=row_id)
    return _make(parts, line, dataset_id, row_id=row_id)


def require_clean(leak: LeakProof) -> None:
    """Refuse what teaches and judges at once.

    Raises:
        SplitError: the proof found cross edges; a few are named.
    """
    if leak.cross_edges:
        kinds = ", ".join(f"{kind} {count}" for kind, count in leak.kinds.items() if count)
        # Parts of one image are one group already, so that these pairs judge together: no group would part them.
        parts = {LeakKind.PARENT, LeakKind.CHILD, LeakKind.OVERLAP}
        cure = (
            "split a version that shows no pixel twice: `wafergate tile --overlap 0` makes one"
            if all(kind in parts for kind, count in leak.kinds.items() if count)
            else "name their common group in [split] group_by"
        )
        pairs = counted(leak.cross_edges, "pair")
        message = (
            f"nothing may stand on two sides of a split, or judge twice; found {pairs} ({kinds}), "
            f"for example {'; '.join(leak.examples)}: {cure}"
        )
        raise SplitError(message)


def _on(items: Sequence[LeakItem], sides: Sequence[Side], side: Side) -> list[LeakItem]:
    return [item for item, of in zip(items, sides, strict=True) if of is side]
