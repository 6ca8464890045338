"""A passed decision to the line's champion, and back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from wafergate.domain.alerts import Alert, AlertCause, AlertState
from wafergate.domain.gate import (
    Champion,
    GateDecision,
    LedgerEntry,
    LedgerKind,
    Verdict,
    check_approver,
    check_promotion,
)
from wafergate.domain.training_rows import ModelVersion, TrainingEpoch
from wafergate.errors import PromotionError
from wafergate.jobs.parts import Outcome, Parts

__all__ = [
    "NextStep",
    "champion_model",
    "check_release",
    "earlier_champion",
    "is_champion",
    "next_step",
    "promote",
    "rollback",
]


class NextStep(StrEnum):
    """What follows a gate decision without anybody's hand."""

    PROMOTE = "promote"
    AWAIT_APPROVAL = "awaiting approval"
    STAY = "stay"  # it did not pass, or its model was champion before and another is now


def next_step(parts: Parts, decision_id: str) -> NextStep:
    """Say what follows a decision; a rerun never undoes what a person did since.

    The same data give the same model again, and a change of `[gate]` that trains nothing another decision on it. If the
    model was champion before and is not now, a rollback or a later promotion came in between, and only a person may
    bring it back.
    """
    decision = parts.facts.get(GateDecision, decision_id)
    if decision.verdict is not Verdict.PASS:
        return NextStep.STAY
    if is_champion(parts, decision):
        return NextStep.PROMOTE  # finds its own work
    if parts.facts.find(LedgerEntry, line=decision.line, kind="promoted", subject=decision.model_id, limit=1):
        return NextStep.STAY
    return NextStep.AWAIT_APPROVAL if decision.awaits_approval else NextStep.PROMOTE


def check_release(parts: Parts, decision_id: str, *, actor: str) -> GateDecision:
    """Return a decision that this person may release; of a model that is champion nothing is left to release.

    Raises:
        NotFoundError: there is no such decision.
        PromotionError: it is not a pass, or the line wants another person than the one who trained.
    """
    decision = parts.facts.get(GateDecision, decision_id)
    check_promotion(Champion(decision.line, decision.model_id, decision.id, actor, "", parts.clock()), decision)
    if is_champion(parts, decision):
        return decision
    told = parts.facts.find(LedgerEntry, line=decision.line, kind="decided")
    judged_by = {entry.actor for entry in told if entry.details.get("model") == decision.model_id}
    # A training that was killed may have been finished, and its model judged, by another person's run.
    trained_by = {epoch.actor for epoch in parts.facts.find(TrainingEpoch, model_id=decision.model_id)}
    check_approver(decision, actor, judged_by | trained_by)
    return decision


def promote(parts: Parts, decision_id: str, *, actor: str, reason: str, asked_at: datetime | None = None) -> Outcome:
    """Make the decision's model its line's champion, its exported file checked first.

    Args:
        parts: the stores and the clock.
        decision_id: the decision to release.
        actor: who does it.
        reason: why.
        asked_at: when a person asked for it; None where it follows the decision at once.

    Raises:
        PromotionError: the decision is not a pass or was overtaken since, the line wants another person to release it,
            or the champion was changed since this was asked for.
        StorageError: the exported file was changed.
    """
    decision = check_release(parts, decision_id, actor=actor)
    reused = is_champion(parts, decision)
    if not reused:
        _check_asked(parts, decision, asked_at)
        _check_artefact(parts, decision.model_id)
        champion = Champion(decision.line, decision.model_id, decision.id, actor, reason, parts.clock())
        parts.facts.promote(champion, kind=LedgerKind.PROMOTED, details={"approval": decision.policy.approval})
    for alert in parts.facts.find(Alert, line=decision.line, cause=AlertCause.APPROVAL.value, subject=decision.id):
        if alert.state is not AlertState.ACKNOWLEDGED:  # whoever approves has heard of it
            done = replace(alert, state=AlertState.ACKNOWLEDGED, acknowledged_by=actor, next_try_at=None)
            parts.facts.mark_alert(done, was=alert)
    return Outcome(decision.model_id, reused=reused)


def rollback(parts: Parts, line: str, *, actor: str, reason: str, model_id: str = "") -> Outcome:
    """Go back to an earlier champion: the one before, or the one named.

    Args:
        parts: the stores and the clock.
        line: name of the line.
        actor: who does it.
        reason: why.
        model_id: id or number of an earlier champion; empty for the one before.

    Raises:
        PromotionError: there is no earlier champion, or the model never was one.
        StorageError: its exported file was changed.
    """
    entry = earlier_champion(parts, line, model_id)
    decision_id = str(entry.details.get("decision", ""))
    _check_artefact(parts, entry.subject)
    champion = Champion(line, entry.subject, decision_id, actor, reason, parts.clock())
    parts.facts.promote(champion, kind=LedgerKind.ROLLED_BACK, details={})
    return Outcome(entry.subject, reused=False)


def earlier_champion(parts: Parts, line: str, model_id: str = "") -> LedgerEntry:
    """Return the entry that made a model champion which is not champion now: the one before, or the one named.

    Raises:
        PromotionError: there is no earlier champion, or the model never was one.
    """
    if model_id.isdecimal():
        numbered = parts.facts.find(ModelVersion, line=line, number=int(model_id))
        model_id = next((model.id for model in numbered), model_id)
    now = parts.facts.champion(line)
    entries = parts.facts.ledger(line)
    earlier = entries if model_id else _reign(entries)[:-1]
    wanted = [
        entry
        for entry in reversed(earlier)
        if entry.kind in {LedgerKind.PROMOTED, LedgerKind.ROLLED_BACK}
        and (now is None or entry.subject != now.model_id)
        and (not model_id or entry.subject == model_id)
    ]
    if not wanted:
        what = f"model {model_id!r} as an earlier champion" if model_id else "an earlier champion"
        message = f"line {line!r} does not have {what}; `wafergate ledger show` lists them"
        raise PromotionError(message)
    return wanted[0]


def _reign(entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Return the promotions that still stand, oldest first; a rollback takes back all that came after its model."""
    standing: list[LedgerEntry] = []
    for entry in entries:
        if entry.kind is LedgerKind.PROMOTED:
            standing.append(entry)
        elif entry.kind is LedgerKind.ROLLED_BACK:
            last = max((at for at, item in enumerate(standing) if item.subject == entry.subject), default=-1)
            standing = standing[: last + 1] if last >= 0 else [*standing, entry]
    return standing


def champion_model(parts: Parts, line: str) -> ModelVersion:
    """Return the model that judges a line.

    Raises:
        PromotionError: the line has no champion.
    """
    champion = parts.facts.champion(line)
    if champion is None:
        found = parts.facts.find(GateDecision, line=line, limit=1)
        said = f"; the last gate decision was {found[0].summary}" if found else ""
        message = f"line {line!r} has no champion, and only a promoted model inspects: run `wafergate retrain`{said}"
        raise PromotionError(message)
    return parts.facts.get(ModelVersion, champion.model_id)


def is_champion(parts: Parts, decision: GateDecision) -> bool:
    """Tell whether the model that was decided on judges its line now."""
    now = parts.facts.champion(decision.line)
    return now is not None and now.model_id == decision.model_id


def _check_asked(parts: Parts, decision: GateDecision, asked_at: datetime | None) -> None:
    """Refuse a release that waited for a worker while somebody changed the champion: it may be what they took back."""
    now = parts.facts.champion(decision.line)
    if asked_at is None or now is None or now.since <= asked_at:
        return
    message = (
        f"decision {decision.id} is not released: {now.model_id} became champion of line {decision.line!r} by "
        f"{now.actor} at {now.since:%Y-%m-%d %H:%M:%S %Z}, after this was asked for; if it is still wanted, run "
        f"`wafergate approve {decision.id}` again"
    )
    raise PromotionError(message)


def _check_artefact(parts: Parts, model_id: str) -> None:
    parts.files.get(parts.facts.get(ModelVersion, model_id).onnx)  # the store compares the digest
