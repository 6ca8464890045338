"""What the champion said of new images."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

__all__ = ["InspectedImage", "InspectionRun"]


@dataclass(frozen=True, slots=True)
class InspectedImage:
    """What the champion said of one image; detections as (class, score, x1, y1, x2, y2)."""

    run_id: str
    position: int
    name: str
    image: str
    lot: str
    detections: tuple[tuple[str, float, float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class InspectionRun:
    """One run of the champion over new images."""

    id: str
    line: str
    model_id: str
    source: str
    images: int
    defective: int
    instances: Mapping[str, int]
    quarantined: int
    created_at: datetime
