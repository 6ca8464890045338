"""A passed decision to the line's champion, and back."""

from collections.abc import Sequence

from wafergate.domain.gate import Champion, GateDecision, LedgerEntry, LedgerKind, Verdict, check_promotion
from wafergate.domain.training import ModelVersion
from wafergate.errors import PromotionError
from wafergate.jobs.parts import Outcome, Parts

__all__ = ["champion_model", "promote", "rollback"]


def promote(parts: Parts, decision_id: str, *, actor: str, reason: str) -> Outcome:
    """Make the decision's model its line's champion, its exported file checked first.

    Raises:
        PromotionError: the decision is not a pass.
        StorageError: the exported file was changed.
    """
    decision = parts.facts.get(GateDecision, decision_id)
    champion = Champion(decision.line, decision.model_id, decision.id, actor, reason, parts.clock())
    check_promotion(champion, decision)
    now = parts.facts.champion(decision.line)
    if now is not None and now.model_id == decision.model_id:
        return Outcome(decision.model_id, reused=True)
    _check_artefact(parts, decision.model_id)
    parts.facts.promote(champion, kind=LedgerKind.PROMOTED, details={})
    return Outcome(decision.model_id, reused=False)


def rollback(parts: Parts, line: str, *, actor: str, reason: str, model_id: str = "") -> Outcome:
    """Go back to an earlier champion: the one before, or the model named.

    Raises:
        PromotionError: there is no earlier champion, or the model never was one.
        StorageError: its exported file was changed.
    """
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
    entry = wanted[0]
    decision_id = str(entry.details.get("decision", ""))
    _check_artefact(parts, entry.subject)
    champion = Champion(line, entry.subject, decision_id, actor, reason, parts.clock())
    parts.facts.promote(champion, kind=LedgerKind.ROLLED_BACK, details={})
    return Outcome(entry.subject, reused=False)


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
        said = f"; the last gate decision was {found[0].verdict.value}: {found[0].summary}" if found else ""
        message = f"line {line!r} has no champion, and only a promoted model inspects: run `wafergate retrain`{said}"
        raise PromotionError(message)
    return parts.facts.get(ModelVersion, champion.model_id)


def awaits_approval(decision: GateDecision) -> bool:
    """Tell whether a person must release the decision's model."""
    return decision.verdict is Verdict.PASS and decision.policy.approval == "approval"


def _check_artefact(parts: Parts, model_id: str) -> None:
    parts.files.get(parts.facts.get(ModelVersion, model_id).onnx)  # the store compares the digest
