"""A model to how long it takes to answer on this machine, as it would serve here."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.identity import identify
from wafergate.domain.latency import BATCHES, Latency, ServingFigures, summarise_times
from wafergate.domain.splits import Side
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.augment import samples_on
from wafergate.jobs.detect import MIN_SCORE, by_tiles, camera_images, cuts_of
from wafergate.jobs.parts import Outcome, Parts, ahead, composed, silent
from wafergate.jobs.serve import serving_detector, serving_runtime
from wafergate.line import LineFile
from wafergate.ports import Detector, Progress

__all__ = ["known_figures", "measure_latency", "time_detector"]

Pixels = NDArray[np.uint8]

_CALLS, _SECONDS, _WARM = 50, 5.0, 5
_IMAGES = 8


def time_detector(detector: Detector, images: Sequence[Pixels], *, least: float = 0.5) -> tuple[Latency, ...]:
    """Time single answers for one image and for two, as many as fit into a few seconds after some that warm up.

    Args:
        detector: the opened model.
        images: shown in turn, at least one.
        least: score down to which it is asked.
    """
    return tuple(_time(detector, images, batch, least) for batch in BATCHES)


def _time(detector: Detector, images: Sequence[Pixels], batch: int, least: float) -> Latency:
    times: list[float] = []
    begun = time.perf_counter()
    for call in range(_WARM + _CALLS):
        shown = [images[(call * batch + place) % len(images)] for place in range(batch)]
        before = time.perf_counter()
        detector(shown, min_score=least)
        if call >= _WARM:
            times.append(time.perf_counter() - before)
        if len(times) >= 3 and time.perf_counter() - begun > _SECONDS:
            break
    return summarise_times(batch, times)


def measure_latency(
    parts: Parts, line: LineFile, model_id: str, *, again: bool = False, progress: Progress = silent
) -> Outcome:
    """Time a trained model in the runtime that serves it here, on images of its own validation side, once.

    Args:
        parts: the real parts.
        line: the line file.
        model_id: the model.
        again: measure anew though it was measured on this machine: it was busy then.
        progress: told of what is measured.

    Raises:
        ConfigError: the runtime of `[hardware.serve]` is not installed.
        StorageError: the exported file was changed.
    """
    model = parts.facts.get(ModelVersion, model_id)
    serve = line.hardware.serve
    machine = parts.machine(serve.device, "openvino")
    runtime = serving_runtime(parts, line, model, progress=progress)
    now = parts.clock()
    threads = (serve.threads,) if serve.threads else ()
    row_id = identify("latency", model.id, machine, runtime, *threads, *((now,) if again else ()))
    if parts.facts.find(ServingFigures, id=row_id):
        return Outcome(row_id, reused=True)
    samples = samples_on(parts, model.split_id, Side.VALIDATION) or samples_on(parts, model.split_id, Side.TRAIN)
    shown = camera_images(parts, model, samples, most=_IMAGES)
    images = list(ahead(lambda sample: composed(parts, sample, model.channels), shown))
    progress("measuring latency", 0, len(BATCHES))
    detector = by_tiles(serving_detector(parts, line, model), cuts_of(parts, model))
    latency = time_detector(detector, images, least=MIN_SCORE)
    progress("measuring latency", len(BATCHES), len(BATCHES))
    row = ServingFigures(row_id, model.id, machine, runtime, latency, len(images), now)
    return Outcome(row_id, not parts.facts.save(row))


def known_figures(parts: Parts, line: LineFile, model_id: str, *, progress: Progress = silent) -> ServingFigures:
    """Return what was measured of a model last, on whichever machine; where nobody did, measure it here.

    So a line that trains on one machine and serves on another is judged by the latter, once `wafergate latency` was
    run there.
    """
    found = parts.facts.find(ServingFigures, model_id=model_id, limit=1)
    if found:
        return found[0]
    return parts.facts.get(ServingFigures, measure_latency(parts, line, model_id, progress=progress).id)
