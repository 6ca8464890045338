"""Verdicts, the ledger and the champion."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt

__all__ = ["Champion", "GateDecision", "GatePolicy", "LedgerEntry", "LedgerKind", "RuleResult", "Verdict"]


class Verdict(StrEnum):
    """Only `pass` promotes."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNDECIDED = "undecided"

    @classmethod
    def worst(cls, verdicts: "list[Verdict]") -> "Verdict":
        """Return fail if any failed, else undecided if any is undecided, else pass."""
        for verdict in (cls.FAIL, cls.UNDECIDED):
            if verdict in verdicts:
                return verdict
        return cls.PASS


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What a model must prove before it is promoted.

    Attributes:
        recall: the lower confidence bound of every class's recall must reach this.
        critical_recall: the same for the line's critical classes.
        confidence: of the one-sided exact bounds.
        iou: overlap from which a detection counts as found.
        overkill: the upper confidence bound of the overkill rate must stay at or below this; 1 switches it off.
        target_recall: thresholds are chosen on validation to reach this recall with the fewest false alarms.
        approval: `auto` promotes on pass, `approval` waits for a person.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    recall: Annotated[float, Gt(0), Lt(1)] = 0.90
    critical_recall: Annotated[float, Gt(0), Lt(1)] = 0.95
    confidence: Annotated[float, Ge(0.5), Lt(1)] = 0.95
    iou: Annotated[float, Gt(0), Le(0.95)] = 0.5
    overkill: Annotated[float, Gt(0), Le(1)] = 0.10
    target_recall: Annotated[float, Gt(0), Le(1)] = 0.98
    approval: Annotated[str, "auto or approval"] = "auto"

    def __post_init__(self) -> None:
        if self.approval not in {"auto", "approval"}:
            message = f"approval must be 'auto' or 'approval', found {self.approval!r}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule of the gate and what it found.

    Attributes:
        rule: e.g. `recall`.
        subject: the defect class it speaks of; empty when it speaks of the model.
        value: the measured point; None where nothing could be measured.
        bound: the confidence bound that is compared; None where there is none.
        limit: what it is compared with; None for yes-or-no rules.
        verdict: pass, fail or undecided.
        evidence: one sentence with the counts.
        next_step: what would change the verdict; empty on pass.
    """

    rule: str
    subject: str
    value: float | None
    bound: float | None
    limit: float | None
    verdict: Verdict
    evidence: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The gate's verdict on one model, kept for good with every rule behind it."""

    id: str
    line: str
    model_id: str
    evaluation_id: str
    verdict: Verdict
    rules: tuple[RuleResult, ...]
    policy: GatePolicy
    summary: str
    created_at: datetime


class LedgerKind(StrEnum):
    """What the ledger tells."""

    DECIDED = "decided"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    APPROVED = "approved"
    SIGNED = "signed"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the append-only story; `hash` covers the entry and the hash before it.

    Attributes:
        seq: 1, 2, 3 …, without gaps.
        line: the production line.
        kind: what happened.
        subject: id of the model, decision or taxonomy it is about.
        actor: who did it.
        reason: why.
        details: whatever else belongs to it, plain JSON.
        created_at: when.
        previous: hash of the entry before; 64 zeros for the first.
        hash: SHA-256 over the canonical JSON of all of the above.
    """

    seq: int
    line: str
    kind: LedgerKind
    subject: str
    actor: str
    reason: str
    details: Mapping[str, object] = field(default_factory=dict)
    created_at: datetime = datetime.min  # noqa: DTZ901 - always given; the default only lets `details` have one
    previous: str = "0" * 64
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Champion:
    """The one model that judges a line now."""

    line: str
    model_id: str
    decision_id: str
    actor: str
    reason: str
    since: datetime
