"""Whether a line is covered, at risk or blind: read off stored verdicts, never measured anew."""

from dataclasses import dataclass
from enum import StrEnum

from dashboards.data import LineView
from wafergate.domain.drift import DriftVerdict
from wafergate.domain.gate import GateDecision, RuleResult, Verdict

__all__ = ["Standing", "StandingNote", "StandingState", "judge_standing", "weakest_recall"]


class StandingState(StrEnum):
    """What a manager asks first; the values are keys of the glossary, whose texts are the rule."""

    COVERED = "covered"
    AT_RISK = "at_risk"
    BLIND = "blind"


class StandingNote(StrEnum):
    """What else a reader of the state should know; the values are keys of the sentences."""

    DRIFT_NONE = "note_drift_none"
    DRIFT_FEW = "note_drift_few"
    HELD_BACK = "note_held_back"
    NEWER_DATA = "note_newer_data"


@dataclass(frozen=True, slots=True)
class Standing:
    """A line's state, the key of the sentence that gives its reason, and notes beside it."""

    state: StandingState
    sentence: str
    notes: tuple[StandingNote, ...] = ()


def weakest_recall(decision: GateDecision) -> RuleResult | None:
    """Return the recall rule with the least room between bound and limit; None where none was measured."""
    measured = [
        (rule.bound - rule.limit, rule)
        for rule in decision.rules
        if rule.rule == "recall" and rule.bound is not None and rule.limit is not None
    ]
    return min(measured, key=lambda pair: pair[0])[1] if measured else None


def judge_standing(view: LineView) -> Standing:
    """Return the state of a line.

    Blind: no champion. At risk: the champion's stored verdict is not a pass, or the newest drift report on the
    champion's own dataset version says drifted. Covered: everything else.
    """
    if view.champion is None or view.judged is None:
        return Standing(StandingState.BLIND, _blind_sentence(view))
    notes = _notes(view)
    if view.judged.decision.verdict is not Verdict.PASS:
        return Standing(StandingState.AT_RISK, "sentence_unproven", notes)
    if view.drift is not None and view.drift_is_current and view.drift.verdict is DriftVerdict.DRIFTED:
        return Standing(StandingState.AT_RISK, "sentence_drifted", notes)
    named = weakest_recall(view.judged.decision) is not None
    return Standing(StandingState.COVERED, "sentence_covered" if named else "sentence_covered_plain", notes)


def _blind_sentence(view: LineView) -> str:
    if view.latest is None:
        return "sentence_blind"
    passed = view.latest.decision.verdict is Verdict.PASS
    return "sentence_blind_unpromoted" if passed else "sentence_blind_fail"


def _notes(view: LineView) -> tuple[StandingNote, ...]:
    notes = []
    if view.drift is None or not view.drift_is_current:
        notes.append(StandingNote.DRIFT_NONE)
    elif view.drift.verdict is DriftVerdict.NOT_ENOUGH:
        notes.append(StandingNote.DRIFT_FEW)
    if view.challenger is not None and view.challenger.decision.verdict is not Verdict.PASS:
        notes.append(StandingNote.HELD_BACK)
    trained_on = view.judged.dataset.number if view.judged else 0
    if view.newest_dataset is not None and view.newest_dataset.number > trained_on:
        notes.append(StandingNote.NEWER_DATA)
    return tuple(notes)
