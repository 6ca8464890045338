"""New images against the champion's training images: a drift report, and an alert where the line has drifted."""

from wafergate.domain.drift import DriftReport, DriftVerdict, FeatureDrift
from wafergate.domain.identity import identify
from wafergate.domain.samples import ImageRecord
from wafergate.domain.splits import Side
from wafergate.errors import SourceError
from wafergate.jobs.augment import samples_on
from wafergate.jobs.ingest import examine_files, read_source
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.promote import champion_model
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
    """Measure drift between the images the champion learnt from and those of a source.

    Raises:
        PromotionError: the line has no champion, so there is nothing to drift from.
        SourceError: no image could be examined.
    """
    model = champion_model(parts, line.name)
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
