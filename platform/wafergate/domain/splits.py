"""Which image may teach and which may judge (rules M8 to M11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from wafergate.domain.geometry import Box

__all__ = [
    "Assignment",
    "ClassPower",
    "LeakItem",
    "LeakKind",
    "LeakProof",
    "NormalPower",
    "Side",
    "Split",
    "SplitMember",
    "SplitMode",
    "SplitPolicy",
]


class Side(StrEnum):
    """Where an image stands; `unused` images of a tested group, and copies of other images, neither teach nor judge."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    UNUSED = "unused"


class SplitMode(StrEnum):
    """The evenness that was reached, in the order of preference."""

    BOTH_EVEN = "both-even"
    TEST_EVEN = "test-even"


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How a line wants its images split.

    Attributes:
        group_by: metadata keys whose values, together, name a group that never crosses the split.
        neighbour_key: a numeric metadata key; images whose numbers follow each other closely are one group.
        neighbour_gap: numbers at most this far apart are neighbours.
        test_per_class: defect instances of every class wanted in test.
        val_per_class: defect instances of every class wanted in validation.
        min_test_per_class: a scarce class may lower the even test to this many instances, and no further.
        min_val_per_class: the same for an even validation; below it validation is taken as it falls.
        min_train_share: share of a class's instances that must stay for training.
        normal_share: share of the images without defect that goes to test and, again, to validation.
        tolerance: a side counts as even when its largest class is at most this much above its smallest.
        seed: chooses among equally good splits.
        time_limit_s: for each program the solver tries; past it the best split found is used, and says so.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    group_by: tuple[str, ...] = ()
    neighbour_key: str = ""
    neighbour_gap: Annotated[int, Ge(0)] = 0
    test_per_class: Annotated[int, Ge(1)] = 100
    val_per_class: Annotated[int, Ge(1)] = 20
    min_test_per_class: Annotated[int, Ge(1)] = 5
    min_val_per_class: Annotated[int, Ge(1)] = 5
    min_train_share: Annotated[float, Ge(0), Le(0.95)] = 0.4
    normal_share: Annotated[float, Ge(0), Le(0.45)] = 0.2
    tolerance: Annotated[float, Ge(0), Le(1)] = 0.25
    seed: int = 0
    time_limit_s: Annotated[float, Gt(0)] = 20.0

    @property
    def tells_parts_apart(self) -> bool:
        """Whether the line names what one part is known by, so that others that look like it need not be joined."""
        return bool(self.group_by or self.neighbour_key)


@dataclass(frozen=True, slots=True)
class SplitMember:
    """One image of a split; `group` is the unit that moved as a whole, `image` the SHA-256 of the file."""

    split_id: str
    position: int
    name: str
    side: Side
    group: str
    image: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the splitter decided, image by image, before it becomes a `Split` with an id.

    Attributes:
        sides: one side per sample, in the order given.
        groups: the group of each sample, in the same order.
        mode: the evenness reached.
        counts: instances per side and defect class; of images with equal bytes one counts, here and below.
        images: images per side.
        normal_images: images without defect per side.
        evenness: per side, largest class count over smallest (1.0 is even; 0 when a class is missing).
        optimal: whether the solver proved that no better split exists.
        gap: the largest relative gap it left unproven, 0..1.
        warnings: sentences for a person.
    """

    sides: tuple[Side, ...]
    groups: tuple[str, ...]
    mode: SplitMode
    counts: Mapping[str, Mapping[str, int]]
    images: Mapping[str, int]
    normal_images: Mapping[str, int]
    evenness: Mapping[str, float]
    optimal: bool
    gap: float
    warnings: tuple[str, ...]


class LeakKind(StrEnum):
    """How two images can be the same thing twice."""

    SAME_BYTES = "same_bytes"
    NEAR_DUPLICATE = "near_duplicate"
    SAME_GROUP = "same_group"
    PARENT = "parent"  # the judging image was made from the teaching one
    CHILD = "child"  # the teaching image was made from the judging one
    OVERLAP = "overlap"  # both show some of the same pixels of one original


@dataclass(frozen=True, slots=True)
class LeakItem:
    """One image as the leak check sees it.

    Attributes:
        name: unique over all items of a check.
        image: SHA-256 of the file.
        group: the unit that may not cross the split; empty when unknown.
        origin: name of the original it was made from; empty for an original.
        region: the part of the original it shows, pixels of the original; None for the whole.
    """

    name: str
    image: str
    group: str = ""
    origin: str = ""
    region: Box | None = None


@dataclass(frozen=True, slots=True)
class LeakProof:
    """What the leak check looked at; every cross edge is a leak, so there must be none.

    Attributes:
        pairs: pairs of images that were compared.
        cross_edges: pairs found, summed over kinds; a pair may be found for several reasons.
        kinds: cross edges per kind, every kind named.
        examples: a few of them as sentences.
        look_alikes: images that look like more others than a part is photographed, of crowds that stand in test and
            on another side, where nothing else tells parts apart: what they are was not settled.
    """

    pairs: int
    cross_edges: int
    kinds: Mapping[str, int]
    examples: tuple[str, ...] = ()
    look_alikes: int = 0


@dataclass(frozen=True, slots=True)
class ClassPower:
    """What a test set can prove about the recall of one defect class.

    Attributes:
        defect_class: the class.
        instances: its instances in all.
        test_instances: its instances in test.
        limit: the recall the gate demands, 0..1.
        best_provable: lower bound of recall if every instance is found, 0..1.
        decidable: whether a perfect score would pass the gate.
        more_test: further test instances that would make it decidable.
        more_groups: further groups that must show it in test, where bounds by groups are asked for.
        collect: further instances to label so that the splitter can spare those.
        test_per_class: what `[split] test_per_class` must be raised to first, as the splitter aims at no more than it
            says; 0 where it is high enough.
    """

    defect_class: str
    instances: int
    test_instances: int
    limit: float
    best_provable: float
    decidable: bool
    more_test: int
    more_groups: int
    collect: int
    test_per_class: int = 0


@dataclass(frozen=True, slots=True)
class NormalPower:
    """What a test set can prove about the overkill rate.

    Attributes:
        images: test images without defect.
        limit: the rate the gate allows, 0..1; 1 switches the rule off.
        best_provable: upper bound of the rate if none is alarmed, 0..1.
        decidable: whether a perfect score would pass the gate.
        more_test: further test images without defect that would make it decidable.
    """

    images: int
    limit: float
    best_provable: float
    decidable: bool
    more_test: int


@dataclass(frozen=True, slots=True)
class Split:
    """A dataset version cut into sides.

    Attributes:
        id: from dataset version, policy and seed.
        dataset_id: the version that was split.
        mode: the evenness reached; in `test-even` mode numbers from validation carry a warning.
        counts: instances per side and defect class; of images with equal bytes one counts, here and below.
        images: images per side.
        normal_images: images without defect per side.
        groups: how many groups there were.
        evenness: per side, largest class count over smallest (1.0 is even; 0 when a class is missing).
        optimal: whether the solver proved that no better split exists.
        gap: the proven relative optimality gap, 0..1.
        test_digest: SHA-256 over the test images and their boxes: the seal of the test set.
        leak: the proof that nothing crosses.
        warnings: sentences for a person.
        created_at: when it became visible.
    """

    id: str
    dataset_id: str
    mode: SplitMode
    counts: Mapping[str, Mapping[str, int]]
    images: Mapping[str, int]
    normal_images: Mapping[str, int]
    groups: int
    evenness: Mapping[str, float]
    optimal: bool
    gap: float
    test_digest: str
    leak: LeakProof
    warnings: tuple[str, ...]
    created_at: datetime
