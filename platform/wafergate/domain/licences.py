"""Licences of code, weights and images: what may be trained with, and what may reach production (rule M2)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from typing import Annotated, ClassVar, Literal

from annotated_types import MinLen

__all__ = [
    "LicenceException",
    "LicencePolicy",
    "LicenceStanding",
    "LicencedPart",
    "explain_licence",
    "held_at_once",
    "held_in_common",
    "licence_standing",
    "may_be_used",
]

LicenceStanding = Literal["allowed", "exception", "research_only", "refused"]

_BEST_FIRST: tuple[LicenceStanding, ...] = ("allowed", "exception", "research_only", "refused")


@dataclass(frozen=True, slots=True)
class LicenceException:
    """A licence that somebody accepted although the policy does not allow it.

    Attributes:
        who: the name of the person who answers for it.
        why: their reason.
        until: the last day it holds; None for no end.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    who: Annotated[str, MinLen(1)]
    why: Annotated[str, MinLen(1)]
    until: date | None = None

    def holds(self, today: date) -> bool:
        """Tell whether it still holds."""
        return self.until is None or today <= self.until

    def __str__(self) -> str:
        """Say it as people do."""
        return f"{self.who}: {self.why}" + (f" (until {self.until})" if self.until else "")


@dataclass(frozen=True, slots=True)
class LicencePolicy:
    """Which licences of code, weights and images a line may train with, and which may reach production.

    Attributes:
        allowed: SPDX identifiers that may be trained with and promoted.
        research_only: identifiers that may be trained with and never promoted.
        exceptions: SPDX identifier to who accepted it, why and until when; as good as allowed while it holds.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    allowed: tuple[str, ...] = (
        "Apache-2.0",
        "MIT",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "CC-BY-4.0",
        "LicenseRef-Proprietary",  # the team's own images, as [intake] licence says by default
    )
    research_only: tuple[str, ...] = ()
    exceptions: Mapping[str, LicenceException] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LicencedPart:
    """Something a model is made of and its licence, e.g. `code of yolox-nano` under `Apache-2.0` (SPDX)."""

    subject: str
    licence: str


def licence_standing(licence: str, policy: LicencePolicy, *, today: date) -> LicenceStanding:
    """Tell what a policy says of a licence.

    Args:
        licence: an SPDX identifier, or several joined by `AND` (all hold at once) or `OR` (one may be chosen), as in
            SPDX 2.3 annex D, without parentheses; `AND` binds tighter. A policy may also name the whole expression.
        policy: the line's.
        today: exceptions end.
    """
    ranks = [max(_rank(one, policy, today) for one in choice) for choice in _choices(licence)]
    return _BEST_FIRST[min(_rank(licence.strip(), policy, today), *ranks)]


def held_at_once(licences: Iterable[str]) -> str:
    """Return the expression under which all of these hold at once.

    Example:
        >>> held_at_once(["MIT OR Apache-2.0", "AGPL-3.0-only"])
        'MIT AND AGPL-3.0-only OR Apache-2.0 AND AGPL-3.0-only'
    """
    joined = [
        list(dict.fromkeys(one for choice in chosen for one in choice))
        for chosen in product(*(_choices(licence) for licence in licences if licence))
    ]
    return " OR ".join(" AND ".join(choice) for choice in joined)


def held_in_common(licences: Iterable[str]) -> str:
    """Return what holds under every one of these, whichever is chosen of it; empty where nothing does.

    Example:
        >>> held_in_common(["MIT AND Apache-2.0", "MIT"])
        'MIT'
    """
    choices = [choice for licence in licences for choice in _choices(licence)]
    return " AND ".join(one for one in choices[0] if all(one in choice for choice in choices)) if choices else ""


def _choices(licence: str) -> list[list[str]]:
    return [re.split(r"\s+AND\s+", choice.strip()) for choice in re.split(r"\s+OR\s+", licence)]


def _rank(licence: str, policy: LicencePolicy, today: date) -> int:
    accepted = policy.exceptions.get(licence)
    if licence in policy.allowed:
        return 0
    if accepted is not None and accepted.holds(today):
        return 1
    return 2 if licence in policy.research_only else 3


def may_be_used(parts: Iterable[LicencedPart], policy: LicencePolicy, *, today: date) -> tuple[str, tuple[str, ...]]:
    """Return what such a model is good for, `yes`, `train only` or `no`, and the parts that bring it about."""
    standings = {part.subject: licence_standing(part.licence, policy, today=today) for part in parts}
    for standing, verdict in (("refused", "no"), ("research_only", "train only")):
        blamed = tuple(subject for subject, found in standings.items() if found == standing)
        if blamed:
            return verdict, blamed
    return "yes", ()


def explain_licence(licence: str, policy: LicencePolicy, *, today: date) -> str:
    """Say in one sentence what the policy says of a licence, and which of its entries says so."""
    standing = licence_standing(licence, policy, today=today)
    said = [licence.strip(), *re.split(r"\s+(?:AND|OR)\s+", licence.strip())]
    accepted = [policy.exceptions[one] for one in dict.fromkeys(said) if one in policy.exceptions]
    match standing:
        case "allowed":
            return f"{licence} is in [licences] allowed"
        case "exception":
            named = "; ".join(str(one) for one in accepted if one.holds(today))
            return f"{licence} is accepted in [licences.exceptions] by {named}"
        case "research_only":
            return f"{licence} may be trained with and never promoted ([licences] research_only)"
        case "refused":
            ended = "".join(f"; the exception of {one} has ended" for one in accepted if not one.holds(today))
            told = f"{licence} is" if licence else "nobody names a licence, so it is"
            missing = sorted({one for choice in _choices(licence) for one in choice if _rank(one, policy, today) > 2})
            lacking = "" if missing == [licence] else f"; without {', '.join(missing)}"
            return f"{told} not in [licences] allowed ({', '.join(policy.allowed)}{lacking}){ended}"
