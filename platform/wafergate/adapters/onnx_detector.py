"""Run an exported model on images with ONNX Runtime: no training framework, and no licence of one, at inference."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wafergate.adapters.onnx.decode import output_columns
from wafergate.adapters.onnx.embedding import EMBEDDING, with_embedding
from wafergate.adapters.onnx.export import METADATA_PREFIX
from wafergate.adapters.onnx.run import DEFAULT_IOU, Computed, detect_batch
from wafergate.domain.evaluation import Detections
from wafergate.domain.training import Decoder, ModelVersion
from wafergate.errors import TrainingError

__all__ = ["OnnxDetector", "OnnxDetectorLoader"]

PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxDetector:
    """A detector on one exported file.

    Suppression is class-wise at an IoU of 0.6 unless told otherwise: neighbouring defects of a class overlap more than
    the 0.45 that LibreYOLO takes by default, and 0.7, Ultralytics' default, leaves double boxes that count as overkill.
    """

    def __init__(
        self,
        path: Path,
        *,
        decoder: Decoder,
        image_size: int,
        classes: int,
        threads: int = 0,
        batch: int = 8,
        iou: float = DEFAULT_IOU,
    ) -> None:
        """Open the file.

        Args:
            path: the exported model.
            decoder: how its output is laid out.
            image_size: side of its input, pixels.
            classes: number of defect classes.
            threads: CPU threads; 0 leaves it to ONNX Runtime.
            batch: images run at once, at most.
            iou: overlap from which the weaker of two boxes of a class is dropped.

        Raises:
            TrainingError: the file cannot be opened, or its input or output is not what was said.
        """
        self._decoder = decoder
        self._size, self._batch, self._iou = image_size, batch, iou
        self._session = _open(path, threads)
        _check(self._session, path.name, decoder=decoder, image_size=image_size, classes=classes)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Defect classes written into the file; None for a file made elsewhere."""
        written = self._session.get_modelmeta().custom_metadata_map.get(f"{METADATA_PREFIX}classes")
        return None if written is None else tuple(json.loads(written))

    def __call__(self, images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        """Detect in images `(h, w, 3)` uint8 as `cv2.imread` gives them; one result each, in their pixels.

        Args:
            images: of any sizes.
            min_score: detections below are dropped.

        Raises:
            ValueError: an image is not `(h, w, 3)` uint8.
        """
        found: list[Detections] = []
        for start in range(0, len(images), self._batch):
            found += self._run(images[start : start + self._batch], min_score)
        return found

    def _run(self, images: Sequence[NDArray[np.uint8]], min_score: float) -> list[Detections]:
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                message = f"a detector takes images (h, w, 3) of uint8, found {image.shape} of {image.dtype}"
                raise ValueError(message)
        return detect_batch(
            self._forward,
            images,
            decoder=self._decoder,
            image_size=self._size,
            min_score=min_score,
            iou=self._iou,
        )

    def _forward(self, fed: NDArray[np.float32]) -> Computed:
        raw, *seen = self._session.run(None, {self._session.get_inputs()[0].name: fed})
        return np.asarray(raw, np.float32), np.asarray(seen[0], np.float32) if seen else None


@dataclass(frozen=True, slots=True)
class OnnxDetectorLoader:
    """Opens the exported file of a model version.

    Attributes:
        threads: CPU threads; 0 leaves it to ONNX Runtime.
        batch: images run at once, at most.
    """

    threads: int = 0
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
            threads=self.threads,
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


def _open(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # a warning for each constant it folds is of no use to anybody
    providers = [name for name in PREFERRED if name in onnxruntime.get_available_providers()]
    try:
        file = path.read_bytes()
        return onnxruntime.InferenceSession(with_embedding(file) or file, options, providers=providers)
    except Exception as error:  # its errors share no base class but this one
        reason = str(error).splitlines()[0][:200]
        message = f"{path.name} must be an ONNX model, but ONNX Runtime cannot open it: {reason}"
        raise TrainingError(message) from error


def _check(session: Any, name: str, *, decoder: Decoder, image_size: int, classes: int) -> None:
    inputs = session.get_inputs()
    outputs = [output for output in session.get_outputs() if output.name != EMBEDDING]
    if len(inputs) != 1 or len(outputs) != 1:
        message = f"{name} must have one input and one output, found {len(inputs)} and {len(outputs)}"
        raise TrainingError(message)
    takes, gives = inputs[0].shape, outputs[0].shape
    if len(takes) != 4 or takes[1:] != [3, image_size, image_size] or isinstance(takes[0], int):
        message = f"{name} must take (batch, 3, {image_size}, {image_size}) with a free batch, found {takes}"
        raise TrainingError(message)
    axis, columns = output_columns(decoder, classes)
    if len(gives) != 3 or gives[axis] != columns:
        message = (
            f"{name} must give {columns} columns on axis {axis} for decoder {decoder} and {classes} classes, "
            f"found {gives}"
        )
        raise TrainingError(message)
