"""How a line's classes are found: by the shown model, by earlier ones, in production, and with more labels."""

from dataclasses import dataclass

from dashboards.reading.line import Judged, load_judged
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision
from wafergate.domain.learning_curve import LearningCurve
from wafergate.domain.production import ProductionFigures
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError
from wafergate.ports import FactStore

__all__ = ["ClassesView", "Past", "load_classes"]

VERSIONS_READ = 20  # model versions that one picture can tell apart


@dataclass(frozen=True, slots=True)
class Past:
    """One model version as the gate judged it; of several judgements the newest."""

    decision: GateDecision
    evaluation: Evaluation
    model: ModelVersion


@dataclass(frozen=True, slots=True)
class ClassesView:
    """What the page Classes shows of a line.

    Attributes:
        shown: the champion, else the newest model judged; None while none was.
        champion_id: the model that judges the line; empty without one.
        looks: how often the shown test set has been used.
        past: judged model versions, the oldest first.
        production: the newest figures from reviewed images of the champion; None where there are none.
        curve: the newest learning curve.
    """

    shown: Judged | None
    champion_id: str
    looks: int
    past: tuple[Past, ...]
    production: ProductionFigures | None
    curve: LearningCurve | None


def load_classes(facts: FactStore, line: str) -> ClassesView:
    """Read what the page shows of a line.

    Raises:
        NotFoundError: a row refers to another that is not there.
    """
    champion = facts.champion(line)
    decisions = facts.find(GateDecision, line=line, limit=VERSIONS_READ)
    decision = facts.get(GateDecision, champion.decision_id) if champion else next(iter(decisions), None)
    shown = load_judged(facts, decision) if decision else None
    of_split = facts.find(Evaluation, split_id=shown.split.id, side="test") if shown else []
    figures = facts.find(ProductionFigures, model_id=champion.model_id, limit=1) if champion else []
    curves = facts.find(LearningCurve, line=line, limit=1)
    return ClassesView(
        shown=shown,
        champion_id=champion.model_id if champion else "",
        looks=max((row.look for row in of_split), default=0),
        past=_past(facts, decisions),
        production=figures[0] if figures else None,
        curve=curves[0] if curves else None,
    )


def _past(facts: FactStore, decisions: list[GateDecision]) -> tuple[Past, ...]:
    if not decisions:
        return ()
    evaluations = {row.id: row for row in facts.find(Evaluation, id=[item.evaluation_id for item in decisions])}
    models = {row.id: row for row in facts.find(ModelVersion, id=[item.model_id for item in decisions])}
    newest: dict[int, Past] = {}
    for item in decisions:
        if item.evaluation_id not in evaluations or item.model_id not in models:
            message = f"the evaluation or the model of decision {item.id} is not in the store"
            raise NotFoundError(message)
        model = models[item.model_id]
        newest.setdefault(model.number, Past(item, evaluations[item.evaluation_id], model))
    return tuple(newest[number] for number in sorted(newest))
