"""How much may be added to a training side, with which operations, and the plan that comes of it (rules M5, M6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from wafergate.domain.samples import LabelledBox

__all__ = [
    "EXACT",
    "LOOSENING",
    "PHOTOMETRIC",
    "AugmentPolicy",
    "Augmentation",
    "AugmentationPlan",
    "Bound",
    "ClassPlan",
    "OperationKind",
    "PlannedImage",
    "Variant",
]


class OperationKind(StrEnum):
    """What can be done to an image; turns are clockwise.

    The operations of `EXACT` move whole pixels, so a box fits its defect as well as it did before. Those of
    `PHOTOMETRIC` move nothing. Those of `LOOSENING` are off unless the line file names them: the axis-aligned box of a
    rotated, sheared or bent defect is larger than the defect wherever its outline was not drawn, so labels loosen
    without anybody having drawn them (rule M4). `composite` makes images that no camera took and is named by the line
    file as well.
    """

    FLIP_HORIZONTAL = "flip_horizontal"
    FLIP_VERTICAL = "flip_vertical"
    TURN_90 = "turn_90"
    TURN_180 = "turn_180"
    TURN_270 = "turn_270"
    CROP = "crop"  # around a defect, with context and jitter
    CUT = "cut"  # one of the quarters of a 2 x 2 cut
    SHIFT = "shift"  # by whole pixels
    BRIGHTNESS = "brightness"
    CONTRAST = "contrast"
    GAMMA = "gamma"
    BLUR = "blur"
    NOISE = "noise"
    UNEVEN_LIGHT = "uneven_light"
    COMPOSITE = "composite"  # a defect pasted onto an image without defect
    ROTATE = "rotate"
    SHEAR = "shear"
    ELASTIC = "elastic"


_K = OperationKind
PHOTOMETRIC = frozenset({_K.BRIGHTNESS, _K.CONTRAST, _K.GAMMA, _K.BLUR, _K.NOISE, _K.UNEVEN_LIGHT})
"""Operations that change values and move nothing."""

LOOSENING = frozenset({_K.ROTATE, _K.SHEAR, _K.ELASTIC})
"""Operations after which a box no longer fits its defect to the pixel."""

EXACT = frozenset(OperationKind) - PHOTOMETRIC - LOOSENING - {_K.COMPOSITE}
"""Operations that move whole pixels and cut no box."""


@dataclass(frozen=True, slots=True)
class AugmentPolicy:
    """How much may be added to a training set, and how (rules M5, M6).

    Attributes:
        target: `median` or `max` of the classes' instance counts, or a number: what rare classes are raised to.
        per_original: augmented images made of one original, at most.
        per_class: augmented instances of a class as a multiple of its originals, at most.
        total: augmented images as a multiple of the originals, at most.
        operations: what the product allows; a pattern with a direction does not turn. `composite`, `rotate`, `shear`
            and `elastic` happen only where they are named here.
        product_key: metadata that names the product; a defect is pasted only onto an image of the same product.
            Empty when the line makes one product.
        composite_classes: classes that may be pasted; empty for all. A chip at a part's edge is none of them: pasted
            in the middle it shows what no line ever makes.
        seed: chooses the originals, the operations and their strengths.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    target: int | str = "median"
    per_original: Annotated[int, Ge(0), Le(20)] = 4
    per_class: Annotated[float, Ge(0), Le(20)] = 4.0
    total: Annotated[float, Ge(0), Le(5)] = 1.0
    operations: tuple[OperationKind, ...] = tuple(kind for kind in OperationKind if kind in EXACT | PHOTOMETRIC)
    product_key: str = ""
    composite_classes: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.target not in {"median", "max"} and not (str(self.target).isdigit() and int(self.target) > 0):
            message = f"target must be 'median', 'max' or a number of instances above 0, found {self.target!r}"
            raise ValueError(message)


class Bound(StrEnum):
    """What ended the augmentation of a class."""

    NONE = "none"  # it had its target from the start
    TARGET = "target"
    PER_CLASS = "per_class"
    PER_ORIGINAL = "per_original"
    TOTAL = "total"
    OPERATIONS = "operations"  # nothing new can be made of its originals


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What the plan does for one defect class.

    Attributes:
        defect_class: the class.
        original_images: images that show it.
        original_instances: its boxes in them.
        added_instances: boxes in augmented images.
        target: boxes the policy asks for.
        bound_by: the `Bound` that ended it.
        synthetic_instances: how many of the added boxes are pasted defects.
    """

    defect_class: str
    original_images: int
    original_instances: int
    added_instances: int
    target: int
    bound_by: str
    synthetic_instances: int = 0

    @property
    def factor(self) -> float:
        """Boxes trained on for each box somebody drew; 1.0 without augmentation, and for a class without boxes."""
        return 1 + self.added_instances / self.original_instances if self.original_instances else 1.0


@dataclass(frozen=True, slots=True)
class Variant:
    """An augmented image before a pixel is made.

    Attributes:
        origin: name of the sample it is made from; for a composite, of the image without defect.
        operations: what is done to it, in order, as `wafergate.domain.operations` reads them.
        boxes: the defects in the pixels of the result.
        width: of the result, pixels.
        height: of the result, pixels.
        donor: for a composite, name of the sample whose defect is pasted; else empty.
    """

    origin: str
    operations: tuple[str, ...]
    boxes: tuple[LabelledBox, ...]
    width: int
    height: int
    donor: str = ""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What the planner decided before it becomes an `AugmentationPlan` with an id.

    Attributes:
        originals: images of the training side.
        images: what will be added to them.
        classes: one row per defect class.
        notes: sentences for a person.
    """

    originals: int
    images: tuple[Variant, ...]
    classes: tuple[ClassPlan, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AugmentationPlan:
    """What will be added to the training side of a split, stored before a pixel is made.

    Attributes:
        id: from split, classes and policy.
        split_id: the split whose training side it adds to.
        originals: images of that side.
        images: how many will be made.
        synthetic: how many of them are composites.
        classes: one row per defect class.
        caps: the policy's caps by name: `per_original`, `per_class`, `total`.
        notes: sentences for a person.
        created_at: when it became visible.
    """

    id: str
    split_id: str
    originals: int
    images: int
    synthetic: int
    classes: tuple[ClassPlan, ...]
    caps: Mapping[str, float]
    notes: tuple[str, ...]
    created_at: datetime

    @property
    def sentence(self) -> str:
        """What is added to which classes and what ended it, for a person."""
        grown = [
            f"{row.defect_class} {row.original_instances} + {row.added_instances} boxes of {row.original_images} "
            f"images (x{row.factor:.1f}{'' if row.bound_by == Bound.NONE else f', ended by {row.bound_by}'})"
            for row in self.classes
            if row.added_instances
        ]
        pasted = f", {self.synthetic} of them composites" if self.synthetic else ""
        return f"augmentation plan: {self.images} images for {self.originals} originals{pasted}" + (
            f": {'; '.join(grown)}" if grown else ""
        )


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One `Variant` of a stored plan, at its 0-based position."""

    plan_id: str
    position: int
    origin: str
    operations: tuple[str, ...]
    boxes: tuple[LabelledBox, ...]
    width: int
    height: int
    donor: str

    @property
    def variant(self) -> Variant:
        """The image as the planner described it."""
        return Variant(self.origin, self.operations, self.boxes, self.width, self.height, self.donor)
