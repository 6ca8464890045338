"""An event to the governor's decision, and a retraining where every rule holds."""

from datetime import datetime

from wafergate.domain.drift import DriftReport
from wafergate.domain.governor import GovernorDecision, GovernorVerdict, RetrainStanding
from wafergate.domain.identity import identify
from wafergate.domain.runs import FlowRun
from wafergate.domain.samples import DatasetVersion, LabelledBox, Sample
from wafergate.domain.tiling import Tiling
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile
from wafergate.ports import FactStore, Retrainings
from wafergate.stages.alerts import labels_alert
from wafergate.stages.govern import judge_retraining

__all__ = ["ask_governor", "new_labels"]


def ask_governor(
    parts: Parts, line: LineFile, event: str, *, actor: str, retrainings: Retrainings, dataset_id: str = ""
) -> Outcome:
    """Decide once what follows an event, and start a retraining where every rule of `[governor]` holds.

    One process anywhere decides for a line at a time, and it starts what it decided before the next one looks: a storm
    of events starts one retraining. The same event asked again gives the same decision and the same run.

    Args:
        parts: the stores and the clock.
        line: the line file.
        event: what asks, e.g. id of a drift report.
        actor: who asks.
        retrainings: what runs, and how another is started.
        dataset_id: the version whose labels count and that would be trained on; the line's newest where none is named.

    Raises:
        ConfigError: the line's `retrain` is not deployed, so nothing could be started.
        ServiceError: Prefect does not answer; asking again goes on where this ended.
    """
    row_id = identify("governor", line.name, event)
    with parts.facts.exclusive(f"governor of line {line.name}", waiting=_patiently):
        before = parts.facts.find(GovernorDecision, id=row_id)
        row = before[0] if before else _decide(parts, line, event, actor, retrainings, dataset_id)
        if not before:
            lacking = any(rule.rule == "new_labels" for rule in row.missing)
            asked = [labels_alert(row, now=parts.clock())] if lacking else []
            parts.facts.save(row, alerts=asked)
        if row.verdict is GovernorVerdict.RETRAIN:
            retrainings.start(row)  # known by the decision's id: it is started once, however often this is asked
    return Outcome(row_id, reused=bool(before))


def _patiently() -> None:
    """Wait without a word: another process decides for the line, which takes milliseconds."""


def _decide(
    parts: Parts, line: LineFile, event: str, actor: str, retrainings: Retrainings, dataset_id: str
) -> GovernorDecision:
    running = tuple(retrainings.running(line.name))
    champion = parts.facts.champion(line.name)
    model = parts.facts.get(ModelVersion, champion.model_id) if champion else None
    newest = next(iter(parts.facts.find(DatasetVersion, line=line.name, limit=1)), None)
    taught = dataset_id or (newest.id if newest else "")
    fresh = new_labels(parts.facts, model.dataset_id if model else "", taught) if taught else 0
    now = parts.clock()
    report = next(iter(parts.facts.find(DriftReport, id=event)), None)
    advice = report.advice if report else None
    standing = RetrainStanding(fresh, tuple(_starts(parts.facts, line.name)), running, advice)
    verdict, rules = judge_retraining(standing, line.governor, now=now)
    return GovernorDecision(
        id=identify("governor", line.name, event),
        line=line.name,
        event=event,
        verdict=verdict,
        rules=rules,
        model_id=model.id if model else "",
        dataset_id=taught,
        actor=actor,
        policy=line.governor,
        created_at=now,
    )


def _starts(facts: FactStore, line: str) -> list[datetime]:
    """Return when the retrainings of a line started: those the governor decided, and everybody else's."""
    decided = facts.find(GovernorDecision, line=line, verdict=GovernorVerdict.RETRAIN.value)
    # What the governor started may still wait for its worker, and then has no row of its run yet.
    own = {row.id for row in decided}
    others = [run for run in facts.find(FlowRun, line=line, flow="retrain") if run.parameters.get("actor") not in own]
    return [row.created_at for row in decided] + [run.created_at for run in others]


def new_labels(facts: FactStore, known: str, newest: str) -> int:
    """Count the images of a dataset version that another does not hold, or holds with other boxes.

    Args:
        facts: the store.
        known: id of the version that was learnt from, or empty for none.
        newest: id of the version to look at. Tiles are compared by the images they were cut from.
    """
    learnt = _labels(facts, known) if known else {}
    return sum(learnt.get(image) != boxes for image, boxes in _labels(facts, newest).items())


def _labels(facts: FactStore, dataset_id: str) -> dict[str, tuple[LabelledBox, ...]]:
    while cut := facts.find(Tiling, dataset_id=dataset_id, limit=1):
        dataset_id = cut[0].parent_id
    return {sample.image: sample.boxes for sample in facts.find(Sample, dataset_id=dataset_id)}
