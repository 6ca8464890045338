"""Inspect an image tile by tile, as the model was taught, and put what the tiles say back together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections
from wafergate.domain.geometry import Box
from wafergate.domain.tiling import TilePolicy, tile_windows
from wafergate.ports import Detector

__all__ = ["in_tiles", "merge_tiles"]

_SAME = 0.5


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

    Where tiles overlap, a defect is seen twice: two detections of a class from different tiles are one where they
    share at least half of the smaller. The larger box stays, because the other may be the part that a tile's edge
    left, and it takes the higher score. Detections of one tile are never joined, the detector has told them apart.
    Tiles that only touch share nothing: a defect on the seam stays two detections. The embeddings stay one a tile.

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
    kept: list[int] = []
    best = scores.copy()
    for index in np.argsort(-area, kind="stable").tolist():
        same = [
            other
            for other in kept
            if classes[other] == classes[index]
            and tile[other] != tile[index]
            and _shared(boxes[other], boxes[index]) >= _SAME * area[index] > 0
        ]
        if same:
            nearest = max(same, key=lambda other: (_shared(boxes[other], boxes[index]), -other))
            best[nearest] = max(best[nearest], scores[index])
        else:
            kept.append(index)
    order = np.array(sorted(kept, key=lambda index: (-best[index], index)), np.int64)
    seen = [item.embedding for item in found if item.embedding is not None]
    return Detections(boxes[order], best[order], classes[order], np.concatenate(seen) if seen else None)


def _shared(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the area two boxes share, square pixels."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    return float(np.prod(np.clip(sides, 0, None)))
