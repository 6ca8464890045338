"""Verdicts, the ledger and the champion."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from wafergate.domain.identity import digest_of
from wafergate.errors import PromotionError

__all__ = [
    "FIRST_HASH",
    "Champion",
    "GateDecision",
    "GatePolicy",
    "LedgerEntry",
    "LedgerKind",
    "RuleResult",
    "Verdict",
    "answers",
    "broken_links",
    "check_approver",
    "check_current",
    "check_promotion",
]


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
        approver_differs: whoever asked for the training may not release its model.
        family: `each` judges every class by itself: a model that may miss too much of one class passes with a
            probability of at most 1 - confidence, however many classes there are, because all must be proven. `holm`
            also bounds the probability that any one class is called proven wrongly (S. Holm 1979); its price is more
            test instances for each class.
        grouped: whether the recall bound by bootstrap over groups must reach the limit as well.
        max_looks: a test set looked at more often no longer decides; 0 switches it off.
        parity_agreed: share of detections that checkpoint and export must have in common.
        parity_score: by how much the scores of two counterparts may differ.
        parity_recall: by how much the recall of a class may differ between the two.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    recall: Annotated[float, Gt(0), Lt(1)] = 0.90
    critical_recall: Annotated[float, Gt(0), Lt(1)] = 0.95
    confidence: Annotated[float, Ge(0.5), Lt(1)] = 0.95
    iou: Annotated[float, Gt(0), Le(0.95)] = 0.5
    overkill: Annotated[float, Gt(0), Le(1)] = 0.10
    target_recall: Annotated[float, Gt(0), Le(1)] = 0.98
    approval: Annotated[str, "auto or approval"] = "auto"
    approver_differs: bool = False
    family: Annotated[str, "each or holm"] = "each"
    grouped: bool = False
    max_looks: Annotated[int, Ge(0)] = 20
    parity_agreed: Annotated[float, Gt(0), Le(1)] = 0.99
    parity_score: Annotated[float, Ge(0), Le(1)] = 0.01
    parity_recall: Annotated[float, Ge(0), Le(1)] = 0.01

    def __post_init__(self) -> None:
        if self.approval not in {"auto", "approval"}:
            message = f"approval must be 'auto' or 'approval', found {self.approval!r}"
            raise ValueError(message)
        if self.approver_differs and self.approval != "approval":
            message = "approver_differs = true needs approval = 'approval': with 'auto' nobody approves"
            raise ValueError(message)
        if self.family not in {"each", "holm"}:
            message = f"family must be 'each' or 'holm', found {self.family!r}"
            raise ValueError(message)

    def first_confidence(self, classes: int) -> float:
        """Return what the first of so many classes is proven at: under `holm` the confidence of its first step."""
        return 1 - (1 - self.confidence) / classes if self.family == "holm" else self.confidence


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
        counts: further numbers of the evidence, by what was counted.
    """

    rule: str
    subject: str
    value: float | None
    bound: float | None
    limit: float | None
    verdict: Verdict
    evidence: str
    next_step: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


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

    @property
    def awaits_approval(self) -> bool:
        """Whether a person must release the model."""
        return self.verdict is Verdict.PASS and self.policy.approval == "approval"

    def repeats(self, earlier: "GateDecision") -> bool:
        """Tell whether it answers every rule about the same evaluation, under the same policy, as an earlier one."""
        both = [(one.evaluation_id, one.policy, answers(one.rules)) for one in (self, earlier)]
        return both[0] == both[1]


def answers(rules: Iterable[RuleResult]) -> list[tuple[str, str, Verdict]]:
    """Return what makes two decisions the same: the verdict of each rule, not what was measured for it."""
    return [(rule.rule, rule.subject, rule.verdict) for rule in rules]


class LedgerKind(StrEnum):
    """What the ledger tells."""

    DECIDED = "decided"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    SIGNED = "signed"
    RENEWED = "renewed"  # a worn test set was retired
    QUARANTINE = "quarantine"
    ACKNOWLEDGED = "acknowledged"
    CORRECTED = "corrected"
    REVIEWED = "reviewed"
    SEALED = "sealed"  # golden parts
    DROPPED = "dropped"  # inspections past their months
    ADOPTED = "adopted"  # reviewed images of inspections entered a dataset version


FIRST_HASH = "0" * 64


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the append-only story.

    Attributes:
        seq: 1, 2, 3 …, without gaps.
        line: the production line.
        kind: what happened.
        subject: id of the model, decision or taxonomy it is about.
        actor: who did it.
        reason: why.
        details: whatever else belongs to it, plain JSON.
        created_at: when, with time zone.
        previous: hash of the entry before; 64 zeros for the first.
        hash: SHA-256 over the canonical JSON of all of the above.
    """

    seq: int
    line: str
    kind: LedgerKind
    subject: str
    actor: str
    reason: str
    details: Mapping[str, object]
    created_at: datetime
    previous: str
    hash: str = ""

    def sealed(self) -> "LedgerEntry":
        """Return the entry with the hash its other fields give."""
        content = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "hash"}
        content["created_at"] = self.created_at.astimezone(UTC)
        return replace(self, hash=digest_of(content))


def broken_links(entries: Sequence[LedgerEntry]) -> list[int]:
    """Return the sequence numbers at which the chain does not hold, the ledger given oldest first."""
    broken = []
    previous, seq = FIRST_HASH, 0
    for entry in entries:
        if entry.previous != previous or entry.seq != seq + 1 or entry.sealed().hash != entry.hash:
            broken.append(entry.seq)
        previous, seq = entry.hash, entry.seq
    return broken


@dataclass(frozen=True, slots=True)
class Champion:
    """The one model that judges a line now."""

    line: str
    model_id: str
    decision_id: str
    actor: str
    reason: str
    since: datetime


def check_approver(decision: GateDecision, actor: str, trained_by: Iterable[str]) -> None:
    """Refuse an approval by whoever asked for the training, where the line wants two persons.

    Names are compared without regard to case and outer spaces.

    Args:
        decision: the decision to release.
        actor: who wants to.
        trained_by: who asked for the runs that trained and judged the model.

    Raises:
        PromotionError: it is the same person.
    """
    asked = {name.strip().casefold() for name in trained_by}
    if decision.policy.approver_differs and actor.strip().casefold() in asked:
        message = (
            f"model {decision.model_id} was trained by {actor.strip()}, and [gate] approver_differs asks for another "
            f"person to release it: somebody else runs `wafergate approve {decision.id}`"
        )
        raise PromotionError(message)


def check_promotion(champion: Champion, decision: GateDecision | None) -> None:
    """Refuse to promote what the gate has not passed.

    Raises:
        PromotionError: the decision is not there, is of another model or line, or is not a pass.
    """
    if decision is None:
        message = f"model {champion.model_id} has no gate decision {champion.decision_id!r}: run `wafergate retrain`"
        raise PromotionError(message)
    if (decision.model_id, decision.line) != (champion.model_id, champion.line):
        message = (
            f"decision {decision.id} judged model {decision.model_id} of line {decision.line!r}, "
            f"not {champion.model_id} of {champion.line!r}"
        )
        raise PromotionError(message)
    if decision.verdict is not Verdict.PASS:
        message = (
            f"only a pass promotes; the gate said {decision.verdict.value} of {decision.model_id}: {decision.summary}"
        )
        raise PromotionError(message)


def check_current(
    decision: GateDecision, *, now: Champion | None, compared: Collection[str], judged: Iterable[GateDecision]
) -> None:
    """Refuse to promote on a pass that was overtaken while it waited: of several decisions the newest stands.

    Args:
        decision: the pass.
        now: what judges the line.
        compared: ids of the champions that the decision's evaluation was compared with.
        judged: every decision on the same model.

    Raises:
        PromotionError: the gate judged the model again since, or never compared it with what judges the line now.
    """
    again = "run `wafergate retrain` on the same data: nothing is trained twice, and the gate decides again"
    newest = max(judged, key=lambda row: row.created_at, default=decision)
    if newest.created_at > decision.created_at:
        passed = newest.verdict is Verdict.PASS
        cure = f": run `wafergate approve {newest.id}`" if passed else f": {newest.summary}; mend that and {again}"
        message = (
            f"decision {decision.id} no longer stands: the gate said {newest.verdict.value} of "
            f"{decision.model_id} since, in {newest.id}{cure}"
        )
        raise PromotionError(message)
    if now is not None and now.model_id not in {decision.model_id, *compared}:
        message = (
            f"decision {decision.id} never compared {decision.model_id} with {now.model_id}, which judges line "
            f"{decision.line!r} now: {again}"
        )
        raise PromotionError(message)
