"""Feed images to a model and read its raw output: the same way whether PyTorch or ONNX Runtime computes it."""

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numba import types
from numpy.typing import NDArray

from wafergate.adapters.onnx.decode import INPUTS, InputForm, decode
from wafergate.adapters.onnx.letterbox import PADDING, Placement, placed
from wafergate.domain.compiled import compiled
from wafergate.domain.evaluation import Detections
from wafergate.domain.models import Decoder

__all__ = ["DEFAULT_IOU", "SOON", "Computed", "Forward", "detect_batch"]

DEFAULT_IOU = 0.6
SOON = 2
"""How many images at most somebody waits for, and not a lot's (rule M14)."""
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
    fed = _room(len(images), image_size)
    placements = [_feed(image, target, form) for image, target in zip(images, fed, strict=True)]
    raw, embeddings = forward(fed)
    results = []
    for place, (item, placement) in enumerate(zip(raw, placements, strict=True)):
        detections = decode(decoder, item, min_score=min_score, iou=iou)
        boxes = placement.to_image(detections.boxes)
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # none lies wholly in the border
        seen = None if embeddings is None else embeddings[place : place + 1]
        results.append(Detections(boxes[inside], detections.scores[inside], detections.classes[inside], seen))
    return results


class _Last(threading.local):
    """What this thread wrote into last."""

    fed = np.empty((0, 3, 0, 0), np.float32)


_last = _Last()


def _room(images: int, size: int) -> NDArray[np.float32]:
    """Return `(images, 3, size, size)` to write into; for one or two images the same as before where it fits.

    Memory that a core still holds in its cache is read sooner: at 640 px by half a millisecond.
    """
    shape = (images, 3, size, size)
    if _last.fed.shape == shape:
        return _last.fed
    room = np.empty(shape, np.float32)
    if images <= SOON:
        _last.fed = room
    return room


def _feed(image: NDArray[np.uint8], target: NDArray[np.float32], form: InputForm) -> Placement:
    """Write an image into `(3, size, size)` as the model wants it; return where it lies.

    One channel shown three times, which its strides tell, is fitted and converted once.
    """
    grey = image.strides[2] == 0
    fitted, placement = placed(image[..., :1] if grey else image, target.shape[1], centred=form.centred)
    table, left, top = _table(form.scale), placement.left, placement.top
    if grey:
        _write(fitted.reshape(*fitted.shape[:2], 1), table, target[:1], left, top, (0, 0, 0))
        target[1:] = target[0]
    else:
        _write(fitted, table, target, left, top, (2, 1, 0) if form.reverse_channels else (0, 1, 2))
    return placement


@compiled(
    types.void(
        types.Array(types.uint8, 3, "A", readonly=True),
        types.Array(types.float32, 1, "C", readonly=True),
        types.Array(types.float32, 3, "C"),
        types.int64,
        types.int64,
        types.UniTuple(types.int64, 3),
    )
)
def _write(
    fitted: NDArray[np.uint8],
    table: NDArray[np.float32],
    target: NDArray[np.float32],
    left: int,
    top: int,
    channels: tuple[int, int, int],
) -> None:
    """Write what `table` makes of the pixels into planes, each from its channel, and the border round them."""
    bottom, right = top + fitted.shape[0], left + fitted.shape[1]
    for number, plane in enumerate(target):
        plane[:top] = plane[bottom:] = plane[top:bottom, :left] = plane[top:bottom, right:] = table[PADDING]
        channel = channels[number]
        for row in range(top, bottom):
            for column in range(left, right):
                plane[row, column] = table[fitted[row - top, column - left, channel]]


@lru_cache
def _table(scale: float) -> NDArray[np.float32]:
    """Return what each of the 256 levels becomes: looking it up is no slower than multiplying."""
    return (np.arange(256) * scale).astype(np.float32)
