"""Images of a source to what a model sees: read, examined and decoded once, each for itself."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import SeenBefore, run_that_saw
from wafergate.domain.models import Channels
from wafergate.domain.quarantine import Released
from wafergate.domain.samples import ImageRecord, QuarantineReason, RawSample, Sample
from wafergate.domain.tiling import TilePolicy, require_room
from wafergate.errors import ConfigError, SourceError
from wafergate.formats.header import ImageRefusedError, read_header
from wafergate.jobs.examine import is_large
from wafergate.jobs.ingest import as_samples, keep_fitting
from wafergate.jobs.parts import Parts
from wafergate.jobs.quarantine import Refused
from wafergate.line import LineFile
from wafergate.ports import Source
from wafergate.stages.compose import compose

__all__ = ["Seen", "Viewer", "beside", "too_small"]

Pixels = NDArray[np.uint8]
_REFERENCES = 8  # golden references in memory: many parts share one
_DIGESTS = 1024  # and of so many it is known which bytes they hold


def beside(channels: Channels, reference: str | None) -> str:
    """Return the SHA-256 of the golden reference that a model sees beside an image; empty where it sees none."""
    return reference or "" if channels is Channels.GOLDEN else ""


def too_small(sample: Sample, cuts: Sequence[TilePolicy]) -> Refused | None:
    """Return why an image has no room for the cuts of a model, the first cut first; None where it has."""
    try:
        require_room(cuts, sample.width, sample.height)
    except ConfigError as error:
        detail = f"{sample.width} x {sample.height}: {error}"
        return Refused(sample.name, QuarantineReason.TOO_SMALL, detail, sample.image)
    return None


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
        cuts: Sequence[TilePolicy] = (),
        known: SeenBefore,
        released: Released,
    ) -> None:
        """Remember what to show.

        Args:
            parts: the real parts.
            line: the line file.
            source: where the images lie.
            channels: what the model's three channels show.
            cuts: how an image is cut then; one that has no room for it is refused.
            known: images that need not be decoded again; where channels are golden, beside the same reference.
            released: files that a person let in.
        """
        self._parts, self._line, self._source = parts, line, source
        self._channels, self._cuts, self._known, self._released = channels, cuts, known, released
        self._examine, self._now = parts.examiner(line.intake.max_pixels), parts.clock()
        self._alone = Lock()
        self._records: dict[str, ImageRecord] = {}
        self._refused: dict[tuple[str, QuarantineReason], Refused] = {}
        self._reference = lru_cache(_REFERENCES)(self._enter)
        self._digest = lru_cache(_DIGESTS)(self._digest_of)

    def __call__(self, item: RawSample) -> Seen | None:
        """Return what is seen of an image; None where it is refused."""
        try:
            data = self._source.read(item.name)
        except SourceError as error:
            self._refuse(Refused(item.name, QuarantineReason.MISSING_IMAGE, str(error)))
            return None
        if (again := self._again(item, data)) is not None:
            return Seen(again, None)
        entered = self._enter(item.name, data)
        golden = self._reference(item.reference) if item.reference else None
        if entered is None:
            return None
        found = {item.name: entered[0]} | ({item.reference: golden[0]} if item.reference and golden else {})
        unlabelled = replace(item, boxes=(), size=None)
        kept = keep_fitting([unlabelled], found.get, self._refuse, channels=self._channels)
        sample = next(as_samples(kept, found.get, {}), None)
        if sample is None:
            return None
        if (small := too_small(sample, self._cuts)) is not None:
            self._refuse(small)
            return None
        return Seen(sample, compose(entered[1], golden[1] if golden else None, self._channels))

    def finish(self) -> tuple[Refused, ...]:
        """Store the records of what was seen; return what was refused, sorted by path."""
        self._parts.facts.save_all(self._records.values())
        return tuple(self._refused[key] for key in sorted(self._refused))

    def _again(self, item: RawSample, data: bytes) -> Sample | None:
        """Return an image that had been inspected before, beside the same reference; None of any other."""
        image = digest_bytes(data)
        if (item.name, image) not in self._known:
            return None
        reference = self._digest(item.reference) if item.reference else None
        if not run_that_saw(self._known, item.name, image, beside(self._channels, reference)):
            return None
        header = read_header(data)
        return Sample("", 0, item.name, image, reference, header.width, header.height, (), dict(item.metadata))

    def _digest_of(self, name: str) -> str | None:
        try:
            return digest_bytes(self._source.read(name))
        except SourceError:  # what was seen before was seen, whatever has become of its reference
            return None

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
