"""Charts of the page Drift: pure functions from stored reports and sums to SVG."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from dashboards.texts import Text
from wafergate.domain.drift import DriftReport
from wafergate.domain.inspection import InspectionDay
from wafergate.formats import svg

__all__ = ["class_mix", "defect_shares", "feature_course", "mix_over_time", "stations_over_time"]

MOST_TICKS = 10
MOST_LINES = 6  # more lines than this cannot be told apart: the others are added up
HEIGHT = 200.0
ROW = 34.0
HOTTEST = 1.5  # thresholds: a distance beyond is coloured as this one
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle", "cross", "plus")
COLOURS = 4  # of lines that no verdict judges


def feature_course(reports: Sequence[DriftReport], text: Text) -> str:
    """Draw each feature's distance in parts of its threshold, a column a report, the newest at the right.

    Args:
        reports: newest first; those without features are left out.
        text: the reader's language.
    """
    shown = [report for report in reversed(reports) if report.features]
    names = list(dict.fromkeys(item.feature for report in reversed(shown) for item in report.features))
    rows = svg.row_axis([text.feature(name) for name in names])
    columns = svg.category_axis(_moments(shown, text), most=6, least=1)
    panel = svg.Panel(columns, rows, ROW * max(len(names), 1))
    parts = []
    for place, report in enumerate(shown):
        for item in report.features:
            row, ratio = names.index(item.feature), item.distance / item.threshold
            told = f"{text.feature(item.feature)}\n{text.when(report.created_at)}\n{ratio:.2f}"
            corners = (place - 0.48, row - 0.47), (place + 0.48, row + 0.47)
            parts.append(panel.box(*corners, "heat", told, fill=_heat(ratio)))
            if item.drifted:
                parts.append(panel.text((place, row), "×", "hot mid", (0, 6)))
    words = [f"{text.plain('drift_ratio')} 0", "0.5", "1", f"≥ {HOTTEST:g}"]
    signs = [(f"fill {_heat(ratio)}", word) for ratio, word in zip((0.0, 0.5, 1.0, HOTTEST), words, strict=True)]
    return svg.legend([*signs, ("times", text.word("drifted"))]) + svg.canvas([panel.draw(parts)], left=panel.left)


def _moments(reports: Sequence[DriftReport], text: Text) -> list[str]:
    """Return the day of each report, with the time where days alone would not tell them apart."""
    days = [text.short_day(report.created_at) for report in reports]
    if len(set(days)) == len(days):
        return days
    times = [report.created_at.astimezone(text.zone) for report in reports]
    return [f"{day} {time:%H:%M}" for day, time in zip(days, times, strict=True)]


def _heat(ratio: float) -> str:
    """Return the colour of a distance in thresholds: from faint over that of what is open to that of what fails."""
    if ratio <= 1:
        return f"color-mix(in srgb, var(--open) {100 * ratio:.0f}%, var(--faint))"
    return f"color-mix(in srgb, var(--fail) {100 * (min(ratio, HOTTEST) - 1) / (HOTTEST - 1):.0f}%, var(--open))"


def class_mix(rows: Sequence[InspectionDay]) -> dict[str, dict[date, float]]:
    """Return the share of each class among the defects found of each day, the most frequent class first.

    A day on which nothing was found has no mix and is left out.
    """
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.day].update(row.instances)
    days = {day: counted for day, counted in sorted(found.items()) if counted.total()}
    totals = sum(days.values(), Counter[str]())
    return {
        name: {day: counted[name] / counted.total() for day, counted in days.items()}
        for name, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    }


def defect_shares(rows: Sequence[InspectionDay]) -> dict[str, dict[date, float]]:
    """Return the share of images with a defect of each station and day, the busiest station first."""
    images: dict[str, Counter[date]] = defaultdict(Counter)
    defective: dict[str, Counter[date]] = defaultdict(Counter)
    for row in rows:
        images[row.station][row.day] += row.images
        defective[row.station][row.day] += row.defective
    busiest = sorted(images, key=lambda station: (-images[station].total(), station))
    return {
        station: {day: defective[station][day] / count for day, count in sorted(images[station].items())}
        for station in busiest
    }


def mix_over_time(rows: Sequence[InspectionDay], text: Text) -> str:
    """Draw the class mix, a line a class; of many classes the rare ones are added up."""
    mix = class_mix(rows)
    if len(mix) > MOST_LINES:
        kept, rest = list(mix)[: MOST_LINES - 1], list(mix)[MOST_LINES - 1 :]
        days = next(iter(mix.values()))
        added = {day: sum(mix[name][day] for name in rest) for day in days}
        mix = {name: mix[name] for name in kept} | {text.plain("other_classes"): added}
    return _lines(mix, text.plain("mix_axis"), text)


def stations_over_time(rows: Sequence[InspectionDay], text: Text) -> str:
    """Draw the share of images with a defect, a line a station, the busiest ones."""
    shares = defect_shares(rows)
    named = {name or text.plain("no_station"): shares[name] for name in list(shares)[:MOST_LINES]}
    return _lines(named, text.plain("days_share"), text)


def _lines(values: Mapping[str, Mapping[date, float]], axis: str, text: Text) -> str:
    """Draw a line for each name, told apart by dash and mark as well as by colour."""
    days = sorted({day for course in values.values() for day in course})
    first = days[0] if days else date.min
    every = -(-len(days) // MOST_TICKS) or 1
    # Ticks on days that were measured, and days as far apart as they are in time.
    ticks = tuple((float((day - first).days), text.short_day(day)) for day in reversed(days[::-every]))
    span = (days[-1] - first).days if days else 0
    edge = 0.02 * span or 0.5  # one day stands in the middle
    across = svg.Axis(-edge, span + edge, ticks, grid=False)
    highest = max((share for course in values.values() for share in course.values()), default=0.0) or 0.01
    panel = svg.Panel(across, svg.number_axis(0, highest * 1.08, axis, most=6, percent=True), HEIGHT)
    parts, names = [], []
    for place, (name, course) in enumerate(values.items()):
        style = f"c-{place % COLOURS} {DASHES[place % len(DASHES)]}"
        shape = SYMBOLS[place % len(SYMBOLS)]
        points = [(float((day - first).days), share) for day, share in course.items()]
        parts.append(panel.course(points, f"curve {style}"))
        parts += [
            panel.mark(at, (shape, style), f"{name}\n{text.day(day)}\n{share:.1%}")
            for at, (day, share) in zip(points, course.items(), strict=True)
        ]
        names.append((f"{shape} {style}", svg.shorten(name)))
    return svg.legend(names) + svg.canvas([panel.draw(parts)], left=panel.left, right=24)
