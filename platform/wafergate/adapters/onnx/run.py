"""Feed images to a model and read its raw output: the same way whether PyTorch or ONNX Runtime computes it."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.adapters.onnx.decode import INPUTS, decode
from wafergate.adapters.onnx.letterbox import letterbox
from wafergate.domain.evaluation import Detections
from wafergate.domain.training import Decoder

__all__ = ["DEFAULT_IOU", "Computed", "detect_batch"]

DEFAULT_IOU = 0.6
Computed = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Raw output `(n, …)`, and embeddings `(n, c)` where the model gives them."""
Forward = Callable[[NDArray[np.float32]], Computed]


def detect_batch(
    forward: Forward,
    images: Sequence[NDArray[np.uint8]],
    *,
    decoder: Decoder,
    image_size: int,
    min_score: float,
    iou: float = DEFAULT_IOU,
) -> list[Detections]:
    """Detect in images `(h, w, 3)` uint8 in one batch; one result each, in their pixels.

    Args:
        forward: computes the raw output, and embeddings if any, of `(n, 3, size, size)` float32.
        images: at least one, as `cv2.imread` gives them.
        decoder: how the raw output is laid out.
        image_size: side of the input, pixels.
        min_score: detections below are dropped.
        iou: overlap from which the weaker of two boxes of a class is dropped.
    """
    form = INPUTS[decoder]
    squares, placements = zip(*(letterbox(image, image_size, centred=form.centred) for image in images), strict=True)
    raw, embeddings = forward(cv2.dnn.blobFromImages(list(squares), form.scale, swapRB=form.reverse_channels))
    results = []
    for place, (item, placement) in enumerate(zip(raw, placements, strict=True)):
        detections = decode(decoder, item, min_score=min_score, iou=iou)
        boxes = placement.to_image(detections.boxes)
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # none lies wholly in the border
        seen = None if embeddings is None else embeddings[place : place + 1]
        results.append(Detections(boxes[inside], detections.scores[inside], detections.classes[inside], seen))
    return results
