"""A model to the detector that inspects: the runtime is measured once for each machine."""

import time
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections
from wafergate.domain.identity import identify
from wafergate.domain.serving import Agreement, Runtime, RuntimeChoice, RuntimeFigures, compare_runtimes, fastest
from wafergate.domain.splits import Side
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import ConfigError, TrainingError
from wafergate.jobs.augment import samples_on
from wafergate.jobs.detect import by_tiles, camera_images, cuts_of
from wafergate.jobs.parts import Outcome, Parts, ahead, composed, silent
from wafergate.line import LineFile
from wafergate.ports import Detector, DetectorLoader, Progress

__all__ = ["choose_runtime", "require_runtime", "serving_detector", "serving_runtime"]

Pixels = NDArray[np.uint8]

_IMAGES = 32  # some hundred detections: enough to see an operator that computes something else
_TIMED, _ROUNDS = 16, 2


def serving_detector(parts: Parts, line: LineFile, model: ModelVersion, *, progress: Progress = silent) -> Detector:
    """Return a model's exported file, opened in the runtime that `[hardware.serve]` names, or the fastest that agrees.

    Raises:
        ConfigError: the runtime named is not installed.
        StorageError: the exported file was changed.
    """
    loaders, onnx = parts.runtimes(line.hardware.serve), parts.files.fetch(model.onnx)
    if not loaders:
        return parts.load_detector(model, onnx)
    return loaders[serving_runtime(parts, line, model, progress=progress)](model, onnx)


def serving_runtime(parts: Parts, line: LineFile, model: ModelVersion, *, progress: Progress = silent) -> Runtime:
    """Return what computes a model here: what `[hardware.serve]` names, or the fastest that agrees.

    Raises:
        ConfigError: the runtime named is not installed.
    """
    loaders, wanted = parts.runtimes(line.hardware.serve), line.hardware.serve.runtime
    if not loaders:
        return Runtime.ONNXRUNTIME
    if wanted is Runtime.AUTO and len(loaders) > 1:
        chosen = parts.facts.get(RuntimeChoice, choose_runtime(parts, line, model, progress=progress).id).chosen
    else:
        chosen = next(iter(loaders)) if wanted is Runtime.AUTO else wanted
    require_runtime(loaders, chosen)
    return chosen


def require_runtime(loaders: Collection[Runtime], named: Runtime) -> None:
    """Refuse a runtime that this machine does not have.

    Raises:
        ConfigError: it is not among those.
    """
    if named not in loaders:
        message = (
            f"[hardware.serve] runtime must be one this machine has: auto, {', '.join(loaders)}; found "
            f"{named.value!r} (OpenVINO comes with pip install 'wafergate[serve]')"
        )
        raise ConfigError(message)


def choose_runtime(parts: Parts, line: LineFile, model: ModelVersion, *, progress: Progress = silent) -> Outcome:
    """Measure what each runtime of this machine does with a model, once, and choose the fastest that agrees.

    ONNX Runtime is what the model was judged by. Another is only taken where it says the same at the frozen
    thresholds on the model's own validation images.

    Raises:
        TrainingError: ONNX Runtime cannot open the exported file.
    """
    machine = parts.machine(line.hardware.serve.device, "openvino")
    row_id = identify("runtime", model.id, machine)
    if parts.facts.find(RuntimeChoice, id=row_id):
        return Outcome(row_id, reused=True)
    samples = samples_on(parts, model.split_id, Side.VALIDATION) or samples_on(parts, model.split_id, Side.TRAIN)
    shown = camera_images(parts, model, samples, most=_IMAGES)
    images = list(ahead(lambda sample: composed(parts, sample, model.channels), shown))
    measured = _measure(parts, parts.runtimes(line.hardware.serve), model, images, progress)
    row = RuntimeChoice(row_id, model.id, machine, len(images), measured, fastest(measured), parts.clock())
    return Outcome(row_id, not parts.facts.save(row))


def _measure(
    parts: Parts,
    loaders: Mapping[Runtime, DetectorLoader],
    model: ModelVersion,
    images: Sequence[Pixels],
    progress: Progress,
) -> tuple[RuntimeFigures, ...]:
    thresholds = [model.thresholds[name] for name in model.classes]
    least = min(thresholds) / 2
    judged: list[Detections] | None = None
    opened: dict[Runtime, Detector] = {}
    figures: dict[Runtime, RuntimeFigures] = {}
    for runtime, load in loaders.items():
        try:
            opened[runtime] = by_tiles(load(model, parts.files.fetch(model.onnx)), cuts_of(parts, model))
            said = opened[runtime](images, min_score=least)
        except TrainingError as error:
            if judged is None:
                raise  # what judged the model must run
            figures[runtime] = RuntimeFigures(runtime, 0.0, Agreement(0, 0, 0.0), str(error))
            continue
        judged = said if judged is None else judged
        figures[runtime] = RuntimeFigures(runtime, 0.0, compare_runtimes(judged, said, thresholds))
    best = dict.fromkeys(opened, np.inf)
    for done in range(_ROUNDS):  # in turns, so that whatever else runs on the machine meets all of them
        for runtime, detector in opened.items():
            begun = time.perf_counter()
            detector(images[:_TIMED], min_score=least)
            best[runtime] = min(best[runtime], time.perf_counter() - begun)
        progress("measuring runtimes", done + 1, _ROUNDS)
    rates = {runtime: len(images[:_TIMED]) / seconds for runtime, seconds in best.items()}
    return tuple(
        RuntimeFigures(item.runtime, float(rates.get(item.runtime, 0.0)), item.agreement, item.refused)
        for item in figures.values()
    )
