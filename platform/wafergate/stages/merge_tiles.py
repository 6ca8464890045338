"""Inspect an image tile by tile, as the model was taught, and put what the tiles say back together."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections
from wafergate.domain.geometry import Box
from wafergate.domain.tiling import TilePolicy, tile_windows
from wafergate.ports import Detector

__all__ = ["in_tiles", "merge_tiles"]

_SAME = 0.5
_EDGE = 0.02
"""A box ends at an edge that is nearer than this share of the tile's side: what is cut is rarely drawn to the pixel."""


def in_tiles(detector: Detector, policy: TilePolicy) -> Detector:
    """Return a detector of whole images that shows the given one nothing but tiles.

    A model that learnt from tiles knows defects at the size they have there; on a whole image, scaled to the same
    input, it would look for them in vain.
    """

    def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        results = []
        for image in images:
            windows = [window for _, _, window in tile_windows(policy, image.shape[1], image.shape[0])]
            tiles = [np.ascontiguousarray(image[int(w.y1) : int(w.y2), int(w.x1) : int(w.x2)]) for w in windows]
            results.append(merge_tiles(windows, detector(tiles, min_score=min_score)))
        return results

    return detect


def merge_tiles(windows: Sequence[Box], found: Sequence[Detections]) -> Detections:
    """Return the detections of one image from those of its tiles, best score first.

    Where tiles overlap, a defect is seen twice, by two detections of its class from different tiles. A box that ends at
    an inner edge of its tile may be a part of one: where a larger box of another tile holds at least half of it, it is
    that part, and the larger box stays with the higher of the two scores. Boxes that no edge cut are the same defect
    where their intersection over union is at least a half, and the one with the higher score stays. Detections of one
    tile are never joined, the detector has told them apart. Tiles that only touch share nothing: a defect on the seam
    stays two detections. The embeddings stay one a tile.

    Args:
        windows: pixels of the image that each tile shows.
        found: detections of each tile, in its pixels.
    """
    shifts = [np.array([w.x1, w.y1, w.x1, w.y1], np.float32) for w in windows]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(d.boxes + s for d, s in zip(found, shifts, strict=True))])
    scores = np.concatenate([np.zeros(0, np.float32), *(item.scores for item in found)])
    classes = np.concatenate([np.zeros(0, np.int64), *(item.classes for item in found)])
    tile = np.repeat(np.arange(len(found)), [len(item) for item in found])
    area = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    cut = _cut_by_inner_edge(windows, boxes, tile)
    rival = _rivals(classes, tile)
    absorbed = np.zeros(len(boxes), bool)
    for index in np.argsort(area, kind="stable").tolist():  # smallest first: a part may be part of a part
        if not cut[index] or not area[index]:
            continue
        shared = _shared(boxes, boxes[index])
        whole = rival(index) & ~absorbed & (area > area[index]) & (shared >= _SAME * area[index])
        if whole.any():
            union = area + area[index] - shared
            nearest = int(np.where(whole, shared / union, -1.0).argmax())
            scores[nearest] = max(scores[nearest], scores[index])
            absorbed[index] = True
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if absorbed[index]:
            continue
        shared = _shared(boxes[kept], boxes[index])
        union = area[kept] + area[index] - shared
        if not (rival(index)[kept] & (shared >= _SAME * union) & (union > 0)).any():
            kept.append(index)
    order = np.array(kept, np.int64)
    seen = [item.embedding for item in found if item.embedding is not None]
    return Detections(boxes[order], scores[order], classes[order], np.concatenate(seen) if seen else None)


def _rivals(classes: NDArray[np.int64], tile: NDArray[np.int64]) -> Callable[[int], NDArray[np.bool_]]:
    """Return a function that tells which boxes another tile saw of the class of a box."""
    return lambda index: (classes == classes[index]) & (tile != tile[index])


def _cut_by_inner_edge(
    windows: Sequence[Box], boxes: NDArray[np.float32], tile: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which boxes end where their tile ends and the image goes on."""
    edges = np.array([window.as_tuple() for window in windows], np.float64).reshape(-1, 4)
    outer = np.concatenate([edges[:, :2].min(axis=0, initial=np.inf), edges[:, 2:].max(axis=0, initial=-np.inf)])
    near = _EDGE * np.tile(edges[:, 2:] - edges[:, :2], 2)
    return np.asarray(((np.abs(boxes - edges[tile]) <= near[tile]) & (edges != outer)[tile]).any(axis=1), bool)


def _shared(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the area that each box shares with one, square pixels."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    return np.asarray(np.prod(np.clip(sides, 0, None), axis=1), np.float32)
