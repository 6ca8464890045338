"""A model to how long it takes to answer on this machine, as it would serve here."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.identity import identify
from wafergate.domain.latency import BATCHES, P99_CALLS, Latency, ServingFigures, summarise_times
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

_SECONDS, _TAIL_SECONDS, _WARM = 5.0, 60.0, 5
_IMAGES = 8


def time_detector(
    detector: Detector, images: Sequence[Pixels], *, least: float = 0.5, tail: bool = False
) -> tuple[Latency, ...]:
    """Time single answers for one image and for two, as many as fit into a few seconds after some that warm up.

    Args:
        detector: the opened model.
        images: shown in turn, at least one.
        least: score down to which it is asked.
        tail: whether the slowest answers for one image are limited: up to a minute is then given to time enough.
    """
    return tuple(
        _time(detector, images, batch, least, seconds=_TAIL_SECONDS if tail and batch == 1 else _SECONDS)
        for batch in BATCHES
    )


def _time(detector: Detector, images: Sequence[Pixels], batch: int, least: float, *, seconds: float) -> Latency:
    def answer(call: int) -> float:
        shown = [images[(call * batch + place) % len(images)] for place in range(batch)]
        before = time.perf_counter()
        detector(shown, min_score=least)
        return time.perf_counter() - before

    warming = 0.0
    for call in range(_WARM):
        warming += answer(call)
        if warming > _SECONDS:
            break
    times: list[float] = []
    while len(times) < 3 or (len(times) < P99_CALLS and sum(times) <= seconds):
        times.append(answer(len(times)))
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
    tail = bool(serve.latency_p99_ms)
    asked = (*((serve.threads,) if serve.threads else ()), *(("tail",) if tail else ()))
    row_id = identify("latency", model.id, machine, runtime, *asked, *((now,) if again else ()))
    if parts.facts.find(ServingFigures, id=row_id):
        return Outcome(row_id, reused=True)
    samples = samples_on(parts, model.split_id, Side.VALIDATION) or samples_on(parts, model.split_id, Side.TRAIN)
    shown = camera_images(parts, model, samples, most=_IMAGES)
    images = list(ahead(lambda sample: composed(parts, sample, model.channels), shown))
    progress("measuring latency", 0, len(BATCHES))
    detector = by_tiles(serving_detector(parts, line, model), cuts_of(parts, model))
    latency = time_detector(detector, images, least=MIN_SCORE, tail=tail)
    progress("measuring latency", len(BATCHES), len(BATCHES))
    row = ServingFigures(row_id, model.id, machine, runtime, latency, len(images), now, serve.threads)
    return Outcome(row_id, not parts.facts.save(row))


def known_figures(parts: Parts, line: LineFile, model_id: str, *, progress: Progress = silent) -> ServingFigures:
    """Return what was measured last of a model as the line serves it, on whichever machine; else measure it here.

    So a line that trains on one machine and serves on another is judged by the latter, once `wafergate latency` was
    run there. What another runtime or other threads than `[hardware.serve]` names took says nothing, nor do too few
    answers of a 99th percentile that is limited.
    """
    serve = line.hardware.serve
    least = P99_CALLS if serve.latency_p99_ms else 0
    for row in parts.facts.find(ServingFigures, model_id=model_id):
        if row.speaks_for(serve) and row.latency[0].calls >= least:
            return row
    return parts.facts.get(ServingFigures, measure_latency(parts, line, model_id, progress=progress).id)
