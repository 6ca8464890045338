"""What every job works with, and what it says when it is done."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.models import Candidate, Channels
from wafergate.domain.samples import Sample
from wafergate.domain.serving import Runtime, ServeProfile
from wafergate.errors import ServiceError
from wafergate.ports import (
    Clock,
    DetectorLoader,
    Download,
    DriftMeter,
    FactStore,
    FileStore,
    ImageExaminer,
    InspectionStore,
    Progress,
    PublishedWeights,
    SuiteValidator,
    Trainer,
)
from wafergate.stages.compose import compose

__all__ = ["Outcome", "Parts", "ahead", "composed", "silent"]

Pixels = NDArray[np.uint8]
Item = TypeVar("Item")
Result = TypeVar("Result")

_WORKERS = 4


def _no_runtimes(_serve: ServeProfile) -> Mapping[Runtime, DetectorLoader]:
    return {}


def _no_network(url: str, target: Path, *, progress: Progress) -> None:  # noqa: ARG001 - fills a port
    message = f"{url} cannot be fetched: these parts have no network"
    raise ServiceError(message)


@dataclass(frozen=True, slots=True)
class Parts:
    """The real parts behind the ports, chosen by wiring.py.

    Attributes:
        facts: rows.
        files: blobs.
        inspections: what the champion said of every image.
        examiner: makes an examiner that refuses images with more pixels than given.
        decode: image file to `(h, w, 3)` uint8, BGR.
        encode: the same back to a PNG file.
        validate: the validation suite.
        trainers: trainer by backend.
        load_detector: opens an exported model as it is judged.
        meter: measures drift.
        catalogue: candidates by name.
        clock: now, with time zone.
        machine: names what a device and a backend run on, with versions.
        work: folder for what a job writes before it is stored.
        runtimes: opens an exported model where `[hardware.serve]` says, by the runtimes this machine has, the one that
            judges first.
        published: what is known of published weights, by backend.
        download: fetches a file from the network.
        devices: names what a training on a device computes on, one name each, the same in every process of the machine.
    """

    facts: FactStore
    files: FileStore
    inspections: InspectionStore
    examiner: Callable[[int], ImageExaminer]
    decode: Callable[[bytes], Pixels]
    encode: Callable[[Pixels], bytes]
    validate: SuiteValidator
    trainers: Mapping[str, Trainer]
    load_detector: DetectorLoader
    meter: DriftMeter
    catalogue: Mapping[str, Candidate]
    clock: Clock
    work: Path
    machine: Callable[[str, str], str] = lambda device, _backend: device
    runtimes: Callable[[ServeProfile], Mapping[Runtime, DetectorLoader]] = _no_runtimes
    published: Mapping[str, PublishedWeights] = field(default_factory=dict)
    download: Download = _no_network
    devices: Callable[[str], tuple[str, ...]] = lambda device: (device,)


class Outcome(NamedTuple):
    """The id of the row a job made, and whether it was there already."""

    id: str
    reused: bool


def silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody of the progress."""


def ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `work(item)` in order, computed by a few threads that never run far ahead of the reader."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        running: deque[Future[Result]] = deque()
        try:
            for item in items:
                running.append(pool.submit(work, item))
                if len(running) >= 4 * _WORKERS:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def composed(parts: Parts, sample: Sample, channels: Channels) -> Pixels:
    """Return what a model sees of a sample, `(h, w, 3)` uint8.

    Raises:
        SourceError: the channels need a golden reference and the sample has none.
    """
    image = parts.decode(parts.files.get(sample.image))
    reference = parts.decode(parts.files.get(sample.reference)) if sample.reference else None
    return compose(image, reference, channels)
