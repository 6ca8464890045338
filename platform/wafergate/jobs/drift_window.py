"""The window a drift report is about: images of a source, or what the line's model has inspected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

import pandas as pd

from wafergate.domain.evaluation import Detections
from wafergate.domain.inspection import FoundBox, InspectedImage
from wafergate.domain.samples import ImageRecord, Sample
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import ConfigError, NotFoundError, SourceError
from wafergate.jobs.detect import by_tiles, cuts_of, run_detector
from wafergate.jobs.examine import examine_files
from wafergate.jobs.ingest import as_samples, files_of, keep_fitting, read_source
from wafergate.jobs.novelty import novelty_of
from wafergate.jobs.parts import Parts
from wafergate.jobs.seeing import too_small
from wafergate.line import LineFile
from wafergate.ports import Progress, Source
from wafergate.stages.drift import seen_table

__all__ = [
    "INSPECTIONS",
    "KEYS",
    "Window",
    "holds_images",
    "inspected_table",
    "inspected_windows",
    "read_window",
    "stored_window",
    "told_boxes",
]

INSPECTIONS = "inspections"
"""What a report calls its source where that is what the model has inspected."""
KEYS = ("station", "product", "lot")
"""What a window is split by."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Images to hold against the reference.

    Attributes:
        label: as in `DriftReport.window`.
        source: where they came from.
        since: capture of the first; None for a source.
        until: capture of the last; None for a source.
        table: one row for each image: its SHA-256 as `image`, `KEYS`, and the features of `seen_table`.
    """

    label: str
    source: str
    since: datetime | None
    until: datetime | None
    table: pd.DataFrame


def read_window(
    parts: Parts,
    line: LineFile,
    model: ModelVersion,
    source: Source,
    format_name: str,
    *,
    limit: int,
    progress: Progress,
) -> Window:
    """Read a source and let the model look at it, as an inspection would.

    Raises:
        SourceError: it holds no image that the model can look at.
    """
    found, refused = read_source(line, source, format_name, limit=limit)
    examined = examine_files(parts, line, source, files_of(found), progress=progress)
    refused.extend(examined.refused)
    unlabelled = (replace(item, boxes=(), size=None) for item in found)
    kept = keep_fitting(unlabelled, examined.record_of, refused.append, channels=model.channels)
    cuts = cuts_of(parts, model)
    samples: list[Sample] = []
    for sample in as_samples(kept, examined.record_of, {}):
        small = too_small(sample, cuts[::-1])
        if small is None:
            samples.append(sample)
        else:
            refused.append(small)
    if not samples:
        first = "".join(f", the first is {item.path}: {item.detail}" for item in islice(refused, 1))
        message = f"{source.title} holds no image to compare; {len(refused)} were refused{first}"
        raise SourceError(message)
    tell = novelty_of(parts, model, progress=progress)
    detector = by_tiles(parts.load_detector(model, parts.files.fetch(model.onnx)), cuts)
    stage = "looking at new images"
    said = run_detector(parts, detector, samples, model.channels, stage=stage, progress=progress)
    by_id = {record.id: record for _, record in examined.records}
    table = seen_table(
        [by_id[sample.image] for sample in samples],
        [tell(item, image=sample.image) for sample, item in zip(samples, said, strict=True)],
        [told_boxes(item, model.classes, model.thresholds) for item in said],
        model.classes,
    )
    table["image"] = [sample.image for sample in samples]
    for key in KEYS:
        table[key] = [sample.metadata.get(key, "") for sample in samples]
    return Window("folder", source.title, None, None, table)


def told_boxes(said: Detections, classes: Sequence[str], least: Mapping[str, float]) -> tuple[FoundBox, ...]:
    """Return detections at or above the threshold of their class, as an inspection stores them."""
    return tuple(
        (name, float(score), float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        for box, score, index in zip(said.boxes, said.scores, said.classes, strict=True)
        if score >= least[name := classes[index]]
    )


def stored_window(parts: Parts, line: LineFile, model: ModelVersion, kind: str, name: str) -> Window:
    """Return what a model has inspected in a day, of a lot, or last.

    Args:
        parts: the real parts.
        line: the line file.
        model: whose inspections.
        kind: `day`, `lot` or a number of images.
        name: which day or lot; empty for the newest.

    Raises:
        ConfigError: there is no such kind of window, or a day that is none.
        NotFoundError: the model has inspected nothing in it.
    """
    pick = _KINDS.get(kind, _last if kind.isdecimal() and int(kind) else None)
    if pick is None or (name and pick is _last):
        message = (
            f"a drift window is day, lot or a number of images, and only a day or a lot has a name; "
            f"found window {kind!r}" + (f" with name {name!r}" if name else "")
        )
        raise ConfigError(message)
    label, images = pick(parts, line.name, model.id, name or (kind if pick is _last else ""))
    images = [image for image in images if image.model_id == model.id]
    if not images:
        message = (
            f"model {model.id} of line {line.name!r} has inspected nothing in the window ({label}): run "
            "`wafergate inspect`, or give `wafergate watch` a source"
        )
        raise NotFoundError(message)
    table = inspected_table(parts, images, model.classes)
    times = [image.captured_at for image in images]
    return Window(label, INSPECTIONS, min(times), max(times), table)


def inspected_table(parts: Parts, images: Sequence[InspectedImage], classes: Sequence[str]) -> pd.DataFrame:
    """Return the table of inspected images, each file once, sorted by its SHA-256."""
    once = sorted({image.image: image for image in reversed(images)}.values(), key=lambda item: item.image)
    records = {row.id: row for row in parts.facts.find(ImageRecord, id=[item.image for item in once])}
    known = [item for item in once if item.image in records]
    table = seen_table(
        [records[item.image] for item in known],
        [item.novelty for item in known],
        [item.detections for item in known],
        classes,
    )
    table["image"] = [item.image for item in known]
    for key in KEYS:
        table[key] = [getattr(item, key) for item in known]
    return table


def inspected_windows(parts: Parts, line: str, model_id: str, kind: str) -> list[str]:
    """Return the days or lots that a model has inspected, newest first; other kinds of window have no names."""
    if kind == "day":
        return [str(day) for day in _days(parts, line, model_id)]
    return _lots(parts, line, model_id) if kind == "lot" else []


def holds_images(parts: Parts, line: str, kind: str, name: str) -> bool:
    """Tell whether the images of a day or lot that was inspected are still there: its sums outlive them."""
    if kind == "day":
        since, until = _ends(date.fromisoformat(name))
        return bool(parts.inspections.images(line=line, since=since, until=until, limit=1))
    return bool(parts.inspections.images(line=line, lot=name, limit=1))


def _ends(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def _days(parts: Parts, line: str, model_id: str) -> list[date]:
    return list(dict.fromkeys(row.day for row in parts.inspections.days(line) if row.model_id == model_id))


def _lots(parts: Parts, line: str, model_id: str) -> list[str]:
    return [row.lot for row in parts.inspections.lots(line) if row.model_id == model_id and row.lot]


_Picked = tuple[str, list[InspectedImage]]


def _day(parts: Parts, line: str, model_id: str, name: str) -> _Picked:
    try:
        asked = date.fromisoformat(name) if name else None
    except ValueError as error:
        message = f"a day is written YYYY-MM-DD, found {name!r}"
        raise ConfigError(message) from error
    day = asked or next(iter(_days(parts, line, model_id)), None)
    if day is None:
        return "newest day", []
    since, until = _ends(day)
    return f"day {day}", parts.inspections.images(line=line, since=since, until=until)


def _lot(parts: Parts, line: str, model_id: str, name: str) -> _Picked:
    lot = name or next(iter(_lots(parts, line, model_id)), "")
    return (f"lot {lot}", parts.inspections.images(line=line, lot=lot)) if lot else ("newest lot", [])


def _last(parts: Parts, line: str, _model_id: str, count: str) -> _Picked:
    return f"last {count}", parts.inspections.images(line=line, limit=int(count))


_KINDS: dict[str, Callable[[Parts, str, str, str], _Picked]] = {"day": _day, "lot": _lot}
