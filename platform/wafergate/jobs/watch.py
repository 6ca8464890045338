"""A window of new images against its reference: a drift report, and an alert where it has drifted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from wafergate.domain.drift import (
    FEATURES,
    NOVELTY,
    Advice,
    DriftCause,
    DriftPolicy,
    DriftReport,
    DriftSlice,
    DriftVerdict,
    FeatureDrift,
    ReferenceKind,
)
from wafergate.domain.identity import identify
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError
from wafergate.jobs.drift_reference import Reference, pick_reference
from wafergate.jobs.drift_window import (
    INSPECTIONS,
    KEYS,
    Window,
    holds_images,
    inspected_windows,
    read_window,
    stored_window,
)
from wafergate.jobs.govern import new_labels
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.versions import find_version
from wafergate.line import LineFile
from wafergate.ports import Progress, Source
from wafergate.stages.advise import advise, tell_cause
from wafergate.stages.alerts import drift_alert
from wafergate.stages.drift import common_limit, judge, measurable, weigh

__all__ = ["due_windows", "watch", "watch_stored"]

_MOST_SLICES = 20
_READ = 1000  # reports: a day that is watched every five minutes makes 288


def watch(
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    limit: int = 0,
    progress: Progress = silent,
) -> Outcome:
    """Measure drift between the reference of the line's model and the images of a source.

    The model is the champion; a line without one is compared with its newest model. It looks at the images as an
    inspection would, and nothing of what it says is kept.

    Raises:
        NotFoundError: the line has no model, so there is nothing to drift from.
        SourceError: the source holds no image that the model can look at.
    """
    model = _watched_model(parts, line.name)
    window = read_window(parts, line, model, source, format_name, limit=limit, progress=progress)
    return _report(parts, line, model, window, progress)


def due_windows(parts: Parts, line: LineFile, window: str = "") -> list[str]:
    """Return the names of the days or lots that are due, oldest first; one empty name where they have none.

    These are the newest, which has just begun or still goes on, and those before it back to the newest of them that has
    a report. That one is due as well: it may have gone on after its report, and one that has not is the same report
    again. What was dropped since cannot be measured any more.

    Raises:
        NotFoundError: the line has no model.
    """
    model, kind = _watched_model(parts, line.name), window or line.drift.window
    names = inspected_windows(parts, line.name, model.id, kind)
    reports = parts.facts.find(DriftReport, line=line.name, model_id=model.id, source=INSPECTIONS, limit=_READ)
    told = {report.window for report in reports}
    newest, before = names[:1], names[1:]
    last = next((place for place, name in enumerate(before) if f"{kind} {name}" in told), 0)
    ended = [name for name in before[: last + 1] if holds_images(parts, line.name, kind, name)]
    return [*ended[::-1], *newest] or [""]


def watch_stored(
    parts: Parts, line: LineFile, window: str = "", *, name: str = "", progress: Progress = silent
) -> Outcome:
    """Measure drift between the reference of the line's model and what it has inspected.

    Args:
        parts: the real parts.
        line: the line file.
        window: `day`, `lot` or a number of images; else as the line file says.
        name: which day (YYYY-MM-DD) or lot; else the newest that was inspected.
        progress: told of the steps.

    Raises:
        ConfigError: there is no such kind of window.
        NotFoundError: the line has no model, or the model has inspected nothing in the window.
    """
    model = _watched_model(parts, line.name)
    found = stored_window(parts, line, model, window or line.drift.window, name)
    return _report(parts, line, model, found, progress)


def _report(parts: Parts, line: LineFile, model: ModelVersion, window: Window, progress: Progress) -> Outcome:
    reference = pick_reference(parts, line, model, before=window.since, progress=progress)
    images = window.table["image"].tolist()
    row_id = identify("drift", line.name, model.id, line.drift, reference.kind, window.label, images)
    if parts.facts.find(DriftReport, id=row_id):
        return Outcome(row_id, reused=True)
    progress("measuring drift", 0, 0)
    found = _measure(parts, line.drift, reference, window)
    row = DriftReport(
        id=row_id,
        line=line.name,
        dataset_id=model.dataset_id,
        source=window.source,
        reference_images=len(reference.table),
        current_images=len(images),
        verdict=found.verdict,
        share=found.share,
        features=tuple(found.features),
        policy=line.drift,
        report=parts.files.put(found.page) if found.page else None,
        created_at=parts.clock(),
        model_id=model.id,
        window=window.label,
        since=window.since,
        until=window.until,
        reference=reference.kind,
        slices=tuple(found.slices),
        cause=found.cause,
    )
    advice, reason = _advise(parts, line, model, row)
    row = replace(row, advice=advice, reason=reason)
    alerts = [drift_alert(row, now=parts.clock())] if row.verdict is DriftVerdict.DRIFTED else []
    return Outcome(row_id, not parts.facts.save(row, alerts=alerts))


@dataclass(frozen=True, slots=True)
class _Found:
    features: list[FeatureDrift]
    slices: list[DriftSlice]
    verdict: DriftVerdict
    share: float
    page: bytes | None

    @property
    def cause(self) -> DriftCause | None:
        """What moved in the window, or else in its largest slice that drifted."""
        if self.verdict is not DriftVerdict.DRIFTED:
            return None
        if any(feature.drifted for feature in self.features):
            return tell_cause(self.features)
        return max((part for part in self.slices if part.cause), key=lambda part: part.images).cause


_Pair = tuple[pd.DataFrame, pd.DataFrame]


def _measure(parts: Parts, policy: DriftPolicy, reference: Reference, window: Window) -> _Found:
    """Measure the window and its slices, all held against one limit."""
    slices = _slices(window.table)
    if min(len(window.table), len(reference.table)) < policy.min_images:
        few = [DriftSlice(*key, len(part), DriftVerdict.NOT_ENOUGH) for key, part in slices.items()]
        return _Found([], few, DriftVerdict.NOT_ENOUGH, 0.0, None)
    whole = _comparable(reference.table, window.table)
    pairs: dict[tuple[str, str], _Pair] = {
        key: _comparable(_alike(reference.table, *key, policy.min_images), part)
        for key, part in slices.items()
        if len(part) >= policy.min_images
    }
    scores = parts.meter(*whole, policy)
    partial = {key: parts.meter(*pair, policy) for key, pair in pairs.items()}
    unjudged = _unjudged(reference, scores)
    limit = common_limit([scores, *partial.values()], policy, unjudged)

    def hold(score: Mapping[str, float], pair: _Pair) -> tuple[list[FeatureDrift], DriftVerdict, float]:
        features = weigh(score, *pair, limit=limit, policy=policy, unjudged=unjudged)
        return features, *judge(features, reference_images=len(pair[0]), current_images=len(pair[1]), policy=policy)

    features, verdict, share = hold(scores, whole)
    told = [
        _slice(key, part, *hold(partial[key], pairs[key])[:2])
        if key in partial
        else DriftSlice(*key, len(part), DriftVerdict.NOT_ENOUGH)
        for key, part in slices.items()
    ]
    if any(part.verdict is DriftVerdict.DRIFTED for part in told):
        verdict = DriftVerdict.DRIFTED
    return _Found(features, told, verdict, share, parts.meter.page(*whole, policy, threshold=limit))


def _slice(
    key: tuple[str, str], part: pd.DataFrame, features: Sequence[FeatureDrift], verdict: DriftVerdict
) -> DriftSlice:
    moved = sorted((feature for feature in features if feature.drifted), key=lambda item: -item.distance)
    cause = tell_cause(features) if verdict is DriftVerdict.DRIFTED else None
    return DriftSlice(*key, len(part), verdict, tuple(feature.feature for feature in moved), cause)


def _comparable(reference: pd.DataFrame, current: pd.DataFrame) -> _Pair:
    columns = measurable(*(side.drop(columns=["image", *KEYS]) for side in (reference, current)))
    return reference[columns], current[columns]


def _alike(reference: pd.DataFrame, key: str, value: str, least: int) -> pd.DataFrame:
    """Return the reference's images of the same station or product where they are enough, else all of them."""
    same = reference[reference[key] == value]
    return same if len(same) >= least else reference


def _unjudged(reference: Reference, features: Iterable[str]) -> list[str]:
    """Return the features that are shown but do not count.

    What a model says of the images it has learnt from is surer than what it says of others, and their class mix was
    chosen by people: against training images, predictions would always have drifted.
    """
    if reference.kind is ReferenceKind.ACCEPTED:
        return []
    return [feature for feature in features if feature not in {*FEATURES, NOVELTY}]


def _slices(table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the parts of a window by each key that tells of several, of each key the largest."""
    found: dict[tuple[str, str], pd.DataFrame] = {}
    for key in KEYS:
        sizes = table[key].value_counts()
        if len(sizes) > 1:
            named = sorted((value for value in sizes.index if value), key=lambda value: (-sizes[value], value))
            found |= {(key, value): table[table[key] == value] for value in named[:_MOST_SLICES]}
    return found


def _advise(parts: Parts, line: LineFile, model: ModelVersion, row: DriftReport) -> tuple[Advice, str]:
    drifted = row.verdict is DriftVerdict.DRIFTED
    newest = find_version(parts.facts, line.name).id
    return advise(
        row.verdict,
        row.cause,
        new_labels=new_labels(parts.facts, model.dataset_id, newest) if drifted else 0,
        needed=line.governor.min_new_labels,
        in_a_row=_in_a_row(row, parts.facts.find(DriftReport, line=line.name, model_id=model.id, limit=_READ)),
    )


def _in_a_row(row: DriftReport, before: Iterable[DriftReport]) -> int:
    """Count the windows in a row, the newest report of each, that found the same cause as this one."""
    counted = [row]
    for report in before:
        if report.verdict is DriftVerdict.NOT_ENOUGH or any(_same_window(report, known) for known in counted):
            continue
        if report.cause is not row.cause:
            break
        counted.append(report)
    return len(counted)


def _same_window(one: DriftReport, other: DriftReport) -> bool:
    """Tell whether two reports are about one window, seen twice: a day or lot that grows, or last images that overlap.

    Of a folder nobody knows when its images were made: each report on one counts.
    """
    if not (one.since and one.until and other.since and other.until):
        return False
    if "last" in (one.window.split()[0], other.window.split()[0]):
        return one.since <= other.until and other.since <= one.until
    return one.window == other.window


def _watched_model(parts: Parts, line: str) -> ModelVersion:
    champion = parts.facts.champion(line)
    if champion is not None:
        return parts.facts.get(ModelVersion, champion.model_id)
    newest = parts.facts.find(ModelVersion, line=line, limit=1)
    if not newest:
        message = f"line {line!r} has no model yet, so there is nothing to drift from: run `wafergate retrain`"
        raise NotFoundError(message)
    return newest[0]
