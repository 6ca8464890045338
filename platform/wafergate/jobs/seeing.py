"""Images of a source to what a model sees: read, examined and decoded once, each for itself."""

from collections.abc import Container
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.identity import digest_bytes
from wafergate.domain.models import Channels
from wafergate.domain.quarantine import Released
from wafergate.domain.samples import ImageRecord, QuarantineReason, RawSample, Sample
from wafergate.errors import SourceError
from wafergate.formats.header import ImageRefusedError, read_header
from wafergate.jobs.examine import is_large
from wafergate.jobs.ingest import as_samples, keep_fitting
from wafergate.jobs.parts import Parts
from wafergate.jobs.quarantine import Refused
from wafergate.line import LineFile
from wafergate.ports import Source
from wafergate.stages.compose import compose

__all__ = ["Seen", "Viewer"]

Pixels = NDArray[np.uint8]
_REFERENCES = 8  # golden references in memory: many parts share one


class Seen(NamedTuple):
    """An image that may be inspected, and what a model sees of it; nothing where it had been inspected before."""

    sample: Sample
    pixels: Pixels | None


class Viewer:
    """Shows the images of a chunk; safe to call from several threads, each image once."""

    def __init__(
        self,
        parts: Parts,
        line: LineFile,
        source: Source,
        *,
        channels: Channels,
        known: Container[tuple[str, str]],
        released: Released,
    ) -> None:
        """Remember what to show.

        Args:
            parts: the real parts.
            line: the line file.
            source: where the images lie.
            channels: what the model's three channels show.
            known: name and SHA-256 of images that need not be decoded again.
            released: files that a person let in.
        """
        self._parts, self._line, self._source = parts, line, source
        self._channels, self._known, self._released = channels, known, released
        self._examine, self._now = parts.examiner(line.intake.max_pixels), parts.clock()
        self._alone = Lock()
        self._records: dict[str, ImageRecord] = {}
        self._refused: dict[tuple[str, QuarantineReason], Refused] = {}
        self._reference = lru_cache(_REFERENCES)(self._enter)

    def __call__(self, item: RawSample) -> Seen | None:
        """Return what is seen of an image; None where it is refused."""
        try:
            data = self._source.read(item.name)
        except SourceError as error:
            self._refuse(Refused(item.name, QuarantineReason.MISSING_IMAGE, str(error)))
            return None
        if (item.name, digest_bytes(data)) in self._known:
            return Seen(self._again(item, data), None)
        entered = self._enter(item.name, data)
        reference = self._reference(item.reference) if item.reference else None
        if entered is None:
            return None
        found = {item.name: entered[0]} | ({item.reference: reference[0]} if item.reference and reference else {})
        unlabelled = replace(item, boxes=(), size=None)
        kept = keep_fitting([unlabelled], found.get, self._refuse, channels=self._channels)
        sample = next(as_samples(kept, found.get, {}), None)
        if sample is None:
            return None
        return Seen(sample, compose(entered[1], reference[1] if reference else None, self._channels))

    def finish(self) -> tuple[Refused, ...]:
        """Store the records of what was seen; return what was refused, sorted by path."""
        self._parts.facts.save_all(self._records.values())
        return tuple(self._refused[key] for key in sorted(self._refused))

    def _again(self, item: RawSample, data: bytes) -> Sample:
        header = read_header(data)
        reference = digest_bytes(self._source.read(item.reference)) if item.reference else None
        size = (header.width, header.height)
        return Sample("", 0, item.name, digest_bytes(data), reference, *size, (), dict(item.metadata))

    def _enter(self, name: str, data: bytes | None = None) -> tuple[ImageRecord, Pixels] | None:
        """Examine, decode and store one image file."""
        try:
            data = self._source.read(name) if data is None else data
        except SourceError as error:
            self._refuse(Refused(name, QuarantineReason.MISSING_IMAGE, str(error)))
            return None
        try:
            shown = "" if (name, QuarantineReason.WRONG_SUFFIX) in self._released else name
            with self._alone if is_large(data) else nullcontext():
                record, pixels = self._examine.look(data, now=self._now, name=shown)
        except ImageRefusedError as error:
            self._refuse(Refused(name, error.reason, error.detail, self._parts.files.put(data)))
            return None
        self._parts.files.put(data)
        self._records[record.id] = record
        return record, pixels

    def _refuse(self, item: Refused) -> None:
        self._refused[item.path, item.reason] = item
