"""What the champion said of new images in the stories of the pages, and the images themselves."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

from tests.dashboards.judged import DOCS, IMAGES, digest_of, drawn, predictions_of
from tests.dashboards.stories import BROKEN, CLASSES, HOSTILE, MORNING, PROVEN, TRICKED, open_story
from wafergate.adapters.memory import MemoryFacts, MemoryFiles, MemoryInspections
from wafergate.domain.inspection import FoundBox, InspectedImage, InspectionRun
from wafergate.errors import ServiceError
from wafergate.ports import FileReader, InspectionStore

__all__ = ["open_files", "open_inspections"]

NONE = {"empty", "undecided"}
STATIONS = ("AOI-1", "AOI-2")
LOTS, LOT_IMAGES = 12, 30


@cache
def open_files(story: str) -> FileReader:
    """Return the images of a story; those of the first lot are lost."""
    del story
    files = MemoryFiles(Path(tempfile.gettempdir()))
    for seed in range(IMAGES):
        files.put(drawn(seed))
    files.put(DOCS)
    for found in (PROVEN, BROKEN, TRICKED):
        files.put(predictions_of(found))
    return files


@cache
def open_inspections(story: str) -> InspectionStore:
    """Return what was inspected in a story."""
    if story == "stopped":
        message = "PostgreSQL does not answer at 127.0.0.1: connection refused; start it with `wafergate up`"
        raise ServiceError(message)
    store = MemoryInspections(MemoryFacts(clock=lambda: MORNING))
    champion = None if story in NONE else open_story(story).champion("die-a")
    if champion is None:
        return store
    random = np.random.default_rng(5)
    now = datetime.now(UTC).replace(hour=5, minute=30, second=0, microsecond=0)
    for place in range(LOTS):
        at = now - timedelta(days=place * 0.8)
        lot = HOSTILE if story == "hostile" and place == 0 else f"L{2140 - place}"
        images = [
            _image(champion.model_id, lot, at + timedelta(minutes=3 * item), item, random) for item in range(LOT_IMAGES)
        ]
        store.save(_run(champion.model_id, lot, images, at), images)
    return store


def _image(model_id: str, lot: str, at: datetime, place: int, random: np.random.Generator) -> InspectedImage:
    defects = int(random.choice([0, 1, 2], p=[0.86, 0.11, 0.03]))
    return InspectedImage(
        run_id=f"inspection-{lot}",
        position=place,
        line="die-a",
        model_id=model_id,
        name=f"{lot}/W{place // 10 + 1:02d}_D{place % 10:02d}.png",
        image=digest_of(place % IMAGES),
        captured_at=at,
        lot=lot,
        station=STATIONS[place % 2] if lot != HOSTILE else HOSTILE,
        product="die",
        detections=tuple(_box(random, HOSTILE if lot == HOSTILE else "") for _ in range(defects)),
    )


def _box(random: np.random.Generator, told: str) -> FoundBox:
    name = str(random.choice(CLASSES, p=[0.5, 0.25, 0.15, 0.1]))
    x, y = (float(value) for value in random.integers(8, 120, 2))
    return told or name, float(random.uniform(0.35, 0.99)), x, y, x + float(random.integers(8, 30)), y + 14.0


def _run(model_id: str, lot: str, images: Sequence[InspectedImage], at: datetime) -> InspectionRun:
    defective = sum(bool(image.detections) for image in images)
    return InspectionRun(f"inspection-{lot}", "die-a", model_id, lot, len(images), defective, {}, 0, at)
