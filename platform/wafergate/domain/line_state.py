"""Whether a line is covered, at risk or blind: read off stored verdicts, never measured anew."""

from enum import StrEnum

from wafergate.domain.drift import DriftVerdict
from wafergate.domain.gate import GateDecision, RuleResult, Verdict

__all__ = ["LineState", "line_state", "weakest_recall"]


class LineState(StrEnum):
    """What a manager asks first; the values are keys of the glossary, whose texts are the rule."""

    COVERED = "covered"
    AT_RISK = "at_risk"
    BLIND = "blind"


def line_state(champion: Verdict | None, drift: DriftVerdict | None) -> LineState:
    """Return the state of a line.

    Args:
        champion: the stored verdict on the model that judges the line; None where no model does.
        drift: of the report that `wafergate.jobs.line_drift` names; None where there is none.

    Returns:
        Blind without a champion; at risk where its verdict is not a pass or its images have drifted; else covered.
    """
    if champion is None:
        return LineState.BLIND
    at_risk = champion is not Verdict.PASS or drift is DriftVerdict.DRIFTED
    return LineState.AT_RISK if at_risk else LineState.COVERED


def weakest_recall(decision: GateDecision) -> RuleResult | None:
    """Return the recall rule with the least room between bound and limit; None where none was measured."""
    measured = [
        (rule.bound - rule.limit, rule)
        for rule in decision.rules
        if rule.rule == "recall" and rule.bound is not None and rule.limit is not None
    ]
    return min(measured, key=lambda pair: pair[0])[1] if measured else None
