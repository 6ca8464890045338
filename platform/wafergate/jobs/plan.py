"""What the gate could decide on a line's test set, before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass

from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import ClassPower, NormalPower, Side, Split
from wafergate.errors import SplitError
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
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
    """

    classes: tuple[ClassPower, ...]
    normals: NormalPower | None = None
    split: Split | None = None
    shortage: str = ""

    @property
    def decidable(self) -> bool:
        """Whether a perfect model would pass the rules that rest on counts."""
        return all(item.decidable for item in self.classes) and (self.normals is None or self.normals.decidable)

    @property
    def verdict(self) -> str:
        """Whether the gate can be decided, in one sentence."""
        if self.decidable:
            return "the gate can be decided: a perfect model would pass every rule that rests on counts"
        open_ones = [item.defect_class for item in self.classes if not item.decidable]
        if self.normals and not self.normals.decidable:
            open_ones.append("overkill")
        return f"the gate cannot be decided for {', '.join(open_ones)}: not even a perfect model would pass"


def plan_version(parts: Parts, line: LineFile, dataset: DatasetVersion) -> Plan:
    """Plan for a dataset version: on its split, or on the one it would get."""
    # Imported here: it brings a solver that takes half a second to load, and who plans a split that is made needs none.
    from wafergate.jobs.split import preview

    try:
        return plan_split(line, preview(parts, line, dataset.id))
    except SplitError as error:
        counts = {Side.TRAIN.value: dataset.instances}
        return Plan(_classes(line, counts), shortage=str(error))


def plan_split(line: LineFile, split: Split) -> Plan:
    """Plan for a split."""
    normals = plan_normals(split.normal_images.get(Side.TEST, 0), line.gate.overkill, confidence=line.gate.confidence)
    return Plan(_classes(line, split.counts), normals, split)


def plan_per_class(line: LineFile, per_class: int) -> Plan:
    """Plan for a test set of this many instances of every class, before there are any data."""
    return Plan(_classes(line, counts_for(per_class, line.classes, line.split)))


def _classes(line: LineFile, counts: Mapping[str, Mapping[str, int]]) -> tuple[ClassPower, ...]:
    gate, critical = line.gate, set(line.line.critical)
    limits = {name: gate.critical_recall if name in critical else gate.recall for name in line.classes}
    return plan_power(counts, limits, confidence=gate.first_confidence(len(limits)), policy=line.split)
