"""Run the trained checkpoint and its export on the same validation images."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.adapters.onnx.run import Computed, detect_batch
from wafergate.adapters.training_data import read_truth
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.models import Decoder
from wafergate.domain.parity import ExportParity, compare_exports
from wafergate.domain.training import TrainingJob

if TYPE_CHECKING:
    from torch import nn

__all__ = ["measure_parity"]

_IMAGES = 32  # some hundred detections: enough to see an operator that computes something else
_BATCH = 4
_MIN_SCORE = 0.01


def measure_parity(network: "nn.Module", onnx: Path, job: TrainingJob, *, decoder: Decoder) -> ExportParity:
    """Compare a network with its exported file on up to 32 images of validation, or of training where there are none.

    Args:
        network: the checkpoint as it was stored, on the CPU; gives the raw output that `decoder` reads, or it first.
        onnx: the exported file.
        job: says where images and labels lie.
        decoder: how the raw output is laid out.
    """
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    network = network.to("cpu").float().eval()

    def trained(fed: NDArray[np.float32]) -> Computed:
        with torch.inference_mode():
            raw = network(torch.from_numpy(fed))
        return np.asarray((raw[0] if isinstance(raw, (tuple, list)) else raw).numpy(), np.float32), None

    def exported(fed: NDArray[np.float32]) -> Computed:
        return np.asarray(session.run(None, {session.get_inputs()[0].name: fed})[0], np.float32), None

    said: tuple[list[Detections], list[Detections]] = ([], [])
    truth: list[Truth] = []
    files = _chosen(job.data)
    for start in range(0, len(files), _BATCH):
        part = files[start : start + _BATCH]
        images = [np.asarray(cv2.imread(str(file)), np.uint8) for file in part]
        truth += [read_truth(file, image) for file, image in zip(part, images, strict=True)]
        for forward, found in zip((trained, exported), said, strict=True):
            found.extend(
                detect_batch(forward, images, decoder=decoder, image_size=job.image_size, min_score=_MIN_SCORE)
            )
    return compare_exports(said[0], said[1], truth, job.classes)


def _chosen(data: Path) -> list[Path]:
    """Return image files spread evenly over the side, in the order of their names."""
    for side in ("val", "train"):
        files = sorted((data / "images" / side).iterdir())
        if files:
            places = np.unique(np.linspace(0, len(files) - 1, min(_IMAGES, len(files))).round().astype(int))
            return [files[place] for place in places.tolist()]
    return []
