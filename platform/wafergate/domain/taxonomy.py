"""Raw label to defect class: every merge or rename has a reason and somebody who agreed (rule M3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from wafergate.errors import TaxonomyError

__all__ = ["Mapping", "Signature", "Taxonomy", "TaxonomyVersion"]


@dataclass(frozen=True, slots=True)
class Mapping:
    """One raw label and the defect class it stands for; a label mapped to itself needs no rationale."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    raw: str
    defect_class: str
    rationale: str = ""

    def __post_init__(self) -> None:
        if self.raw != self.defect_class and not self.rationale.strip():
            message = f"renaming {self.raw!r} to {self.defect_class!r} needs a rationale"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The mappings of a line and the customer's agreement to them.

    Attributes:
        map: the labels that are merged or renamed; a label that equals a defect class needs no entry.
        signed_by: who agreed on the customer's side; empty while nobody did.
        signed_on: the day of the agreement.
        reference: where the agreement is written (mail, minutes, ticket).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    map: tuple[Mapping, ...] = ()
    signed_by: str = ""
    signed_on: date | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        raw = [mapping.raw for mapping in self.map]
        twice = sorted({label for label in raw if raw.count(label) > 1})
        if twice:
            message = f"each raw label is mapped once, found twice: {', '.join(twice)}"
            raise ValueError(message)

    @property
    def signed(self) -> bool:
        """Whether nothing is merged or renamed, or the customer agreed to it."""
        return not self.changes or bool(self.signed_by and self.signed_on)

    @property
    def changes(self) -> tuple[Mapping, ...]:
        """The merges and renames, by raw label; a label mapped to itself is none."""
        return tuple(sorted((item for item in self.map if item.raw != item.defect_class), key=lambda item: item.raw))

    def resolve(self, labels: Iterable[str], classes: Iterable[str]) -> dict[str, str]:
        """Return the defect class of every raw label in use.

        Args:
            labels: the raw labels found.
            classes: the line's defect classes.

        Raises:
            TaxonomyError: some labels are neither mapped nor a defect class of the line; all are named.
        """
        known = {name: name for name in classes} | {mapping.raw: mapping.defect_class for mapping in self.map}
        found = sorted(set(labels))
        unmapped = [label for label in found if label not in known]
        if unmapped:
            message = (
                f"every label needs a defect class of the line ({', '.join(sorted(set(known.values())))}); "
                f"found {', '.join(repr(label) for label in unmapped)}: add it to [line] classes, or map it in "
                "[taxonomy] with a rationale"
            )
            raise TaxonomyError(message)
        return {label: known[label] for label in found}


@dataclass(frozen=True, slots=True)
class TaxonomyVersion:
    """The merges and renames of a line as somebody proposed them; they never change, a signature is a row of its own.

    Attributes:
        id: from line and mapping, so that the same proposal is the same version.
        line: the production line.
        number: 1, 2, 3 … in the order of arrival.
        map: the merges and renames, by raw label.
        actor: who proposed them.
        created_at: when.
    """

    id: str
    line: str
    number: int
    map: tuple[Mapping, ...]
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Signature:
    """The customer's agreement to a taxonomy version.

    Attributes:
        id: from the version, who, when and where it is written.
        taxonomy_id: the version.
        line: the production line.
        signed_by: who agreed on the customer's side.
        signed_on: the day, ISO 8601.
        reference: where the agreement is written (mail, minutes, ticket).
        actor: who entered it.
        created_at: when it was entered.
    """

    id: str
    taxonomy_id: str
    line: str
    signed_by: str
    signed_on: str
    reference: str
    actor: str
    created_at: datetime
