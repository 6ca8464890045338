"""What the pages say of a line's state: the sentence of its reason and the notes beside it."""

from dataclasses import dataclass
from enum import StrEnum

from dashboards.reading.line import LineView
from wafergate.domain.drift import DriftVerdict
from wafergate.domain.gate import Verdict
from wafergate.domain.line_state import LineState, line_state, weakest_recall

__all__ = ["Standing", "StandingNote", "judge_standing"]


class StandingNote(StrEnum):
    """What else a reader of the state should know; the values are keys of the sentences."""

    DRIFT_NONE = "note_drift_none"
    DRIFT_FEW = "note_drift_few"
    HELD_BACK = "note_held_back"
    NEWER_DATA = "note_newer_data"


@dataclass(frozen=True, slots=True)
class Standing:
    """A line's state, the key of the sentence that gives its reason, and notes beside it."""

    state: LineState
    sentence: str
    notes: tuple[StandingNote, ...] = ()


def judge_standing(view: LineView) -> Standing:
    """Return the state of a line, by the rule of `wafergate.domain.line_state`."""
    if view.champion is None or view.judged is None:
        return Standing(LineState.BLIND, _blind_sentence(view))
    verdict = view.judged.decision.verdict
    state = line_state(verdict, view.drift_behind.verdict if view.drift_behind else None)
    notes = _notes(view)
    if state is LineState.AT_RISK:
        return Standing(state, "sentence_drifted" if verdict is Verdict.PASS else "sentence_unproven", notes)
    named = weakest_recall(view.judged.decision) is not None
    return Standing(state, "sentence_covered" if named else "sentence_covered_plain", notes)


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
