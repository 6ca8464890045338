"""What the gate could decide on a line's test set, before anything is trained."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wafergate.domain.bounds import least_groups
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import ClassPower, NormalPower, Side, Split, SplitMember
from wafergate.errors import SplitError
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
from wafergate.ports import FactStore
from wafergate.stages.plan_power import counts_for, plan_normals, plan_power

__all__ = ["Plan", "plan_per_class", "plan_split", "plan_version"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a test set can prove.

    Attributes:
        classes: per defect class.
        normals: about the overkill rate.
        split: the split it speaks of; None for one that nobody made.
        shortage: why the version cannot be split; empty where it can.
        least_groups: how many groups must show every class, where that is asked for and no split tells its groups; 0
            where it is not.
    """

    classes: tuple[ClassPower, ...]
    normals: NormalPower | None = None
    split: Split | None = None
    shortage: str = ""
    least_groups: int = 0

    @property
    def decidable(self) -> bool:
        """Whether a perfect model would pass the rules that rest on counts."""
        return all(item.decidable for item in self.classes) and (self.normals is None or self.normals.decidable)

    @property
    def test_per_class(self) -> int:
        """What `[split] test_per_class` must be raised to before more labels help; 0 where it is high enough."""
        return max((item.test_per_class for item in self.classes), default=0)

    @property
    def verdict(self) -> str:
        """Whether the gate can be decided, in one sentence."""
        unseen = (
            f"; groups are not looked at: [gate] grouped asks for {self.least_groups} that show every class in test"
            if self.least_groups
            else ""
        )
        if self.decidable:
            return f"the gate can be decided: a perfect model would pass every rule that rests on counts{unseen}"
        open_ones = [item.defect_class for item in self.classes if not item.decidable]
        if self.normals and not self.normals.decidable:
            open_ones.append("overkill")
        more = [f"{item.more_groups} of {item.defect_class}" for item in self.classes if item.more_groups]
        groups = f"; further groups needed in test: {', '.join(more)}" if more else unseen
        raised = f"; set [split] test_per_class to {self.test_per_class} or more" if self.test_per_class else ""
        told = f"{', '.join(open_ones)}: not even a perfect model would pass{groups}{raised}"
        return f"the gate cannot be decided for {told}"


def plan_version(parts: Parts, line: LineFile, dataset: DatasetVersion) -> Plan:
    """Plan for a dataset version: on its split, or on the one it would get."""
    # Imported here: it brings a solver that takes half a second to load, and who plans a split that is made needs none.
    from wafergate.jobs.split import preview

    try:
        split, members = preview(parts, line, dataset.id)
    except SplitError as error:
        counts = {Side.TRAIN.value: dataset.instances}
        return Plan(_classes(line, counts), shortage=str(error), least_groups=_least_groups(line))
    return plan_split(parts.facts, line, split, members)


def plan_split(facts: FactStore, line: LineFile, split: Split, members: Iterable[SplitMember] | None = None) -> Plan:
    """Plan for a split; `members` are those of one that is not stored."""
    normals = plan_normals(split.normal_images.get(Side.TEST, 0), line.gate.overkill, confidence=line.gate.confidence)
    more: dict[str, int] = {}
    if line.gate.grouped:
        members = facts.find(SplitMember, split_id=split.id) if members is None else members
        shown = _groups_in_test(facts, split, members)
        more = {name: max(0, _least_groups(line) - len(shown.get(name, ()))) for name in line.classes}
    return Plan(_classes(line, split.counts, more), normals, split)


def plan_per_class(line: LineFile, per_class: int) -> Plan:
    """Plan for a test set of this many instances of every class, before there are any data."""
    classes = _classes(line, counts_for(per_class, line.classes, line.split))
    return Plan(classes, least_groups=_least_groups(line))


def _groups_in_test(facts: FactStore, split: Split, members: Iterable[SplitMember]) -> dict[str, set[str]]:
    """Return the groups that show each class in test."""
    group = {member.name: member.group for member in members if member.side is Side.TEST}
    shown: dict[str, set[str]] = {}
    for sample in facts.find(Sample, dataset_id=split.dataset_id):
        for name in sample.classes if sample.name in group else ():
            shown.setdefault(name, set()).add(group[sample.name])
    return shown


def _least_groups(line: LineFile) -> int:
    return least_groups(line.gate.confidence) if line.gate.grouped else 0


def _classes(
    line: LineFile, counts: Mapping[str, Mapping[str, int]], more_groups: Mapping[str, int] | None = None
) -> tuple[ClassPower, ...]:
    gate, critical = line.gate, set(line.line.critical)
    limits = {name: gate.critical_recall if name in critical else gate.recall for name in line.classes}
    confidence = gate.first_confidence(len(limits))
    return plan_power(counts, limits, confidence=confidence, policy=line.split, more_groups=more_groups or {})
