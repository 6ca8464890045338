"""The champion over new images, chunk by chunk: what it found on each, in the store."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections
from wafergate.domain.identity import identify
from wafergate.domain.inspection import (
    FoundBox,
    InspectedImage,
    InspectionRun,
    SeenBefore,
    capture_time,
    counted,
    run_that_saw,
)
from wafergate.domain.quarantine import Released
from wafergate.domain.samples import QuarantineReason, RawSample, Sample
from wafergate.domain.tiling import TilePolicy
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import SourceError
from wafergate.jobs.detect import MIN_SCORE, by_tiles, cuts_of
from wafergate.jobs.draw import queue_run
from wafergate.jobs.ingest import read_source
from wafergate.jobs.novelty import NoveltyTeller, novelty_of
from wafergate.jobs.parts import Parts, ahead, silent
from wafergate.jobs.promote import champion_model
from wafergate.jobs.quarantine import Refused, released_in, set_aside
from wafergate.jobs.seeing import Viewer, beside
from wafergate.jobs.serve import serving_detector
from wafergate.line import LineFile
from wafergate.ports import Detector, Progress, Source

__all__ = [
    "CHUNK",
    "ChunkDone",
    "Hands",
    "Inspected",
    "Inspector",
    "inspect_chunk",
    "inspect_lot",
    "open_inspector",
    "require_inspected",
]

CHUNK = 256
"""Images saved at a time: what a stopped run has to do again at most, and what is in memory of the results."""

_MAY_COME = {QuarantineReason.MISSING_IMAGE, QuarantineReason.LABEL_WITHOUT_IMAGE}
_BATCH = 8  # what a card takes at once; with the few that are looked at ahead, all pixels that are in memory
_NEAR = 0.5  # of a class's threshold: what scores less is far from being found


@dataclass(frozen=True, slots=True)
class Inspector:
    """A line's champion ready to work.

    Attributes:
        model: the champion.
        detector: its exported file, opened in the runtime that serves, by tiles where it was taught on tiles.
        least: score down to which it is asked; what lies near a threshold lies above.
        novelty: how new an image is to it.
        cuts: how an image is cut before the detector computes, the first cut first.
    """

    model: ModelVersion
    detector: Detector
    least: float
    novelty: NoveltyTeller
    cuts: tuple[TilePolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an inspection of a source made.

    Attributes:
        images: name and SHA-256 of the images that are inspected now, to the run that holds each: of this time or an
            earlier one.
        new: how many images were inspected now.
        aside: path and reason of what was set aside, to what is wrong with it.
        waiting: how many images wait for their row in the metadata table; only in a place that is followed.
    """

    images: Mapping[tuple[str, str], str]
    new: int
    aside: Mapping[tuple[str, QuarantineReason], str]
    waiting: int = 0

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that hold its images, those of earlier times too, in the order of the source."""
        return tuple(dict.fromkeys(self.images.values()))

    @property
    def names(self) -> frozenset[str]:
        """The images by their names alone."""
        return frozenset(name for name, _ in self.images)

    @property
    def refused(self) -> int:
        """How many images and labels were set aside."""
        return len(self.aside)

    @property
    def id(self) -> str:
        """The last run."""
        return self.runs[-1]

    @property
    def reused(self) -> bool:
        """Whether everything had been inspected before."""
        return not self.new


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """What one chunk made; `images` as in `Inspected`, none where nothing in it could be inspected."""

    images: Mapping[tuple[str, str], str]
    new: int
    refused: tuple[Refused, ...]


Hands = Callable[[str, Iterable[Sequence[RawSample]], bool, Released], Iterator[ChunkDone]]
"""Hands chunks to others: a model's id, chunks, `once` and what people released to what `inspect_chunk` says, in order.
"""


def inspect_lot(  # noqa: PLR0913 - each a choice of the caller, all but four with a default
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    limit: int = 0,
    chunk: int = CHUNK,
    only: Callable[[RawSample], bool] | None = None,
    growing: Collection[str] = frozenset(),
    once: bool = False,
    hands: Hands | None = None,
    progress: Progress = silent,
) -> Inspected:
    """Inspect a source with the line's champion at its frozen thresholds; the same images twice add nothing.

    An image is known by its path in the source and its bytes, and where channels are golden by those of its reference.
    Each chunk is saved as it is done, as a run of its own, so that a stopped inspection goes on where it ended. Labels,
    if the source has any, are not looked at. A champion that was taught on tiles inspects by the same tiles. Images
    that people should look at enter the review queue.

    Args:
        parts: the real parts.
        line: the line file.
        source: where images lie.
        format_name: a key of `READERS`.
        limit: take this many images, spread evenly; 0 takes all.
        chunk: images saved at a time.
        only: tells of an image whether it is taken; all where not given. It is given of a place that more comes into:
            what is named there and missing is not set aside, and that nothing can be inspected yet is no error.
        growing: files of such a place that are still being written: what is wrong with them may be so only for now.
        once: what an earlier champion has inspected is left as it is; else the champion looks at it anew.
        hands: work off the chunks elsewhere, with the same rows; without them all is done here.
        progress: told of every batch.

    Raises:
        PromotionError: the line has no champion.
        SourceError: the source holds no image that can be inspected, and `only` is not given.
        StorageError: the champion's exported file is not the one that was judged.
    """
    model = champion_model(parts, line.name)
    released = released_in(parts, line.name, source)
    listed, told = read_source(line, source, format_name, limit=limit, released=released)
    found = [item for item in listed if only is None or only(item)]
    refused = [item for item in told if only is None or (item.reason not in _MAY_COME and item.path not in growing)]
    set_aside(parts, line.name, source, refused)
    chunks = [found[start : start + chunk] for start in range(0, len(found), chunk)]
    images: dict[tuple[str, str], str] = {}
    new, taken = 0, 0
    for some, done in zip(
        chunks,
        hands(model.id, chunks, once, released)
        if hands
        else _worked_off(parts, line, source, model, chunks, once=once, released=released, progress=progress),
        strict=True,
    ):
        images |= done.images
        new += done.new
        refused += done.refused
        taken += len(some)
        if hands:  # they tell nothing themselves
            progress("inspecting images", taken, len(found))
    inspected = Inspected(images, new, {(item.path, item.reason): item.detail for item in refused})
    if only is None:
        require_inspected(inspected, line, source.title)
    return inspected


def require_inspected(done: Inspected, line: LineFile, title: str) -> None:
    """Raise SourceError where nothing of a source, named `title` for people, could be inspected."""
    if not done.images:
        first = next((f", the first is {path}: {detail}" for (path, _), detail in done.aside.items()), "")
        message = f"{title} holds no image that line {line.name!r} can inspect; {done.refused} were refused{first}"
        raise SourceError(message)


def _worked_off(
    parts: Parts,
    line: LineFile,
    source: Source,
    model: ModelVersion,
    chunks: Sequence[Sequence[RawSample]],
    *,
    once: bool,
    released: Released,
    progress: Progress,
) -> Iterator[ChunkDone]:
    inspector = open_inspector(parts, line, model, progress=progress)
    start, total = 0, sum(map(len, chunks))
    for chunk in chunks:
        told = _shifted(progress, start, total)
        yield inspect_chunk(parts, line, source, inspector, chunk, once=once, released=released, progress=told)
        start += len(chunk)


def open_inspector(parts: Parts, line: LineFile, model: ModelVersion, *, progress: Progress = silent) -> Inspector:
    """Open a champion's exported file, its digest checked, and what tells how new an image is to it.

    Raises:
        StorageError: the exported file is not the one that was judged.
    """
    cuts = cuts_of(parts, model)
    detector = by_tiles(serving_detector(parts, line, model, progress=progress), cuts)
    # What tiles say is joined from the weakest detection on, so it is asked for as it is when the model is judged.
    least = MIN_SCORE if cuts else _NEAR * min(model.thresholds.values())
    return Inspector(model, detector, least, novelty_of(parts, model, progress=progress), tuple(reversed(cuts)))


def inspect_chunk(
    parts: Parts,
    line: LineFile,
    source: Source,
    inspector: Inspector,
    chunk: Sequence[RawSample],
    *,
    once: bool = False,
    released: Released = frozenset(),
    progress: Progress = silent,
) -> ChunkDone:
    """Inspect some images of a source that were not inspected before by this champion, and save them as one run.

    Images are read, examined and decoded once. A few threads do so for a batch each and hand it to the model, so that
    it never waits: while it computes one batch, the next ones are decoded.

    Args:
        parts: the real parts.
        line: the line file.
        source: where the images lie.
        inspector: the opened champion.
        chunk: images as their reader listed them.
        once: what an earlier champion has inspected is left as it is.
        released: files that a person let in.
        progress: told how many of the chunk are done.
    """
    model = inspector.model
    asked = None if once else model.id
    known = parts.inspections.seen(line.name, asked, [item.name for item in chunk])
    viewer = Viewer(parts, line, source, channels=model.channels, cuts=inspector.cuts, known=known, released=released)
    samples: list[Sample] = []
    fresh: list[tuple[int, Detections]] = []
    batches = [chunk[start : start + _BATCH] for start in range(0, len(chunk), _BATCH)]
    taken = 0
    for looked, batch in zip(batches, ahead(partial(_look, viewer, inspector), batches), strict=True):
        for sample, said in batch:
            fresh += [] if said is None else [(len(samples), said)]
            samples.append(sample)
        taken += len(looked)
        progress("inspecting images", taken, len(chunk))
    refused = viewer.finish()
    if refused:
        set_aside(parts, line.name, source, refused)
    images = _runs_of(samples, known, inspector)
    whole = _run_id(inspector, line, samples)
    if whole in images.values():
        queue_run(parts, line, whole, _numbered(samples))  # had it been interrupted before
    new = 0
    if fresh:
        new = _save(parts, line, source, inspector, samples, fresh, len(refused))
        # Asked again, as another inspection at the same time may have saved some of them first.
        known = parts.inspections.seen(line.name, asked, [samples[place].name for place, _ in fresh])
        images |= _runs_of([samples[place] for place, _ in fresh], known, inspector)
    return ChunkDone(images, new, refused)


def _runs_of(samples: Sequence[Sample], known: SeenBefore, inspector: Inspector) -> dict[tuple[str, str], str]:
    """Return the run that holds each image, of those that are known."""
    found = ((item, run_that_saw(known, item.name, item.image, _beside(inspector, item))) for item in samples)
    return {(item.name, item.image): run for item, run in found if run is not None}


def _look(viewer: Viewer, inspector: Inspector, items: Sequence[RawSample]) -> list[tuple[Sample, Detections | None]]:
    """Return the images that may be inspected and what the champion says of each; None of one it has seen before."""
    found = [seen for item in items if (seen := viewer(item)) is not None]
    pixels = [seen.pixels for seen in found if seen.pixels is not None]
    said = iter(inspector.detector(pixels, min_score=inspector.least) if pixels else ())
    return [(seen.sample, None if seen.pixels is None else next(said)) for seen in found]


def _save(
    parts: Parts,
    line: LineFile,
    source: Source,
    inspector: Inspector,
    samples: Sequence[Sample],
    fresh: Sequence[tuple[int, Detections]],
    refused: int,
) -> int:
    """Save what is new as a run, and draw from it for the review; return how many images were."""
    model, now = inspector.model, parts.clock()
    taken = _numbered([samples[place] for place, _ in fresh])
    row_id = _run_id(inspector, line, taken)
    images = [
        _image(row_id, inspector, line, sample, said, now) for sample, (_, said) in zip(taken, fresh, strict=True)
    ]
    row = InspectionRun(
        id=row_id,
        line=line.name,
        model_id=model.id,
        source=source.title,
        images=0,
        defective=0,
        instances=dict.fromkeys(model.classes, 0),
        quarantined=refused,
        created_at=now,
    )
    saved = parts.inspections.save(counted(row, images), images)
    if saved:
        queue_run(parts, line, row_id, taken)
    return saved


def _run_id(inspector: Inspector, line: LineFile, samples: Sequence[Sample]) -> str:
    told = [tuple(filter(None, (item.name, item.image, _beside(inspector, item)))) for item in samples]
    return identify("inspection", line.name, inspector.model.id, told)


def _beside(inspector: Inspector, sample: Sample) -> str:
    return beside(inspector.model.channels, sample.reference)


def _numbered(samples: Sequence[Sample]) -> list[Sample]:
    return [replace(sample, position=place) for place, sample in enumerate(samples)]


def _image(
    run_id: str, inspector: Inspector, line: LineFile, sample: Sample, said: Detections, now: datetime
) -> InspectedImage:
    model, told = inspector.model, sample.metadata
    levels = np.array([model.thresholds[name] for name in model.classes])[said.classes]
    return InspectedImage(
        run_id=run_id,
        position=sample.position,
        line=line.name,
        model_id=model.id,
        name=sample.name,
        image=sample.image,
        reference=_beside(inspector, sample),
        captured_at=capture_time(told.get("captured_at", ""), now, line.schedule.zone),
        lot=told.get("lot", ""),
        wafer=told.get("wafer", ""),
        die=told.get("die", ""),
        station=told.get("station", ""),
        product=told.get("product", ""),
        novelty=inspector.novelty(said, image=sample.image),
        detections=_boxes(model, said, said.scores >= levels),
        weak=_boxes(model, said, (said.scores < levels) & (said.scores >= _NEAR * levels)),
    )


def _boxes(model: ModelVersion, said: Detections, kept: NDArray[np.bool_]) -> tuple[FoundBox, ...]:
    return tuple(
        (model.classes[index], float(score), float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        for box, score, index in zip(said.boxes[kept], said.scores[kept], said.classes[kept], strict=True)
    )


def _shifted(progress: Progress, start: int, total: int) -> Progress:
    """Tell the progress of a chunk as that of the whole source."""

    def tell(stage: str, done: int, _of: int) -> None:
        progress(stage, start + done, total)

    return tell
