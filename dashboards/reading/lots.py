"""What the page Lots shows: sums by day and lot, and the images of one lot or day; never all images of a line."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from wafergate.domain.inspection import ANY_CLASS, InspectedImage, InspectionDay, InspectionLot, InspectionRun
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
    """Images that a reader asked for, newest first.

    Attributes:
        images: at most `MOST_IMAGES`.
        defective: those with a defect among all that were asked for; one more than `MOST_IMAGES` where there are more.
        cut: whether there are more images than these.
    """

    images: tuple[InspectedImage, ...]
    defective: tuple[InspectedImage, ...]
    cut: bool


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


def load_images(
    inspections: InspectionStore, facts: FactStore, line: str, lot: str, day: date | None, station: str | None
) -> Seen:
    """Return the newest images of a lot, a day or both, each as the newest run saw it.

    Args:
        inspections: what was inspected.
        facts: its runs.
        line: the production line.
        lot: only this lot; empty for every one.
        day: only captured on this day (UTC); None for every one.
        station: only of this station, empty for images that name none; None for every one.
    """
    since = datetime.combine(day, time(), tzinfo=UTC) if day else None
    until = since + timedelta(days=1) if since else None
    ask = partial(inspections.images, line=line, lot=lot or None, station=station, since=since, until=until)
    found = ask(limit=MOST_IMAGES + 1)
    cut = len(found) > MOST_IMAGES
    images = found[:MOST_IMAGES]
    defective = (
        ask(defect_class=ANY_CLASS, limit=MOST_IMAGES + 1) if cut else [item for item in found if item.detections]
    )
    last = _seen_last(facts, [*images, *defective])
    return Seen(tuple(item for item in images if last(item)), tuple(item for item in defective if last(item)), cut)


def _seen_last(facts: FactStore, images: Sequence[InspectedImage]) -> Callable[[InspectedImage], bool]:
    """Return the test whether an image is of the newest run, among those given, that saw this file by this name."""
    runs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in images:
        runs[item.name, item.image].add(item.run_id)
    several = sorted({run for group in runs.values() if len(group) > 1 for run in group})
    age = {row.id: place for place, row in enumerate(facts.find(InspectionRun, id=several))} if several else {}
    newest = {key: min(group, key=lambda run: age.get(run, 0)) for key, group in runs.items()}
    return lambda item: newest[item.name, item.image] == item.run_id


def has_champion(facts: FactStore, line: str) -> bool:
    """Tell whether a champion judges the line."""
    return facts.champion(line) is not None


def load_models(facts: FactStore, ids: tuple[str, ...]) -> dict[str, ModelVersion]:
    """Return models by their ids; one that is not there is left out."""
    return {row.id: row for row in facts.find(ModelVersion, id=ids)} if ids else {}
