"""Charts of the page Lots: pure functions from stored sums to SVG."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from dashboards.charts import counted_bars
from dashboards.texts import Text
from wafergate.domain.inspection import InspectionDay
from wafergate.formats import svg

__all__ = ["by_day", "found_by_class", "sum_days"]


def sum_days(rows: Sequence[InspectionDay]) -> dict[date, tuple[int, int]]:
    """Return inspections and those that found a defect of each day, oldest first."""
    images, defective = Counter[date](), Counter[date]()
    for row in rows:
        images[row.day] += row.images
        defective[row.day] += row.defective
    return {day: (images[day], defective[day]) for day in sorted(images)}


def by_day(rows: Sequence[InspectionDay], text: Text) -> str:
    """Draw the share of inspections that found a defect above their number, day by day."""
    sums = sum_days(rows)
    shares = [defective / images for images, defective in sums.values()]
    days = svg.category_axis([text.short_day(day) for day in sums], least=7)
    top = max([*shares, 0.01]) * 1.15
    upper = svg.Panel(svg.bare_axis(days), svg.number_axis(0, top, text.plain("days_share"), most=5, percent=True), 120)
    most = max([images for images, _ in sums.values()] + [1])
    lower = svg.Panel(days, svg.number_axis(0, most * 1.08, text.plain("days_images"), most=4, whole=True), 84)
    course, bars = [upper.course(list(enumerate(shares)), "curve v-pass")], []
    for place, (day, (images, defective)) in enumerate(sums.items()):
        counted = f"{text.count(defective)} / {text.count(images)}"
        told = f"{text.day(day)}\n{shares[place]:.1%}, {counted}"
        course.append(upper.mark((place, shares[place]), ("circle", "v-pass"), told))
        said = f"{text.day(day)}\n{text.count(images)} {text.plain('days_images')}"
        bars.append(lower.box((place - 0.27, 0), (place + 0.27, images), "bar v-none", said))
    return svg.canvas([upper.draw(course), lower.draw(bars)], left=max(upper.left, lower.left))


def found_by_class(instances: Mapping[str, int], text: Text) -> str:
    """Draw the number of defects found of each class, the most frequent on top."""
    counted = dict(sorted(instances.items(), key=lambda item: (-item[1], item[0])))
    drawn = counted_bars(counted, text, title=text.plain("defects_axis"), style="v-pass")
    return svg.canvas([drawn], left=svg.label_width(counted))
