"""Run an exported model on images: no training framework, and no licence of one, at inference."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from wafergate.adapters.onnx.decode import output_columns
from wafergate.adapters.onnx.embedding import EMBEDDING, with_embedding
from wafergate.adapters.onnx.export import METADATA_PREFIX
from wafergate.adapters.onnx.run import SOON, Computed, Forward, detect_batch
from wafergate.adapters.onnx.runtimes import OpenModel, installed_runtimes, open_model
from wafergate.domain.evaluation import Detections
from wafergate.domain.models import Decoder
from wafergate.domain.serving import Runtime, ServeProfile
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import TrainingError

__all__ = ["OnnxDetector", "OnnxDetectorLoader", "serving_loaders"]


class OnnxDetector:
    """A detector on one exported file.

    Suppression is class-wise at an IoU of 0.6: neighbouring defects of a class overlap more than
    the 0.45 that LibreYOLO takes by default, and 0.7, Ultralytics' default, leaves double boxes that count as overkill.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each thing that is set once, when a model is opened
        self,
        path: Path,
        *,
        decoder: Decoder,
        image_size: int,
        classes: int,
        runtime: Runtime = Runtime.ONNXRUNTIME,
        device: str = "auto",
        threads: int = 0,
        side_by_side: bool = False,
        batch: int = 8,
    ) -> None:
        """Open the file.

        Args:
            path: the exported model.
            decoder: how its output is laid out.
            image_size: side of its input, pixels.
            classes: number of defect classes.
            runtime: what computes it.
            device: where; see `wafergate.domain.devices`.
            threads: CPU threads; 0 leaves it to the runtime.
            side_by_side: whether a processor computes several images at a time, each by one thread from its pixels
                to its boxes; one or two, where there are more threads than that, are still answered soonest by all
                threads and get them.
            batch: images run at once, at most, where they are not.

        Raises:
            TrainingError: the file cannot be opened, or its input or output is not what was said.
            ConfigError: the runtime is not installed.
            HardwareError: the device asked for is not there.
        """
        self._decoder = decoder
        self._size, self._batch = image_size, batch
        try:
            file = path.read_bytes()
        except OSError as error:
            message = f"{path.name} must be an ONNX model, but it cannot be read ({error.strerror})"
            raise TrainingError(message) from error
        model = with_embedding(file) or file
        opened = partial(open_model, model, name=path.name, runtime=runtime, device=device, threads=threads)
        self._model = opened(side_by_side=side_by_side)
        self._lanes = self._model.lanes
        self._pool = ThreadPoolExecutor(self._lanes) if self._lanes else None
        self._alone = Lock()
        self._whole: Callable[[], OpenModel] = cache(opened) if self._lanes else (lambda: self._model)
        _check(self._model, path.name, decoder=decoder, image_size=image_size, classes=classes)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Defect classes written into the file; None for a file made elsewhere."""
        written = self._model.metadata.get(f"{METADATA_PREFIX}classes")
        return None if written is None else tuple(json.loads(written))

    def __call__(self, images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        """Detect in images `(h, w, 3)` uint8 as `cv2.imread` gives them; one result each, in their pixels.

        Safe to call from several threads: what they ask is computed in turn or side by side.

        Args:
            images: of any sizes.
            min_score: detections below are dropped.

        Raises:
            ValueError: an image is not `(h, w, 3)` uint8.
        """
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                message = f"a detector takes images (h, w, 3) of uint8, found {image.shape} of {image.dtype}"
                raise ValueError(message)
        if self._pool is not None and len(images) >= min(self._lanes, SOON + 1):
            each = self._pool.map(lambda image: self._run(self._one, [image], min_score), images)
            return [said for (said,) in each]
        batch = 1 if self._lanes else self._batch
        parts = (images[start : start + batch] for start in range(0, len(images), batch))
        return [said for part in parts for said in self._run(self._all, part, min_score)]

    def _run(self, forward: Forward, images: Sequence[NDArray[np.uint8]], min_score: float) -> list[Detections]:
        return detect_batch(
            forward,
            images,
            decoder=self._decoder,
            image_size=self._size,
            min_score=min_score,
        )

    def _one(self, fed: NDArray[np.float32]) -> Computed:
        return _computed(self._model.run(fed))

    def _all(self, fed: NDArray[np.float32]) -> Computed:
        with self._alone:  # it takes all threads, or the card
            return _computed(self._whole().run(fed))


@dataclass(frozen=True, slots=True)
class OnnxDetectorLoader:
    """Opens the exported file of a model version.

    Attributes:
        runtime: what computes it.
        device: where; see `wafergate.domain.devices`.
        threads: CPU threads; 0 leaves it to the runtime.
        side_by_side: whether a processor computes several images at a time, each by one thread.
        batch: images run at once, at most, where they are not.
    """

    runtime: Runtime = Runtime.ONNXRUNTIME
    device: str = "auto"
    threads: int = 0
    side_by_side: bool = False
    batch: int = 8

    def __call__(self, model: ModelVersion, onnx: Path) -> OnnxDetector:
        """Return the detector.

        Raises:
            TrainingError: the file is not a model this loader can run, or not this model's.
        """
        detector = OnnxDetector(
            onnx,
            decoder=model.decoder,
            image_size=model.image_size,
            classes=len(model.classes),
            runtime=self.runtime,
            device=self.device,
            threads=self.threads,
            side_by_side=self.side_by_side,
            batch=self.batch,
        )
        written = detector.classes
        if written is not None and written != model.classes:
            message = (
                f"model {model.id[:12]} detects {', '.join(model.classes)}, its file says {', '.join(written)}; "
                "fetch the file that belongs to the model"
            )
            raise TrainingError(message)
        return detector


def serving_loaders(serve: ServeProfile, *, most: int = 0) -> dict[Runtime, OnnxDetectorLoader]:
    """Return a loader for each runtime of this machine, with an image side by side for each thread or else core.

    Args:
        serve: where they compute, and on how many threads.
        most: no more threads than this, for others share the machine; 0 for no limit.
    """
    threads = min(filter(None, (serve.threads, most)), default=0)
    return {
        runtime: OnnxDetectorLoader(runtime=runtime, device=serve.device, threads=threads, side_by_side=True)
        for runtime in installed_runtimes(serve.device)
    }


def _computed(outputs: Sequence[NDArray[np.float32]]) -> Computed:
    raw, *seen = outputs
    return raw, seen[0] if seen else None


def _check(model: OpenModel, name: str, *, decoder: Decoder, image_size: int, classes: int) -> None:
    given = [shape for output, shape in model.gives.items() if output != EMBEDDING]
    if len(model.takes) != 1 or len(given) != 1:
        message = f"{name} must have one input and one output, found {len(model.takes)} and {len(given)}"
        raise TrainingError(message)
    takes, gives = list(model.takes[0]), list(given[0])
    if len(takes) != 4 or takes[1:] != [3, image_size, image_size] or (isinstance(takes[0], int) and takes[0] > 0):
        message = f"{name} must take (batch, 3, {image_size}, {image_size}) with a free batch, found {takes}"
        raise TrainingError(message)
    axis, columns = output_columns(decoder, classes)
    if len(gives) != 3 or gives[axis] != columns:
        message = (
            f"{name} must give {columns} columns on axis {axis} for decoder {decoder} and {classes} classes, "
            f"found {gives}"
        )
        raise TrainingError(message)
