"""What every fact store asks before it lets a model become champion."""

from collections.abc import Callable
from typing import Any

from wafergate.domain.evaluation import Comparison
from wafergate.domain.gate import Champion, GateDecision, LedgerKind, check_current, check_promotion

__all__ = ["require_promotable"]


def require_promotable(find: Callable[..., list[Any]], champion: Champion, kind: LedgerKind) -> Champion | None:
    """Refuse what the gate has not passed and, unless it is a rollback, a pass that was overtaken.

    Args:
        find: the store's `find`, inside the transaction that writes the champion and under its lock.
        champion: who is to judge the line.
        kind: `promoted` or `rolled_back`.

    Returns:
        Who judges the line now, if any.

    Raises:
        PromotionError: it may not become champion.
    """
    decision = next(iter(find(GateDecision, id=champion.decision_id)), None)
    check_promotion(champion, decision)
    now = next(iter(find(Champion, line=champion.line)), None)
    if kind is LedgerKind.PROMOTED and decision is not None:
        compared = {row.champion_id for row in find(Comparison, evaluation_id=decision.evaluation_id)}
        judged = find(GateDecision, line=decision.line, model_id=decision.model_id)
        check_current(decision, now=now, compared=compared, judged=judged)
    return now
