"""What the page Lots shows: sums by day and lot, and the images of one lot or day; never all images of a line."""

from datetime import UTC, date, datetime, time, timedelta

from wafergate.domain.inspection import InspectedImage, InspectionDay, InspectionLot
from wafergate.domain.training_rows import ModelVersion
from wafergate.ports import FactStore, InspectionStore

__all__ = [
    "MOST_DAYS",
    "MOST_IMAGES",
    "MOST_LOTS",
    "has_champion",
    "load_day",
    "load_days",
    "load_lot",
    "load_lots",
    "load_models",
]

MOST_DAYS = 30
MOST_LOTS = 100
MOST_IMAGES = 1000


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


def load_lot(inspections: InspectionStore, line: str, lot: str) -> tuple[InspectedImage, ...]:
    """Return the newest images of a lot."""
    return tuple(inspections.images(line=line, lot=lot, limit=MOST_IMAGES))


def load_day(inspections: InspectionStore, line: str, day: date) -> tuple[InspectedImage, ...]:
    """Return the newest images of a day (UTC)."""
    since = datetime.combine(day, time(), tzinfo=UTC)
    return tuple(inspections.images(line=line, since=since, until=since + timedelta(days=1), limit=MOST_IMAGES))


def has_champion(facts: FactStore, line: str) -> bool:
    """Tell whether a champion judges the line."""
    return facts.champion(line) is not None


def load_models(facts: FactStore, ids: tuple[str, ...]) -> dict[str, ModelVersion]:
    """Return models by their ids; one that is not there is left out."""
    return {row.id: row for row in facts.find(ModelVersion, id=ids)} if ids else {}
