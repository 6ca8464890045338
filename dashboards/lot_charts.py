"""Figures of the page Lots: pure functions from stored sums to Plotly figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.charts import dress, ticks
from dashboards.palette import Palette
from dashboards.texts import Text
from wafergate.domain.gate import Verdict
from wafergate.domain.inspection import InspectionDay

__all__ = ["by_day", "found_by_class", "sum_days"]


def sum_days(rows: Sequence[InspectionDay]) -> dict[date, tuple[int, int]]:
    """Return images and those with a defect of each day, oldest first."""
    images, defective = Counter[date](), Counter[date]()
    for row in rows:
        images[row.day] += row.images
        defective[row.day] += row.defective
    return {day: (images[day], defective[day]) for day in sorted(images)}


def by_day(rows: Sequence[InspectionDay], text: Text, palette: Palette) -> go.Figure:
    """Draw the share of images with a defect above the number of images, day by day."""
    sums = sum_days(rows)
    names = [text.short_day(day) for day in sums]
    shares = [defective / images for images, defective in sums.values()]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.58, 0.42], vertical_spacing=0.1)
    figure.add_scatter(
        x=names,
        y=shares,
        mode="lines+markers",
        line={"color": palette.verdicts[Verdict.PASS], "width": 2},
        marker={"size": 9, "color": palette.verdicts[Verdict.PASS]},
        cliponaxis=False,
        customdata=[[text.day(day), text.count(bad), text.count(all_)] for day, (all_, bad) in sums.items()],
        hovertemplate="<b>%{customdata[0]}</b><br>%{y:.1%}, %{customdata[1]} / %{customdata[2]}<extra></extra>",
        row=1,
        col=1,
    )
    figure.add_bar(
        x=names,
        y=[images for images, _ in sums.values()],
        marker_color=palette.soft,
        hovertemplate=f"%{{x}}: %{{y:,}} {text.plain('days_images')}<extra></extra>",
        row=2,
        col=1,
    )
    dress(figure, 0, palette)
    figure.update_layout(showlegend=False, height=320, bargap=0.5, margin={"l": 8, "r": 16, "t": 12, "b": 36})
    figure.update_xaxes(type="category", showgrid=False, nticks=12)
    top = max([*shares, 0.01])
    figure.update_yaxes(title_text=text.plain("days_share"), tickformat=".1%", range=[0, top * 1.15], row=1, col=1)
    figure.update_yaxes(title_text=text.plain("days_images"), rangemode="tozero", nticks=4, row=2, col=1)
    return figure.update_yaxes(title_font={"size": 13}, nticks=4)


def found_by_class(instances: Mapping[str, int], text: Text, palette: Palette) -> go.Figure:
    """Draw the number of defects found of each class, the most frequent on top."""
    counted = sorted(instances.items(), key=lambda item: (-item[1], item[0]))
    figure = go.Figure()
    figure.add_bar(
        x=[count for _, count in counted],
        y=ticks(name for name, _ in counted),
        orientation="h",
        text=[text.count(count) for _, count in counted],
        textposition="outside",
        textfont={"color": palette.text},
        cliponaxis=False,
        marker_color=palette.verdicts[Verdict.PASS],
        hovertemplate="%{y}: %{x:,}<extra></extra>",
    )
    dress(figure, len(counted), palette)
    highest = max([count for _, count in counted] + [1])
    figure.update_layout(showlegend=False, bargap=0.45, margin={"l": 8, "r": 40, "t": 8, "b": 48})
    figure.update_xaxes(
        title_text=text.plain("defects_axis"), range=[0, highest * 1.1], dtick=1 if highest < 6 else None, nticks=5
    )
    return figure.update_yaxes(autorange="reversed", showgrid=False, ticklabelstandoff=8)
