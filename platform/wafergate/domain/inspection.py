"""What the champion said of new images, image by image and summed by day and by lot."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

__all__ = [
    "ANY_CLASS",
    "EARLIEST",
    "FoundBox",
    "InspectedImage",
    "InspectionDay",
    "InspectionLot",
    "InspectionMonth",
    "InspectionPolicy",
    "InspectionRun",
    "LotRun",
    "SeenBefore",
    "add_up_lots",
    "capture_time",
    "counted",
    "day_of",
    "join_days",
    "keep_from",
    "month_of",
    "roll_days",
    "roll_lots",
    "run_that_saw",
    "unseen",
]

FoundBox = tuple[str, float, float, float, float, float]
"""A detection: class, score in [0, 1], then x1, y1, x2, y2 in the image's pixels."""

ANY_CLASS = ""
"""Asked for in place of a defect class: whichever one; no class is named nothing."""

SeenBefore = Mapping[tuple[str, str], Mapping[str, str]]
"""Name and SHA-256 of images that were inspected, to the golden reference they were seen with and the (newest) run."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No image was captured before: an earlier time is a clock that was never set."""


@dataclass(frozen=True, slots=True)
class InspectionPolicy:
    """`[inspection]`: how long it is kept what the champion said of every image.

    Attributes:
        keep_months: `wafergate inspections retain` drops the months of capture that ended longer ago than this; the
            sums by day and lot, the runs and the image files stay. 0 keeps all.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    keep_months: Annotated[int, Ge(0), Le(1200)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedImage:
    """What the champion said of one image.

    Attributes:
        run_id: the inspection run it is part of.
        position: its place in the run, from 0, each once.
        line: the production line.
        model_id: the model that judged it.
        name: its path in the source.
        image: SHA-256 of the image file.
        reference: SHA-256 of the golden reference the model saw with it; empty where it saw none, or none is known.
        lot: lot, as wafer, die, station and product after it, from metadata; empty where not told.
        wafer: wafer.
        die: die.
        station: inspection station.
        product: product.
        captured_at: when the picture was taken, with time zone; the time of the inspection where nothing tells.
        novelty: distance from the training images in the model's own embedding; None where it was not measured.
        detections: at or above the frozen threshold of their class.
        weak: below their threshold, but near it.
    """

    run_id: str
    position: int
    line: str
    model_id: str
    name: str
    image: str
    captured_at: datetime
    reference: str = ""
    lot: str = ""
    wafer: str = ""
    die: str = ""
    station: str = ""
    product: str = ""
    novelty: float | None = None
    detections: tuple[FoundBox, ...] = ()
    weak: tuple[FoundBox, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a time that no camera can have told.

        Raises:
            ValueError: `captured_at` has no time zone or lies before `EARLIEST`.
        """
        if self.captured_at.tzinfo is None or self.captured_at < EARLIEST:
            message = f"captured_at of {self.name}: required a time with zone from 2000 on, found {self.captured_at}"
            raise ValueError(message)


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


@dataclass(frozen=True, slots=True)
class LotRun:
    """One inspection of a lot: the run, and how many of the lot's images it saw and called defective."""

    run: InspectionRun
    images: int
    defective: int


@dataclass(frozen=True, slots=True)
class InspectionDay:
    """What one model found at one station on one product in a day (UTC) of capture.

    `images` and `defective` count inspections: an image that two runs inspected counts twice. `instances` holds the
    classes that were found, each with the number of its detections.
    """

    line: str
    day: date
    model_id: str
    station: str
    product: str
    images: int
    defective: int
    instances: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class InspectionLot:
    """What one model found in a lot; counts as in `InspectionDay`, `first_at` and `last_at` of capture."""

    line: str
    lot: str
    model_id: str
    first_at: datetime
    last_at: datetime
    images: int
    defective: int
    instances: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class InspectionMonth:
    """How much is stored of a line's month of capture (its first day, UTC); `detections` with the weak ones."""

    line: str
    month: date
    images: int
    detections: int


def run_that_saw(before: SeenBefore, name: str, image: str, reference: str) -> str | None:
    """Return the run that saw an image; None where none did, or only beside another golden reference.

    Args:
        before: what was inspected.
        name: its path in the source.
        image: SHA-256 of the image file.
        reference: SHA-256 of its golden reference; empty, here or there, is as good as any.

    Example:
        >>> before = {("a.png", "e3b0"): {"77af": "inspection-1"}}
        >>> [run_that_saw(before, "a.png", "e3b0", reference) for reference in ("77af", "", "90c1")]
        ['inspection-1', 'inspection-1', None]
    """
    runs = before.get((name, image), {})
    if not reference:
        return list(runs.values())[-1] if runs else None
    return runs.get(reference) or runs.get("")


def unseen(images: Iterable[InspectedImage], before: SeenBefore) -> list[InspectedImage]:
    """Return the images that were not inspected before."""
    return [item for item in images if run_that_saw(before, item.name, item.image, item.reference) is None]


def counted(run: InspectionRun, images: Sequence[InspectedImage]) -> InspectionRun:
    """Return a run with the counts of its images; classes that it names stay named."""
    instances = Counter(dict.fromkeys(run.instances, 0))
    instances.update(name for image in images for name, *_ in image.detections)
    defective = sum(bool(image.detections) for image in images)
    return replace(run, images=len(images), defective=defective, instances=dict(instances))


def capture_time(told: str, inspected: datetime, zone: tzinfo) -> datetime:
    """Return when an image was captured: what its source tells, else when it was inspected.

    Args:
        told: a time in ISO 8601; empty or anything else tells nothing, and neither does a time before `EARLIEST` or
            after the inspection.
        inspected: the time of the inspection, with time zone.
        zone: the line's, of a time that names none.

    Example:
        >>> capture_time("2026-03-02T09:30", datetime(2026, 3, 3, tzinfo=UTC), UTC).isoformat()
        '2026-03-02T09:30:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(told.strip())
    except ValueError:
        return inspected
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return moment.astimezone(UTC) if EARLIEST <= moment <= inspected else inspected


def day_of(moment: datetime) -> date:
    """Return the day, UTC."""
    return moment.astimezone(UTC).date()


def month_of(moment: datetime | date) -> date:
    """Return the first day of the month, UTC."""
    return (day_of(moment) if isinstance(moment, datetime) else moment).replace(day=1)


def keep_from(now: datetime, months: int) -> date:
    """Return the first day of the oldest month that is kept when nothing of the last `months` months may be dropped.

    Args:
        now: the time it is asked, with time zone.
        months: at least 1.

    Example:
        >>> keep_from(datetime(2026, 3, 31, tzinfo=UTC), 1)
        datetime.date(2026, 2, 1)
    """
    year, month = divmod(now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1 - months, 12)
    return date(year, month + 1, 1)


def roll_days(images: Iterable[InspectedImage]) -> list[InspectionDay]:
    """Sum images by line, day, model, station and product, in that order."""
    groups: dict[tuple[str, date, str, str, str], list[InspectedImage]] = defaultdict(list)
    for image in images:
        groups[image.line, day_of(image.captured_at), image.model_id, image.station, image.product].append(image)
    return [InspectionDay(*key, *_counts(group)) for key, group in sorted(groups.items())]


def roll_lots(images: Iterable[InspectedImage]) -> list[InspectionLot]:
    """Sum images by line, lot and model, in that order; images that belong to no lot are left out."""
    groups: dict[tuple[str, str, str], list[InspectedImage]] = defaultdict(list)
    for image in images:
        if image.lot:
            groups[image.line, image.lot, image.model_id].append(image)
    return [
        InspectionLot(*key, min(times := [image.captured_at for image in group]), max(times), *_counts(group))
        for key, group in sorted(groups.items())
    ]


def join_days(first: InspectionDay, second: InspectionDay) -> InspectionDay:
    """Add two sums of the same day, model, station and product."""
    return InspectionDay(
        first.line,
        first.day,
        first.model_id,
        first.station,
        first.product,
        first.images + second.images,
        first.defective + second.defective,
        _added(first.instances, second.instances),
    )


def add_up_lots(parts: Iterable[InspectionLot]) -> list[InspectionLot]:
    """Add the sums of each lot and model; the lot whose last image is newest comes first."""
    whole: dict[tuple[str, str, str], InspectionLot] = {}
    for part in parts:
        key = (part.line, part.lot, part.model_id)
        whole[key] = _join_lots(whole[key], part) if key in whole else part
    return sorted(sorted(whole.values(), key=lambda item: (item.lot, item.model_id)), key=_last_at, reverse=True)


def _last_at(item: InspectionLot) -> datetime:
    return item.last_at


def _join_lots(first: InspectionLot, second: InspectionLot) -> InspectionLot:
    return InspectionLot(
        first.line,
        first.lot,
        first.model_id,
        min(first.first_at, second.first_at),
        max(first.last_at, second.last_at),
        first.images + second.images,
        first.defective + second.defective,
        _added(first.instances, second.instances),
    )


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in sorted(first.keys() | second.keys())}


def _counts(images: list[InspectedImage]) -> tuple[int, int, dict[str, int]]:
    instances = Counter(name for image in images for name, *_ in image.detections)
    return len(images), sum(bool(image.detections) for image in images), dict(sorted(instances.items()))
