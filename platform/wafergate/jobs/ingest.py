"""Raw images and labels to a dataset version; what cannot enter is quarantined with its reason."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from wafergate.domain.identity import identify
from wafergate.domain.models import Channels
from wafergate.domain.quarantine import Released
from wafergate.domain.samples import (
    ClassCount,
    DatasetVersion,
    ImageRecord,
    LabelledBox,
    QuarantineReason,
    RawSample,
    Sample,
)
from wafergate.errors import ConfigError, SourceError
from wafergate.formats import READERS, ReadOptions
from wafergate.formats.spooled import spooled
from wafergate.jobs.examine import RecordOf, examine_files
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.quarantine import Refused, released_in, set_aside
from wafergate.line import LineFile
from wafergate.ports import Progress, Source
from wafergate.spool import Spool

__all__ = ["as_samples", "files_of", "ingest", "keep_fitting", "read_source", "require_format"]

_LISTED = 5


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
    samples, refused = read_source(line, source, format_name, limit=limit, released=released)
    labels = line.taxonomy.resolve((box.label for item in samples for box in item.boxes), line.classes)
    found = examine_files(parts, line, source, files_of(samples), released=released, progress=progress)
    refused.extend(found.refused)
    channels = line.models.channels
    kept = spooled(keep_fitting(samples, found.record_of, refused.append, channels=channels, released=released))
    set_aside(parts, line.name, source, refused)
    if not kept:
        first = "; ".join(f"{item.path}: {item.detail}" for item in islice(refused, _LISTED))
        message = f"{source.title} holds no image that can enter line {line.name!r}; refused: {first or 'nothing'}"
        raise SourceError(message)

    def content() -> Iterator[Sample]:
        return as_samples(kept, found.record_of, labels)

    return _save_version(parts, line, source, format_name, content=content, out=len(refused))


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
) -> tuple[Collection[RawSample], Spool[Refused]]:
    """Read a source's labels with the line's options; return samples and what the reader refused, both on disk.

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
    refused = Spool(Refused(*problem) for problem in reading.problems)
    if 0 < limit < len(reading.samples):
        return spooled(_spread(reading.samples, limit)), refused
    return reading.samples, refused


def _spread(samples: Collection[RawSample], limit: int) -> Iterator[RawSample]:
    """Yield so many samples at even distances."""
    places = ((2 * place + 1) * len(samples) // (2 * limit) for place in range(limit))
    wanted = next(places, None)
    for place, item in enumerate(samples):
        if place == wanted:
            yield item
            wanted = next(places, None)


def files_of(samples: Iterable[RawSample]) -> Spool[str]:
    """Return the image files of samples, their golden references too, each once and sorted."""
    names: Spool[str] = Spool(key=str, ordered=True)
    for item in samples:
        for name in (item.name, item.reference):
            if name and name not in names:
                names.append(name)
    return names


def keep_fitting(
    samples: Iterable[RawSample],
    record_of: RecordOf,
    refuse: Callable[[Refused], object],
    *,
    channels: Channels,
    released: Released = frozenset(),
) -> Iterator[RawSample]:
    """Yield the samples whose image and reference entered and fit what goes with them; `refuse` is told of others."""
    for item in samples:
        record = record_of(item.name)
        if record is None:
            continue  # refused itself, with its own reason
        reference = record_of(item.reference) if item.reference else None
        problem = _misfit(item, record, reference, channels=channels)
        if problem is None or (item.name, problem[0]) in released:
            yield item
        else:
            refuse(Refused(item.name, *problem, record.id))


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


def as_samples(kept: Iterable[RawSample], record_of: RecordOf, labels: Mapping[str, str]) -> Iterator[Sample]:
    """Join what a reader found with what the examination told, boxes under their defect classes."""
    position = 0
    for item in kept:
        record = record_of(item.name)
        reference = record_of(item.reference) if item.reference else None
        if record is None:
            continue
        yield Sample(
            dataset_id="",
            position=position,
            name=item.name,
            image=record.id,
            reference=reference.id if reference else None,
            width=record.width,
            height=record.height,
            boxes=tuple(LabelledBox(box.label, labels[box.label], box.box, box.polygon) for box in item.boxes),
            metadata=dict(item.metadata),
        )
        position += 1


def _save_version(
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    content: Callable[[], Iterator[Sample]],
    out: int,
) -> Outcome:
    # A signature changes what may be promoted, not what the images show; it is part of the version all the same,
    # because the gate must be able to tell the two apart.
    counted = ClassCount(line.classes)
    row_id = identify(
        "data", line.name, map(counted.add, content()), line.taxonomy, line.intake.licence, sorted(line.classes)
    )
    version = DatasetVersion(
        id=row_id,
        line=line.name,
        number=0,
        source=source.title,
        format=format_name,
        images=counted.samples,
        normal_images=counted.normal,
        instances=counted.boxes,
        image_counts=counted.images,
        quarantined=out,
        taxonomy_signed=line.taxonomy.signed,
        licence=line.intake.licence,
        created_at=parts.clock(),
    )
    new = parts.facts.save(version, (replace(sample, dataset_id=row_id) for sample in content()))
    return Outcome(row_id, not new)
