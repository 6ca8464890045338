"""An evaluation to a gate decision, in the ledger and, where it does not pass, in the outbox."""

from dataclasses import replace

from wafergate.domain.alerts import Alert
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.evidence import Evidence
from wafergate.domain.gate import GateDecision, LedgerKind, Verdict
from wafergate.domain.identity import identify
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import Split
from wafergate.domain.training_rows import ModelVersion
from wafergate.domain.validation_rows import ValidationResult
from wafergate.jobs.augment import check_training_set
from wafergate.jobs.compare import compare
from wafergate.jobs.latency import known_figures
from wafergate.jobs.licences import parts_of_model
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.pictures import mistake_sheet
from wafergate.jobs.promote import is_champion
from wafergate.jobs.taxonomy import agreed
from wafergate.jobs.validate import examine
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft, Progress
from wafergate.stages.alerts import approval_alert, gate_alert
from wafergate.stages.decide import decide as ask_every_rule

__all__ = ["decide"]


def decide(parts: Parts, line: LineFile, evaluation_id: str, *, actor: str, progress: Progress = silent) -> Outcome:
    """Ask every rule about a model; decision, ledger entry and alert become visible together.

    Where another model judges the line, it is run on the same test images first. An answer of before that holds again
    after another decision on the model is a decision of its own, so that the newest one is what stands.
    """
    evaluation = parts.facts.get(Evaluation, evaluation_id)
    decision = ask_every_rule(_evidence(parts, line, evaluation, progress), line=line.name, now=parts.clock())
    judged = parts.facts.find(GateDecision, line=line.name, model_id=decision.model_id)
    if judged and decision.repeats(judged[0]):
        return Outcome(judged[0].id, reused=True)
    same = next((row for row in judged if decision.repeats(row)), None)
    if same is not None:
        decision = replace(decision, id=identify("decision", same.id, judged[0].id))
    told = LedgerDraft(
        line=line.name,
        kind=LedgerKind.DECIDED,
        subject=decision.id,
        actor=actor,
        reason=decision.summary,
        details={"model": decision.model_id, "verdict": decision.verdict.value, "line_file": line.digest},
    )
    new = parts.facts.save(decision, ledger=[told], alerts=_alerts(parts, decision, evaluation))
    return Outcome(decision.id, not new)


def _alerts(parts: Parts, decision: GateDecision, evaluation: Evaluation) -> list[Alert]:
    """Return what a decision has to tell: a verdict that does not promote, or a wait for a person."""
    model, now = parts.facts.get(ModelVersion, decision.model_id), parts.clock()
    if decision.verdict is Verdict.PASS:
        waits = decision.awaits_approval and not is_champion(parts, decision)
        return [approval_alert(decision, model, now=now)] if waits else []
    sheet = mistake_sheet(parts, decision.evaluation_id)
    return [replace(gate_alert(decision, model, evaluation, now=now), attachments=(sheet,) if sheet else ())]


def _evidence(parts: Parts, line: LineFile, evaluation: Evaluation, progress: Progress) -> Evidence:
    model = parts.facts.get(ModelVersion, evaluation.model_id)
    split = parts.facts.get(Split, model.split_id)
    dataset = parts.facts.get(DatasetVersion, model.dataset_id)
    validation = parts.facts.get(ValidationResult, examine(parts, line, dataset.id).id)  # under the limits of now
    return Evidence(
        evaluation=evaluation,
        policy=line.gate,
        classes=line.classes,
        critical=line.line.critical,
        serve=line.hardware.serve,
        serving=known_figures(parts, line, model.id, progress=progress),
        size_mib=model.size_mib,
        today=parts.clock().date(),
        licences=parts_of_model(parts, line, model),
        licence_policy=line.licences,
        validation_success=validation.success,
        taxonomy_signed=agreed(parts, dataset),
        leak=check_training_set(
            parts, line.near_duplicates, model.training_set_id, told_apart=line.split.tells_parts_apart
        ),
        split_mode=split.mode,
        split_warnings=split.warnings,
        parity=model.parity,
        comparison=compare(parts, line, evaluation.id, progress=progress),
    )
