"""Raw images and labels to a dataset version; what cannot enter is quarantined with its reason."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from threading import Lock

from wafergate.domain.identity import identify
from wafergate.domain.models import Channels
from wafergate.domain.quarantine import Released
from wafergate.domain.samples import (
    DatasetVersion,
    ImageRecord,
    LabelledBox,
    QuarantineReason,
    RawSample,
    Sample,
    count_classes,
)
from wafergate.errors import ConfigError, SourceError
from wafergate.formats import READERS, ReadOptions
from wafergate.formats.header import ImageRefusedError, read_header
from wafergate.jobs.parts import Outcome, Parts, ahead, silent
from wafergate.jobs.quarantine import Refused, released_in, set_aside
from wafergate.line import LineFile
from wafergate.ports import Progress, Source

__all__ = ["as_samples", "examine_files", "ingest", "is_large", "keep_fitting", "read_source", "require_format"]

_LISTED = 5
_BATCH = 1000
_LARGE = 8_000_000  # pixels; examining takes some 10 bytes each, and four images are at work at a time


def ingest(
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    limit: int = 0,
    progress: Progress = silent,
) -> Outcome:
    """Read, examine and store a source; the same content gives the same dataset version.

    Args:
        parts: the real parts.
        line: the line file.
        source: where images and labels lie.
        format_name: a key of `READERS`.
        limit: take this many samples, spread evenly over the source; 0 takes all.
        progress: told of every image.

    Raises:
        ConfigError: the format is unknown.
        SourceError: nothing can be read as that format, or every image was refused.
        TaxonomyError: labels have no defect class.
    """
    released = released_in(parts, line.name, source)
    samples, problems = read_source(line, source, format_name, limit=limit, released=released)
    labels = line.taxonomy.resolve((box.label for item in samples for box in item.boxes), line.classes)
    names = sorted({item.name for item in samples} | {item.reference for item in samples if item.reference})
    records, refused = examine_files(parts, line, source, names, released=released, progress=progress)
    kept, unfit = keep_fitting(samples, records, channels=line.models.channels, released=released)
    refused = [*problems, *refused, *unfit]
    set_aside(parts, line.name, source, refused)
    if not kept:
        first = "; ".join(f"{item.path}: {item.detail}" for item in refused[:_LISTED])
        message = f"{source.title} holds no image that can enter line {line.name!r}; refused: {first or 'nothing'}"
        raise SourceError(message)
    return _save_version(parts, line, source, format_name, kept=kept, records=records, labels=labels, out=len(refused))


def require_format(name: str) -> str:
    """Return the name of a format there is a reader for.

    Raises:
        ConfigError: there is none.
    """
    if name not in READERS:
        message = f"--format must be one of {', '.join(sorted(READERS))}; found {name!r}"
        raise ConfigError(message)
    return name


def read_source(
    line: LineFile, source: Source, format_name: str, *, limit: int = 0, released: Released = frozenset()
) -> tuple[list[RawSample], list[Refused]]:
    """Read a source's labels with the line's options; return samples and what the reader refused.

    Args:
        line: the line file.
        source: where images and labels lie.
        format_name: a key of `READERS`.
        limit: take this many samples, spread evenly over the source; 0 takes all.
        released: files that a person let in, each with the reason that no longer keeps it out.

    Raises:
        ConfigError: the format is unknown.
        SourceError: nothing can be read as that format.
    """
    require_format(format_name)
    intake = line.intake
    options = ReadOptions(
        pattern=intake.pattern,
        reference=intake.reference,
        mask_gap=intake.mask_gap,
        mask_min_area=intake.mask_min_area,
        max_pixels=intake.max_pixels,
        classes=line.classes,
        unlabelled=intake.unlabelled,
        released=released,
    )
    reading = READERS[format_name](source, options)
    samples = list(reading.samples)
    if 0 < limit < len(samples):
        samples = [samples[(2 * place + 1) * len(samples) // (2 * limit)] for place in range(limit)]
    problems = [Refused(*problem) for problem in reading.problems]
    return samples, problems


def examine_files(
    parts: Parts,
    line: LineFile,
    source: Source,
    names: Sequence[str],
    *,
    released: Released = frozenset(),
    progress: Progress = silent,
) -> tuple[dict[str, ImageRecord], list[Refused]]:
    """Examine each image file once, store it, and return its record by name, with what was refused."""
    examine, now, alone = parts.examiner(line.intake.max_pixels), parts.clock(), Lock()

    def enter(name: str) -> ImageRecord | Refused:
        try:
            data = source.read(name)
        except SourceError as error:
            return Refused(name, QuarantineReason.MISSING_IMAGE, str(error))
        try:
            shown = "" if (name, QuarantineReason.WRONG_SUFFIX) in released else name
            with alone if is_large(data) else nullcontext():
                record = examine(data, now=now, name=shown)
        except ImageRefusedError as error:
            return Refused(name, error.reason, error.detail, parts.files.put(data))
        parts.files.put(data)
        return record

    records: dict[str, ImageRecord] = {}
    refused: list[Refused] = []
    unsaved: list[ImageRecord] = []
    for done, (name, result) in enumerate(zip(names, ahead(enter, names), strict=True), start=1):
        if isinstance(result, ImageRecord):
            records[name] = result
            unsaved.append(result)
        else:
            refused.append(result)
        if len(unsaved) == _BATCH or done == len(names):
            parts.facts.save_all(unsaved)
            unsaved.clear()
        progress("examining images", done, len(names))
    return records, refused


def is_large(data: bytes) -> bool:
    """Tell whether an image needs so much memory that several at once would need too much."""
    try:
        return read_header(data).pixels > _LARGE
    except ImageRefusedError:
        return False


def keep_fitting(
    samples: Iterable[RawSample],
    records: Mapping[str, ImageRecord],
    *,
    channels: Channels,
    released: Released = frozenset(),
) -> tuple[list[RawSample], list[Refused]]:
    """Leave out samples whose image or reference did not enter, or does not fit what goes with it."""
    kept, refused = [], []
    for item in samples:
        record = records.get(item.name)
        if record is None:
            continue  # refused itself, with its own reason
        problem = _misfit(item, record, records.get(item.reference or ""), channels=channels)
        if problem is None or (item.name, problem[0]) in released:
            kept.append(item)
        else:
            refused.append(Refused(item.name, *problem, record.id))
    return kept, refused


def _misfit(
    item: RawSample, record: ImageRecord, reference: ImageRecord | None, *, channels: Channels
) -> tuple[QuarantineReason, str] | None:
    size = (record.width, record.height)
    found = f"the image has {size[0]} x {size[1]}"
    if item.reference is None and channels is Channels.GOLDEN:
        return QuarantineReason.MISSING_IMAGE, "it has no golden reference for [models] channels 'golden'"
    if item.reference is not None and reference is None:
        return QuarantineReason.MISSING_IMAGE, f"its golden reference {item.reference} did not enter"
    if reference is not None and (reference.width, reference.height) != size:
        detail = f"its golden reference has {reference.width} x {reference.height} pixels, {found}"
        return QuarantineReason.REFERENCE_MISMATCH, detail
    if item.size is not None and item.size != size:
        detail = f"its labels were drawn on {item.size[0]} x {item.size[1]} pixels, {found}"
        return QuarantineReason.SIZE_MISMATCH, detail
    return None


def as_samples(
    kept: Sequence[RawSample], records: Mapping[str, ImageRecord], labels: Mapping[str, str]
) -> list[Sample]:
    """Join what a reader found with what the examination told, boxes under their defect classes."""
    return [
        Sample(
            dataset_id="",
            position=position,
            name=item.name,
            image=records[item.name].id,
            reference=records[item.reference].id if item.reference else None,
            width=records[item.name].width,
            height=records[item.name].height,
            boxes=tuple(LabelledBox(box.label, labels[box.label], box.box, box.polygon) for box in item.boxes),
            metadata=dict(item.metadata),
        )
        for position, item in enumerate(kept)
    ]


def _save_version(
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    kept: Sequence[RawSample],
    records: Mapping[str, ImageRecord],
    labels: Mapping[str, str],
    out: int,
) -> Outcome:
    samples = as_samples(kept, records, labels)
    # A signature changes what may be promoted, not what the images show; it is part of the version all the same,
    # because the gate must be able to tell the two apart.
    row_id = identify("data", line.name, samples, line.taxonomy, line.intake.licence, sorted(line.classes))
    instances, images = count_classes(samples, line.classes)
    version = DatasetVersion(
        id=row_id,
        line=line.name,
        number=0,
        source=source.title,
        format=format_name,
        images=len(samples),
        normal_images=sum(not sample.boxes for sample in samples),
        instances=instances,
        image_counts=images,
        quarantined=out,
        taxonomy_signed=line.taxonomy.signed,
        licence=line.intake.licence,
        created_at=parts.clock(),
    )
    new = parts.facts.save(version, (replace(sample, dataset_id=row_id) for sample in samples))
    return Outcome(row_id, not new)
