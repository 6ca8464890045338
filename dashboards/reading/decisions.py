"""The decisions of a line: the ledger, every gate decision, and what each one stands on."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.reading.line import Judged, load_judged
from wafergate.domain.choice import ModelChoice
from wafergate.domain.evaluation import Comparison
from wafergate.domain.gate import Champion, GateDecision, LedgerEntry
from wafergate.domain.report import DecisionReport
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.weights import weights_licence_of
from wafergate.ports import FactStore

__all__ = ["Chosen", "Story", "load_decision", "load_story"]

ENTRIES_READ = 300  # of the ledger; `wafergate ledger show` has them all
DECISIONS_READ = 100


@dataclass(frozen=True, slots=True)
class Story:
    """What was decided about a line.

    Attributes:
        champion: the model that judges the line now.
        ledger: the newest entries, newest first.
        decisions: the newest gate decisions, newest first.
        models: the models they speak of, by id.
    """

    champion: Champion | None
    ledger: tuple[LedgerEntry, ...]
    decisions: tuple[GateDecision, ...]
    models: Mapping[str, ModelVersion]


@dataclass(frozen=True, slots=True)
class Chosen:
    """One gate decision with what it stands on.

    Attributes:
        judged: the decision and its rows.
        report: the stored page about it.
        comparison: the model beside the champion of its time.
        beaten: that champion.
        choice: why this candidate was trained and no other.
        weights_licence: of the very file that training started from, empty where nobody named it; None where from none.
    """

    judged: Judged
    report: DecisionReport | None
    comparison: Comparison | None
    beaten: ModelVersion | None
    choice: ModelChoice | None
    weights_licence: str | None = None


def load_story(facts: FactStore, line: str) -> Story:
    """Read the ledger and the decisions of a line, the newest ones."""
    decisions = facts.find(GateDecision, line=line, limit=DECISIONS_READ)
    ledger = facts.find(LedgerEntry, line=line, limit=ENTRIES_READ)
    named = {decision.model_id for decision in decisions}
    named |= {str(value) for entry in ledger for value in (entry.subject, entry.details.get("model")) if value}
    models = facts.find(ModelVersion, id=sorted(named)) if named else []
    return Story(facts.champion(line), tuple(ledger), tuple(decisions), {model.id: model for model in models})


def load_decision(facts: FactStore, decision_id: str) -> Chosen:
    """Read one gate decision.

    Raises:
        NotFoundError: there is no such decision, or a row it refers to is not there.
    """
    judged = load_judged(facts, facts.get(GateDecision, decision_id))
    reports = facts.find(DecisionReport, decision_id=decision_id, limit=1)
    comparisons = facts.find(Comparison, evaluation_id=judged.evaluation.id, limit=1)
    choices = facts.find(ModelChoice, training_set_id=judged.model.training_set_id, limit=1)
    beaten = facts.find(ModelVersion, id=comparisons[0].champion_id, limit=1) if comparisons else []
    return Chosen(
        judged,
        reports[0] if reports else None,
        comparisons[0] if comparisons else None,
        beaten[0] if beaten else None,
        choices[0] if choices else None,
        weights_licence_of(facts, judged.model),
    )
