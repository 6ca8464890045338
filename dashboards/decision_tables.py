"""Tables about decisions: pure functions from stored rows to data frames, for the page and for download."""

from collections.abc import Mapping, Sequence

import pandas as pd

from dashboards import reasons
from dashboards.reading.decisions import Story
from dashboards.tables import verdict_badge
from dashboards.texts import Text, literal
from wafergate.domain.choice import CandidateStanding, ModelChoice
from wafergate.domain.evaluation import Comparison
from wafergate.domain.gate import GateDecision, LedgerEntry, LedgerKind, Verdict
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats import verdicts

__all__ = ["choice_data", "choice_table", "comparison_data", "comparison_table", "story_data", "story_table"]

HUES: Mapping[LedgerKind, str] = {LedgerKind.PROMOTED: "blue", LedgerKind.ROLLED_BACK: "orange"}
ICONS: Mapping[LedgerKind, str] = {
    LedgerKind.PROMOTED: "verified",
    LedgerKind.ROLLED_BACK: "undo",
    LedgerKind.SIGNED: "signature",
    LedgerKind.RENEWED: "autorenew",
    LedgerKind.QUARANTINE: "block",
    LedgerKind.ACKNOWLEDGED: "done_all",
    LedgerKind.CORRECTED: "edit",
    LedgerKind.REVIEWED: "rule",
}


def story_table(entries: Sequence[LedgerEntry], story: Story, text: Text) -> pd.DataFrame:
    """Return ledger entries as the page tells them, in the order given."""
    decisions = {decision.id: decision for decision in story.decisions}
    rows = [
        {
            text.plain("when"): literal(text.when(entry.created_at)),
            text.plain("what"): _kind(entry, text),
            text.plain("about"): literal(_about(entry, story, text)),
            text.plain("by_whom"): literal(entry.actor),
            text.plain("why"): literal(_reason(entry, decisions.get(entry.subject), text)),
        }
        for entry in entries
    ]
    return pd.DataFrame(rows)


def story_data(entries: Sequence[LedgerEntry]) -> pd.DataFrame:
    """Return ledger entries as they are stored."""
    fields = ("seq", "created_at", "line", "kind", "subject", "actor", "reason", "hash")
    return pd.DataFrame([{field: getattr(entry, field) for field in fields} for entry in entries], columns=list(fields))


def comparison_table(comparison: Comparison, text: Text) -> pd.DataFrame:
    """Return champion against challenger, a class a row: what the challenger gained and lost."""
    rows = [
        {
            text.title("defect_class"): literal(pair.defect_class),
            text.title("instances"): text.count(pair.instances),
            text.plain("found_both"): text.count(pair.both),
            text.plain("gained"): f"**+{text.count(pair.only_challenger)}**" if pair.only_challenger else "0",
            text.plain("lost"): f"**−{text.count(pair.only_champion)}**" if pair.only_champion else "0",
            text.plain("found_neither"): text.count(pair.neither),
            text.plain("change_upper"): text.at_most(pair.change_upper),
        }
        for pair in comparison.paired
    ]
    return pd.DataFrame(rows)


def comparison_data(comparison: Comparison) -> pd.DataFrame:
    """Return the same as it is stored."""
    fields = ("defect_class", "instances", "both", "only_champion", "only_challenger", "neither", "change_upper")
    return pd.DataFrame([{field: getattr(pair, field) for field in fields} for pair in comparison.paired])


def choice_table(choice: ModelChoice, text: Text) -> pd.DataFrame:
    """Return every candidate with its measured needs, the winner first, and the number that dropped each other one."""
    ordered = sorted(choice.standings, key=lambda item: item.candidate != choice.winner)
    rows = [
        {
            text.plain("candidate"): literal(item.candidate),
            text.title("licence"): literal(_licences(item, text)),
            text.plain("memory"): text.value(None) if item.memory_mib is None else text.count(round(item.memory_mib)),
            text.plain("latency_ms"): text.value(item.latency_ms, 1),
            text.plain("size_mib"): text.value(item.size_mib, 1),
            text.plain("weakest_recall"): _rung(item, text),
            text.plain("outcome"): _outcome(item, choice, text),
        }
        for item in ordered
    ]
    return pd.DataFrame(rows)


def choice_data(choice: ModelChoice) -> pd.DataFrame:
    """Return the same as it is stored."""
    rows = [
        {
            "candidate": item.candidate,
            "licences": "; ".join(f"{part}: {name}" for part, name in item.licences.items()),
            "memory_mib": item.memory_mib,
            "latency_ms": item.latency_ms,
            "size_mib": item.size_mib,
            "weakest_class": item.rungs[-1].weakest if item.rungs else None,
            "weakest_recall": item.rungs[-1].lowest_recall if item.rungs else None,
            "map50": item.rungs[-1].map50 if item.rungs else None,
            "dropped_by": item.dropped_by,
            "reason": item.reason,
        }
        for item in choice.standings
    ]
    return pd.DataFrame(rows)


def _licences(item: CandidateStanding, text: Text) -> str:
    return ", ".join(f"{verdicts.part(part, text)} {licence}" for part, licence in item.licences.items())


def _kind(entry: LedgerEntry, text: Text) -> str:
    verdict = entry.details.get("verdict")
    if entry.kind is LedgerKind.DECIDED and verdict in set(Verdict):
        return f"{text.title(entry.kind)} {verdict_badge(Verdict(str(verdict)), text)}"
    hue = HUES.get(entry.kind, "gray")
    return f":{hue}-badge[:material/{ICONS.get(entry.kind, 'history')}: {text.title(entry.kind)}]"


def _reason(entry: LedgerEntry, decision: GateDecision | None, text: Text) -> str:
    """Return why it happened: a verdict told from its figures, else as somebody wrote it."""
    if entry.kind is LedgerKind.DECIDED and decision is not None and entry.reason == decision.summary:
        return verdicts.summary(decision, verdicts.Grounds(), text)
    return entry.reason


def _about(entry: LedgerEntry, story: Story, text: Text) -> str:
    """Return the name of the model an entry is about, else the first digits of its subject."""
    for key in (entry.subject, entry.details.get("model")):
        model: ModelVersion | None = story.models.get(str(key))
        if model is not None:
            return text.model(model)
    return entry.subject[:20]


def _rung(item: CandidateStanding, text: Text) -> str:
    if not item.rungs:
        return text.value(None)
    last = item.rungs[-1]
    return f"{text.value(last.lowest_recall)} ({literal(last.weakest)})"


def _outcome(item: CandidateStanding, choice: ModelChoice, text: Text) -> str:
    if item.candidate == choice.winner:
        return f":blue-badge[:material/check_circle: {text.say('chosen')}]"
    # The stored sentence names the limit as well, which is in no row.
    reason = item.reason if text.language == "en" else reasons.dropped(item, choice, text)
    return f":gray-badge[{text.say('dropped')}] {literal(reason)}"
