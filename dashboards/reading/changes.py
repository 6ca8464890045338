"""What happened to a line since a moment, and what waits for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wafergate.domain.alerts import Alert
from wafergate.domain.drift import DriftReport
from wafergate.domain.gate import Champion, GateDecision, LedgerEntry, LedgerKind
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.alert_subjects import subjects_of
from wafergate.ports import FactStore

__all__ = ["Change", "Changes", "load_changes"]

READ = 50  # rows of each kind: more than two days bring
Change = GateDecision | LedgerEntry | DriftReport | DatasetVersion | GovernorDecision | Alert
REIGNS = (LedgerKind.PROMOTED.value, LedgerKind.ROLLED_BACK.value)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new about a line.

    Attributes:
        rows: decisions, promotions and rollbacks, drift reports, dataset versions, answers of the governor and alerts
            since the moment asked for, newest first.
        awaiting: gate decisions that passed and that a person must release, newest first.
        models: the models they speak of, by id.
        subjects: what the alerts are about, by the id they name.
    """

    rows: tuple[Change, ...]
    awaiting: tuple[GateDecision, ...]
    models: Mapping[str, ModelVersion]
    subjects: Mapping[str, object]


def load_changes(facts: FactStore, line: str, since: datetime) -> Changes:
    """Read what happened to a line since a moment (with a time zone), and what waits for a person now."""
    decisions = facts.find(GateDecision, line=line, limit=READ)
    reigns = facts.find(LedgerEntry, line=line, kind=REIGNS, limit=READ)
    found: list[Change] = [
        *decisions,
        *reigns,
        *facts.find(DriftReport, line=line, limit=READ),
        *facts.find(DatasetVersion, line=line, limit=READ),
        *facts.find(GovernorDecision, line=line, limit=READ),
        *facts.find(Alert, line=line, limit=READ),
    ]
    rows = sorted((row for row in found if row.created_at >= since), key=lambda row: row.created_at, reverse=True)
    awaiting = _awaiting(decisions, facts.champion(line))
    named = {row.model_id for row in (*awaiting, *decisions)} | {entry.subject for entry in reigns}
    models = facts.find(ModelVersion, id=sorted(named)) if named else []
    subjects = subjects_of(facts, (row for row in rows if isinstance(row, Alert)))
    return Changes(tuple(rows), awaiting, {model.id: model for model in models}, subjects)


def _awaiting(decisions: list[GateDecision], champion: Champion | None) -> tuple[GateDecision, ...]:
    """Return what passed and waits, newest first: the newest word on its model, not released and not overtaken."""
    newest = {decision.model_id: decision.id for decision in reversed(decisions)}
    return tuple(
        decision
        for decision in decisions
        if decision.awaits_approval
        and newest[decision.model_id] == decision.id
        and (champion is None or (champion.model_id != decision.model_id and champion.since < decision.created_at))
    )
