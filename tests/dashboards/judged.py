"""Test images, labels and predictions behind the evaluations of the stories: as many found and missed as these say."""

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from wafergate.adapters.images import encode_png
from wafergate.adapters.memory import MemoryFiles
from wafergate.domain.evaluation import Detections
from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.domain.splits import Side, SplitMember
from wafergate.formats.predictions import write_predictions

__all__ = ["ALARMS", "DOCS", "IMAGES", "digest_of", "drawn", "members_of", "predictions_of", "samples_of"]

Found = Mapping[str, tuple[int, int]]
ALARMS = 2  # false alarms of every class
IMAGES = 8  # different pictures; the stories' images are these again and again
DOCS = b"<!doctype html><title>Data Docs</title>"
_BOX = Box(52, 52, 70, 70)


@cache
def drawn(seed: int) -> bytes:
    """Draw a grid of pads on a grey die."""
    pixels = np.full((160, 160, 3), 96 + 4 * seed, dtype=np.uint8)
    pixels[::20], pixels[:, ::20] = 140, 140
    for x in range(12, 160, 40):
        for y in range(12, 160, 40):
            pixels[y : y + 18, x : x + 18] = (170, 190, 205)
    return encode_png(pixels)


@cache
def digest_of(seed: int) -> str:
    """Return the SHA-256 of a picture."""
    return MemoryFiles(Path(tempfile.gettempdir())).put(drawn(seed))


def samples_of(dataset_id: str, found: Found) -> list[Sample]:
    """Return a test image for every instance, then one without defect for every false alarm."""
    labels = [(name, True) for name, (_, trials) in found.items() for _ in range(trials)]
    labels += [(name, False) for name in found for _ in range(ALARMS)]
    return [
        Sample(
            dataset_id=dataset_id,
            position=place,
            name=f"lot-7/W01_D{place:03d}.png",
            image=digest_of(place % IMAGES),
            reference=None,
            width=160,
            height=160,
            boxes=(LabelledBox(name, name, _BOX),) if defective else (),
            metadata={"lot": "lot-7"},
        )
        for place, (name, defective) in enumerate(labels)
    ]


def members_of(split_id: str, found: Found) -> list[SplitMember]:
    """Return the same images as members of the test side."""
    return [
        SplitMember(split_id, sample.position, sample.name, Side.TEST, "lot-7", sample.image)
        for sample in samples_of("", found)
    ]


def predictions_of(found: Found) -> bytes:
    """Return predictions that find the first instances of every class, miss the others and alarm on normal images."""
    names = list(found)
    said = []
    for name, (hits, trials) in found.items():
        said += [_detection(names.index(name))] * hits + [Detections.empty()] * (trials - hits)
    said += [_detection(names.index(name)) for name in found for _ in range(ALARMS)]
    return write_predictions([sample.name for sample in samples_of("", found)], said, names)


def _detection(index: int) -> Detections:
    box = np.array([_BOX.as_tuple()], dtype=np.float32)
    return Detections(box, np.array([0.8], np.float32), np.array([index], np.int64))
