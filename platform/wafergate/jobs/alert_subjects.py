"""Alerts to the rows they are about, from which their titles are told in any language."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wafergate.domain.alerts import Alert, AlertCause
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision
from wafergate.domain.golden import GoldenRun
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.training_rows import ModelVersion
from wafergate.domain.weekly import JudgedModel
from wafergate.ports import FactStore

__all__ = ["judged", "subjects_of"]

_KINDS: Mapping[str, type[Any]] = {
    AlertCause.GATE: GateDecision,
    AlertCause.APPROVAL: GateDecision,
    AlertCause.DRIFT: DriftReport,
    AlertCause.LABELS: GovernorDecision,
    AlertCause.GOLDEN: GoldenRun,
}
"""The rest is about runs and pages, whose titles hold words that no row does."""


def subjects_of(facts: FactStore, alerts: Iterable[Alert]) -> dict[str, object]:
    """Return what alerts are about, by the id they name: a gate decision comes with its model and evaluation."""
    named: dict[type[Any], set[str]] = {}
    for alert in alerts:
        if alert.cause in _KINDS:
            named.setdefault(_KINDS[alert.cause], set()).add(alert.subject)
    found: dict[str, object] = {}
    for kind, ids in named.items():
        rows = facts.find(kind, id=sorted(ids))
        found |= dict(zip((row.id for row in rows), judged(facts, rows) if kind is GateDecision else rows, strict=True))
    return found


def judged(facts: FactStore, decisions: Sequence[GateDecision]) -> list[JudgedModel]:
    """Return decisions with what they judged, all read at once."""
    models = {row.id: row for row in facts.find(ModelVersion, id=[item.model_id for item in decisions])}
    evaluations = {row.id: row for row in facts.find(Evaluation, id=[item.evaluation_id for item in decisions])}
    return [JudgedModel(item, models[item.model_id], evaluations[item.evaluation_id]) for item in decisions]
