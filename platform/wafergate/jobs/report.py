"""A gate decision to its report: one page and one picture sheet, stored beside it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.cost import ExpectedCost
from wafergate.domain.evaluation import Comparison, Evaluation
from wafergate.domain.gate import GateDecision, LedgerEntry, LedgerKind
from wafergate.domain.identity import identify
from wafergate.domain.judging import Judged
from wafergate.domain.report import Certificate, DecisionReport
from wafergate.domain.runs import LineFileVersion
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import Split
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError
from wafergate.formats.report_page import ReportContent, write_report
from wafergate.jobs.detect import MIN_SCORE, open_judge
from wafergate.jobs.parts import Outcome, Parts, ahead, silent
from wafergate.jobs.pictures import MOST_PICTURES, judged_again, mistake_sheet, pictures
from wafergate.line import LineFile, parse_line
from wafergate.ports import Progress
from wafergate.stages.certify import certify
from wafergate.stages.compose import compose
from wafergate.stages.curves import curves, pick_alarms, pick_misses
from wafergate.stages.reimage import REIMAGINGS

__all__ = ["line_of", "report"]

Pixels = NDArray[np.uint8]

_REPEATED = 100  # images taken again for repeatability: its bound at 100 of 100 is 0.970


def report(parts: Parts, line: LineFile, decision_id: str, *, progress: Progress = silent) -> Outcome:
    """Write the page about a decision and store it; the same decision gives the same page.

    Raises:
        NotFoundError: there is no such decision.
    """
    row_id = identify("report", decision_id)
    if parts.facts.find(DecisionReport, id=row_id):
        return Outcome(row_id, reused=True)
    decision = parts.facts.get(GateDecision, decision_id)
    evaluation = parts.facts.get(Evaluation, decision.evaluation_id)
    model = parts.facts.get(ModelVersion, decision.model_id)
    judged, samples = judged_again(parts, evaluation, model)
    misses, alarms = pick_misses(judged, MOST_PICTURES), pick_alarms(judged, MOST_PICTURES)
    content = ReportContent(
        product=line.line.product,
        decision=decision,
        evaluation=evaluation,
        model=model,
        split=parts.facts.get(Split, evaluation.split_id),
        dataset=parts.facts.get(DatasetVersion, model.dataset_id),
        curves=curves(judged, ExpectedCost.at(line.cost, line.prevalence)),
        certificate=_certificate(parts, evaluation, model, judged, samples, progress=progress),
        misses=pictures(parts, judged, samples, misses),
        alarms=pictures(parts, judged, samples, alarms),
        comparison=next(iter(parts.facts.find(Comparison, evaluation_id=evaluation.id, limit=1)), None),
        prevalence=line.prevalence or None,
        cost_unit=line.cost.unit if line.cost.known else None,
    )
    sheet, page = mistake_sheet(parts, evaluation.id), parts.files.put(write_report(content))
    row = DecisionReport(row_id, decision.line, decision.id, page, sheet, parts.clock())
    return Outcome(row_id, not parts.facts.save(row))


def line_of(parts: Parts, decision_id: str) -> LineFile:
    """Return the line file a decision was made under, as the ledger names it.

    Raises:
        NotFoundError: there is no such decision, or its line file was not kept.
    """
    decision = parts.facts.get(GateDecision, decision_id)
    entries = parts.facts.find(LedgerEntry, line=decision.line, subject=decision_id)
    digest = next((str(entry.details["line_file"]) for entry in entries if entry.kind is LedgerKind.DECIDED), "")
    kept = parts.facts.find(LineFileVersion, id=digest, limit=1)
    if not kept:
        message = f"the line file that {decision.id} was made under was not kept: run `wafergate retrain` with it again"
        raise NotFoundError(message)
    return parse_line(kept[0].text, Path(f"{decision.line}.toml"))


def _certificate(
    parts: Parts,
    evaluation: Evaluation,
    model: ModelVersion,
    judged: Judged,
    samples: Sequence[Sample],
    *,
    progress: Progress,
) -> Certificate:
    """Decide some test images again under small re-imagings, and put all in the terms of the analysis."""
    truth, said = judged.scene.truth, judged.scene.detections
    reference = np.diff(truth.offsets) > 0
    verdicts = np.bincount(said.images[judged.kept], minlength=len(samples)) > 0
    # evenly over the test set, which lies in the order of the names
    chosen = np.unique(np.linspace(0, len(samples) - 1, min(_REPEATED, len(samples))).round().astype(np.int64))
    limits = np.array([judged.thresholds[index] for index in range(len(judged.classes))])
    detector = open_judge(parts, model)
    again: list[list[bool]] = [[] for _ in REIMAGINGS]
    views = ahead(lambda place: _views(parts, samples[place], model), chosen.tolist())
    for done, images in enumerate(views, start=1):
        for row, item in zip(again, detector(images, min_score=MIN_SCORE), strict=True):
            row.append(bool(np.any(item.scores >= limits[item.classes])))
        progress("taking test images again", done, len(chosen))
    trials = [verdicts[chosen], *(np.array(row, dtype=np.bool_) for row in again)]
    changes = [words for words, _ in REIMAGINGS]
    return certify(reference, verdicts, trials, changes, confidence=evaluation.confidence)


def _views(parts: Parts, sample: Sample, model: ModelVersion) -> list[Pixels]:
    """Return what the model sees of a sample under each small re-imaging; the golden reference stays as it is."""
    image = parts.decode(parts.files.get(sample.image))
    reference = parts.decode(parts.files.get(sample.reference)) if sample.reference else None
    return [compose(change(image), reference, model.channels) for _, change in REIMAGINGS]
