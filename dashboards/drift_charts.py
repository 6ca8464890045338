"""Figures of the page Drift: pure functions from stored reports and sums to Plotly figures."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import plotly.graph_objects as go

from dashboards.charts import dress, ticks
from dashboards.palette import Palette
from dashboards.texts import Text
from wafergate.domain.drift import DriftReport
from wafergate.domain.gate import Verdict
from wafergate.domain.inspection import InspectionDay

__all__ = ["class_mix", "defect_shares", "feature_course", "mix_over_time", "stations_over_time"]

MOST_TICKS = 10
MOST_LINES = 6  # more lines than this cannot be told apart: the others are added up
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")


def feature_course(reports: Sequence[DriftReport], text: Text, palette: Palette) -> go.Figure:
    """Draw each feature's distance in parts of its threshold, a column a report, the newest at the right.

    Args:
        reports: newest first; those without features are left out.
        text: the reader's language.
        palette: the theme's colours.
    """
    shown = [report for report in reversed(reports) if report.features]
    names = list(dict.fromkeys(item.feature for report in reversed(shown) for item in report.features))
    cells = [{item.feature: item for item in report.features} for report in shown]
    ratios = [
        [cell[name].distance / cell[name].threshold if name in cell else None for cell in cells] for name in names
    ]
    marks = [["×" if name in cell and cell[name].drifted else "" for cell in cells] for name in names]
    words = ticks(text.feature(name) for name in names)
    figure = go.Figure()
    figure.add_heatmap(
        z=ratios,
        x=list(range(len(shown))),
        y=words,
        text=marks,
        texttemplate="%{text}",
        textfont={"size": 18, "color": palette.background},
        zmin=0,
        zmax=1.5,
        colorscale=[
            [0, palette.faint],
            [0.66, palette.verdicts[Verdict.UNDECIDED]],
            [1, palette.verdicts[Verdict.FAIL]],
        ],
        colorbar={"title": {"text": text.plain("drift_ratio"), "side": "right"}, "thickness": 12, "outlinewidth": 0},
        customdata=[[text.when(report.created_at) for report in shown] for _ in names],
        hovertemplate="<b>%{y}</b><br>%{customdata}<br>%{z:.2f}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    dress(figure, len(names), palette)
    every = max(1, len(shown) // 8)
    places = list(range(len(shown) - 1, -1, -every))
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 56}, height=112 + 34 * max(len(names), 1))
    moments = [shown[place].created_at for place in places]
    days = [text.short_day(moment) for moment in moments]
    if len(set(days)) < len(days):  # a day alone would not tell them apart
        days = [f"{day}<br>{moment.astimezone(text.zone):%H:%M}" for day, moment in zip(days, moments, strict=True)]
    figure.update_xaxes(tickvals=places, ticktext=days, showgrid=False)
    return figure.update_yaxes(autorange="reversed", showgrid=False, ticklabelstandoff=8)


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


def mix_over_time(rows: Sequence[InspectionDay], text: Text, palette: Palette) -> go.Figure:
    """Draw the class mix, a line a class; of many classes the rare ones are added up."""
    mix = class_mix(rows)
    if len(mix) > MOST_LINES:
        kept, rest = list(mix)[: MOST_LINES - 1], list(mix)[MOST_LINES - 1 :]
        days = next(iter(mix.values()))
        added = {day: sum(mix[name][day] for name in rest) for day in days}
        mix = {name: mix[name] for name in kept} | {text.plain("other_classes"): added}
    return _lines(mix, text.plain("mix_axis"), text, palette)


def stations_over_time(rows: Sequence[InspectionDay], text: Text, palette: Palette) -> go.Figure:
    """Draw the share of images with a defect, a line a station, the busiest ones."""
    shares = defect_shares(rows)
    named = {name or text.plain("no_station"): shares[name] for name in list(shares)[:MOST_LINES]}
    return _lines(named, text.plain("days_share"), text, palette)


def _lines(values: Mapping[str, Mapping[date, float]], axis: str, text: Text, palette: Palette) -> go.Figure:
    """Draw a line for each name, told apart by dash and mark as well as by colour."""
    figure = go.Figure()
    for place, (name, course) in enumerate(values.items()):
        colour = palette.lines[place % len(palette.lines)]
        figure.add_scatter(
            x=[day.isoformat() for day in course],
            y=list(course.values()),
            name=ticks([name])[0],
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": DASHES[place % len(DASHES)]},
            marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8, "color": colour},
            cliponaxis=False,
            customdata=[text.day(day) for day in course],
            hovertemplate="%{customdata}<br>%{y:.1%}",
        )
    dress(figure, 0, palette)
    figure.update_layout(height=300, margin={"l": 8, "r": 16, "t": 44, "b": 36}, showlegend=True)
    days = sorted({day for course in values.values() for day in course})
    every = -(-len(days) // MOST_TICKS) or 1
    # Ticks on days that were measured: left to itself the axis divides a short one by hours and names a day again.
    shown = days[::-every]
    figure.update_xaxes(
        type="date",
        showgrid=False,
        tickvals=[day.isoformat() for day in shown],
        ticktext=[text.short_day(day) for day in shown],
    )
    return figure.update_yaxes(title_text=axis, title_font={"size": 13}, tickformat=".0%", rangemode="tozero", nticks=5)
