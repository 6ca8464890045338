"""New images against what the line's model was trained on: a drift report, and an alert where it has drifted."""

from wafergate.domain.drift import DriftReport, DriftVerdict, FeatureDrift
from wafergate.domain.identity import identify
from wafergate.domain.samples import ImageRecord
from wafergate.domain.splits import Side
from wafergate.domain.training import ModelVersion
from wafergate.errors import NotFoundError, SourceError
from wafergate.jobs.augment import samples_on
from wafergate.jobs.ingest import examine_files, read_source
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.line import LineFile
from wafergate.ports import Progress, Source
from wafergate.stages.alerts import drift_alert
from wafergate.stages.drift import feature_table, judge

__all__ = ["watch"]


def watch(
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    limit: int = 0,
    progress: Progress = silent,
) -> Outcome:
    """Measure drift between the images the line's model learnt from and those of a source.

    The reference is the champion's training side; a line without champion is compared with its newest model's.

    Raises:
        NotFoundError: the line has no model, so there is nothing to drift from.
        SourceError: no image could be examined.
    """
    model = _reference_model(parts, line.name)
    taught = sorted({sample.image for sample in samples_on(parts, model.split_id, Side.TRAIN)})
    reference = sorted(parts.facts.find(ImageRecord, id=taught), key=lambda record: record.id)
    found, _ = read_source(line, source, format_name, limit=limit)
    records, refused = examine_files(parts, line, source, sorted(item.name for item in found), progress=progress)
    if not records:
        message = f"{source.title} holds no image to compare; {len(refused)} were refused"
        raise SourceError(message)
    current = sorted(records.values(), key=lambda record: record.id)
    row_id = identify("drift", line.name, model.id, line.drift, [record.id for record in current])
    if parts.facts.find(DriftReport, id=row_id):
        return Outcome(row_id, reused=True)
    features: list[FeatureDrift] = []
    report: str | None = None
    if len(current) >= line.drift.min_images:
        progress("measuring drift", 0, 0)
        features, page = parts.meter(feature_table(reference), feature_table(current), line.drift)
        report = parts.files.put(page)
    verdict, share = judge(features, reference_images=len(reference), current_images=len(current), policy=line.drift)
    row = DriftReport(
        id=row_id,
        line=line.name,
        dataset_id=model.dataset_id,
        source=source.title,
        reference_images=len(reference),
        current_images=len(current),
        verdict=verdict,
        share=share,
        features=tuple(features),
        policy=line.drift,
        report=report,
        created_at=parts.clock(),
    )
    alerts = [drift_alert(row, now=parts.clock())] if verdict is DriftVerdict.DRIFTED else []
    return Outcome(row_id, not parts.facts.save(row, alerts=alerts))


def _reference_model(parts: Parts, line: str) -> ModelVersion:
    champion = parts.facts.champion(line)
    if champion is not None:
        return parts.facts.get(ModelVersion, champion.model_id)
    newest = parts.facts.find(ModelVersion, line=line, limit=1)
    if not newest:
        message = f"line {line!r} has no model yet, so there is nothing to drift from: run `wafergate retrain`"
        raise NotFoundError(message)
    return newest[0]
