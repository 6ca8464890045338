"""A dataset version to a split whose test holds every class evenly, with the proof that nothing leaks."""

from collections.abc import Sequence

from wafergate.domain.identity import identify
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import ClassPower, LeakItem, LeakProof, Side, Split, SplitMember
from wafergate.errors import SplitError
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile
from wafergate.stages.group import assign_groups
from wafergate.stages.leaks import check_leaks, item_of_sample
from wafergate.stages.plan_power import plan_power
from wafergate.stages.split import seal
from wafergate.stages.split import split as assign_sides

__all__ = ["power", "require_clean", "split"]


def split(parts: Parts, line: LineFile, dataset_id: str) -> Outcome:
    """Split a dataset version as the line's policy says.

    Raises:
        SplitError: no split holds every class in an even test, or something would stand on both sides.
    """
    row_id = identify("split", dataset_id, line.split, sorted(line.classes))
    if parts.facts.find(Split, id=row_id):
        return Outcome(row_id, reused=True)
    samples = parts.facts.find(Sample, dataset_id=dataset_id)
    groups = assign_groups(samples, line.split)
    assignment = assign_sides(samples, groups, line.classes, line.split)
    sides = assignment.sides
    items = [item_of_sample(sample, group) for sample, group in zip(samples, groups, strict=True)]
    leak = check_leaks(*(_on(items, sides, side) for side in (Side.TRAIN, Side.VALIDATION, Side.TEST)))
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
    members = (
        SplitMember(row_id, sample.position, sample.name, side, group)
        for sample, side, group in zip(samples, sides, groups, strict=True)
    )
    return Outcome(row_id, not parts.facts.save(row, members))


def power(parts: Parts, line: LineFile, split_id: str) -> tuple[ClassPower, ...]:
    """Return, class by class, what the split's test set can prove to the gate."""
    row = parts.facts.get(Split, split_id)
    totals = parts.facts.get(DatasetVersion, row.dataset_id).instances
    critical = set(line.line.critical)
    limits = {name: line.gate.critical_recall if name in critical else line.gate.recall for name in line.classes}
    return plan_power(row.counts[Side.TEST], totals, limits, confidence=line.gate.confidence, policy=line.split)


def require_clean(leak: LeakProof) -> None:
    """Refuse what teaches and judges at once.

    Raises:
        SplitError: the proof found cross edges; a few are named.
    """
    if leak.cross_edges:
        kinds = ", ".join(f"{kind} {count}" for kind, count in leak.kinds.items() if count)
        message = (
            f"nothing may stand on two sides of a split; found {leak.cross_edges} pairs ({kinds}), for example "
            f"{'; '.join(leak.examples)}: name their common group in [split] group_by"
        )
        raise SplitError(message)


def _on(items: Sequence[LeakItem], sides: Sequence[Side], side: Side) -> list[LeakItem]:
    return [item for item, of in zip(items, sides, strict=True) if of is side]
