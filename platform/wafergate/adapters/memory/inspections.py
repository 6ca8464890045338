"""Inspections in memory, for unit tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter, itemgetter

from wafergate.adapters.memory.facts import MemoryFacts
from wafergate.domain.inspection import (
    ANY_CLASS,
    InspectedImage,
    InspectionDay,
    InspectionLot,
    InspectionMonth,
    InspectionRun,
    LotRun,
    SeenBefore,
    add_up_lots,
    counted,
    join_days,
    month_of,
    roll_days,
    roll_lots,
    unseen,
)
from wafergate.ports import LedgerDraft

__all__ = ["MemoryInspections"]


class MemoryInspections:
    """`InspectionStore` in lists; the runs are rows of the fact store."""

    def __init__(self, facts: MemoryFacts) -> None:
        self._facts = facts
        self._images: list[InspectedImage] = []
        self._days: dict[tuple[object, ...], InspectionDay] = {}
        self._lots: list[tuple[str, InspectionLot]] = []
        self._dropped: set[tuple[str, date]] = set()
        self._before: list[InspectedImage] = []

    def save(self, run: InspectionRun, images: Iterable[InspectedImage]) -> int:
        """See `InspectionStore.save`."""
        images = list(images)
        new = unseen(images, self.seen(run.line, run.model_id, [image.name for image in images]))
        if images and not new:
            return 0
        if not self._facts.save(run if len(new) == len(images) else counted(run, new)):
            self._before += new
            return 0
        self._images += new
        self._add_up(run, new)
        return len(new)

    def _add_up(self, run: InspectionRun, images: Sequence[InspectedImage]) -> None:
        for day in roll_days(images):
            key = (day.line, day.day, day.model_id, day.station, day.product)
            self._days[key] = join_days(self._days[key], day) if key in self._days else day
        self._lots += [(run.id, lot) for lot in roll_lots(images)]

    def seen(self, line: str, model_id: str | None, names: Sequence[str]) -> SeenBefore:
        """See `InspectionStore.seen`."""
        wanted = set(names)
        found: dict[tuple[str, str], dict[str, str]] = {}
        for image in (*self._before, *reversed(self.images(line=line))):
            if image.line == line and model_id in {None, image.model_id} and image.name in wanted:
                found.setdefault((image.name, image.image), {})[image.reference] = image.run_id
        return found

    def images(
        self,
        *,
        line: str,
        run_id: str | None = None,
        lot: str | None = None,
        station: str | None = None,
        defect_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[InspectedImage]:
        """See `InspectionStore.images`."""
        found = [
            image
            for image in self._images
            if image.line == line
            and run_id in {None, image.run_id}
            and lot in {None, image.lot}
            and station in {None, image.station}
            and (defect_class is None or _shows(image, defect_class))
            and (since is None or image.captured_at >= since)
            and (until is None or image.captured_at < until)
        ]
        found.sort(key=attrgetter("run_id", "position"))
        return sorted(found, key=attrgetter("captured_at"), reverse=True)[:limit]

    def seen_last(
        self,
        *,
        line: str,
        lot: str | None = None,
        station: str | None = None,
        defect_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[InspectedImage]:
        """See `InspectionStore.seen_last`."""
        found = self.images(line=line, lot=lot, station=station, since=since, until=until)
        age = {run.id: place for place, run in enumerate(self.runs(line))}
        last: dict[tuple[str, str], InspectedImage] = {}
        for image in sorted(found, key=lambda image: age[image.run_id]):
            last.setdefault((image.name, image.image), image)
        return [
            image
            for image in found
            if last[image.name, image.image] is image and (defect_class is None or _shows(image, defect_class))
        ][:limit]

    def doubtful(
        self, *, line: str, thresholds: Mapping[str, float], since: datetime, limit: int
    ) -> list[InspectedImage]:
        """See `InspectionStore.doubtful`."""
        gaps = {
            (min(gaps), image.run_id, image.position): image
            for image in self.images(line=line, since=since)
            if (gaps := [abs(s - thresholds[n]) for n, s, *_ in image.detections + image.weak if n in thresholds])
        }
        return [gaps[key] for key in sorted(gaps)[:limit]]

    def novel(self, *, line: str, since: datetime, limit: int) -> list[InspectedImage]:
        """See `InspectionStore.novel`."""
        measured = [
            (-image.novelty, image.run_id, image.position, image)
            for image in self.images(line=line, since=since)
            if image.novelty is not None
        ]
        return [image for *_, image in sorted(measured, key=itemgetter(0, 1, 2))[:limit]]

    def runs(self, line: str, limit: int | None = None) -> list[InspectionRun]:
        """See `InspectionStore.runs`."""
        return self._facts.find(InspectionRun, line=line, limit=limit)

    def days(self, line: str, since: date | None = None, until: date | None = None) -> list[InspectionDay]:
        """See `InspectionStore.days`."""
        found = [
            day
            for day in self._days.values()
            if day.line == line and (since is None or day.day >= since) and (until is None or day.day < until)
        ]
        found.sort(key=attrgetter("model_id", "station", "product"))
        return sorted(found, key=attrgetter("day"), reverse=True)

    def lots(
        self, line: str, limit: int | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[InspectionLot]:
        """See `InspectionStore.lots`."""
        return [
            lot
            for lot in add_up_lots(lot for _, lot in self._lots if lot.line == line)
            if (since is None or lot.last_at >= since) and (until is None or lot.first_at < until)
        ][:limit]

    def lot_runs(self, line: str, lot: str) -> list[LotRun]:
        """See `InspectionStore.lot_runs`."""
        sums = {run_id: item for run_id, item in self._lots if (item.line, item.lot) == (line, lot)}
        runs = self._facts.find(InspectionRun, id=list(sums))
        return [LotRun(run, sums[run.id].images, sums[run.id].defective) for run in runs]

    def months(self, line: str, *, before: date | None = None) -> list[InspectionMonth]:
        """See `InspectionStore.months`."""
        groups: dict[date, list[InspectedImage]] = {}
        for image in self.images(line=line):
            groups.setdefault(month_of(image.captured_at), []).append(image)
        return [
            InspectionMonth(line, month, len(group), sum(len(image.detections + image.weak) for image in group))
            for month, group in sorted(groups.items())
            if before is None or month < before
        ]

    def reroll(self, line: str) -> dict[date, int]:
        """See `InspectionStore.reroll`; sums in memory are never wrong."""
        return {item.month: 0 for item in self.months(line) if (line, item.month) not in self._dropped}

    def retain(
        self, line: str, *, before: date, ledger: Callable[[Sequence[InspectionMonth]], LedgerDraft]
    ) -> list[InspectionMonth]:
        """See `InspectionStore.retain`."""
        dropped = self.months(line, before=before)
        gone = {(line, item.month) for item in dropped}
        kept: list[InspectedImage] = []
        for image in self._images:
            (self._before if (image.line, month_of(image.captured_at)) in gone else kept).append(image)
        self._images = kept
        self._dropped |= gone
        if dropped:
            self._facts.append(ledger(dropped))
        return dropped


def _shows(image: InspectedImage, defect_class: str) -> bool:
    names = {name for name, *_ in image.detections}
    return bool(names) if defect_class == ANY_CLASS else defect_class in names
