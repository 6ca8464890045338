"""What the page Lots shows: sums by day and lot, and the images of one lot or day; never all images of a line."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from wafergate.domain.inspection import ANY_CLASS, InspectedImage, InspectionDay, InspectionLot
from wafergate.domain.training_rows import ModelVersion
from wafergate.ports import FactStore, InspectionStore

__all__ = [
    "MOST_DAYS",
    "MOST_IMAGES",
    "MOST_LOTS",
    "Seen",
    "has_champion",
    "load_days",
    "load_images",
    "load_lots",
    "load_models",
]

MOST_DAYS = 30
MOST_LOTS = 100
MOST_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """Images that a reader asked for, newest first, each once.

    Attributes:
        images: at most `MOST_IMAGES`.
        defective: those with a defect among all that were asked for, at most `MOST_IMAGES`.
        cut: whether there are more images than these.
        defective_cut: whether there are more images with a defect than these.
    """

    images: tuple[InspectedImage, ...]
    defective: tuple[InspectedImage, ...]
    cut: bool
    defective_cut: bool


def load_days(inspections: InspectionStore, line: str, today: date) -> tuple[InspectionDay, ...]:
    """Return the sums of the newest days with inspections, oldest first.

    Looks back a season: a line whose images are older is asked for by lot.
    """
    found = inspections.days(line, since=today - timedelta(days=92))
    newest = sorted({row.day for row in found}, reverse=True)[:MOST_DAYS]
    return tuple(sorted((row for row in found if row.day in newest), key=lambda row: (row.day, row.station)))


def load_lots(inspections: InspectionStore, line: str) -> tuple[InspectionLot, ...]:
    """Return the sums of the newest lots, newest first."""
    return tuple(inspections.lots(line, limit=MOST_LOTS))


def load_images(inspections: InspectionStore, line: str, lot: str, day: date | None, station: str | None) -> Seen:
    """Return the newest images of a lot, a day or both, each as the newest run saw it.

    Args:
        inspections: what was inspected.
        line: the production line.
        lot: only this lot; empty for every one.
        day: only captured on this day (UTC); None for every one.
        station: only of this station, empty for images that name none; None for every one.
    """
    since = datetime.combine(day, time(), tzinfo=UTC) if day else None
    until = since + timedelta(days=1) if since else None
    ask = partial(inspections.seen_last, line=line, lot=lot or None, station=station, since=since, until=until)
    found = ask(limit=MOST_IMAGES + 1)
    cut = len(found) > MOST_IMAGES
    images = tuple(found[:MOST_IMAGES])
    if not cut:
        return Seen(images, tuple(item for item in images if item.detections), cut=False, defective_cut=False)
    defective = ask(defect_class=ANY_CLASS, limit=MOST_IMAGES + 1)
    return Seen(images, tuple(defective[:MOST_IMAGES]), cut=True, defective_cut=len(defective) > MOST_IMAGES)


def has_champion(facts: FactStore, line: str) -> bool:
    """Tell whether a champion judges the line."""
    return facts.champion(line) is not None


def load_models(facts: FactStore, ids: tuple[str, ...]) -> dict[str, ModelVersion]:
    """Return models by their ids; one that is not there is left out."""
    return {row.id: row for row in facts.find(ModelVersion, id=ids)} if ids else {}
