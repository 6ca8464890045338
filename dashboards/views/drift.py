"""Drift: how far the line's images, classes and stations have moved, and what to do about it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from dashboards import drift_charts, reasons
from dashboards.charts import drift_distances
from dashboards.context import UNREADABLE, Context
from dashboards.drift_tables import (
    VERDICT_BADGES,
    drift_data,
    feature_table,
    golden_data,
    golden_table,
    report_name,
    slice_data,
    slice_table,
)
from dashboards.parts import choose, commands, figure, fold, section, show_table, stored_page, unreadable
from dashboards.reading import drift as reading
from dashboards.reading.files import load_picture
from dashboards.reading.lots import load_days
from dashboards.texts import Text, literal
from wafergate.domain.drift import DriftReport
from wafergate.domain.golden import GoldenRun
from wafergate.domain.inspection import InspectionDay

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_drift", "drift"
WATCH = "wafergate watch --line LINE.toml --source FOLDER"
SEAL = "wafergate golden seal --line LINE.toml FOLDER --format coco --as NAME --reason WHY"


def render(context: Context) -> None:
    """Show one report, the course of all features, and classes and stations by day."""
    reports = context.read(reading.load_reports, context.line)
    days = context.read(load_days, context.line, datetime.now(UTC).date(), door="inspections")
    if reports:
        _report(reports, context)
        _course(reports, context)
    else:
        commands("empty_drift", [WATCH], context.text)
    if days:
        _mix(days, context)
        _stations(days, context)
    _golden(context.read(reading.load_golden, context.line), context)


def _report(reports: Sequence[DriftReport], context: Context) -> None:
    text, named = context.text, {report.id: report for report in reports}
    chosen = choose("report", text.plain("drift_choose"), {key: report_name(row, text) for key, row in named.items()})
    report = named[chosen]
    hue, icon = VERDICT_BADGES[report.verdict]
    with st.container(key="drift-verdict"):
        st.markdown(f":{hue}-badge[:material/{icon}: {text.term(report.verdict)}]")
    values = {
        "current": text.count(report.current_images),
        "source": text.word(report.source),
        "reference": text.count(report.reference_images),
        "when": text.when(report.created_at),
        "drifted": sum(feature.drifted for feature in report.features),
        "features": len(report.features),
        "share": text.value(report.policy.share, 2),
    }
    if report.advice is not None:
        _advice(report, text)
    st.caption(text.say("drift_of", **values))
    if report.features:
        figure(drift_distances(report, text), "drift-chart", "drift_alt", text)
        fold("features", text.plain("drift_table"), partial(_features, report, context))
    if report.slices:
        with st.expander(text.plain("slices_title"), icon=":material/table_rows:", expanded=True):
            name, data = f"{context.line}-{report.id}-slices", slice_data(report)
            show_table(slice_table(report, text), name=name, text=text, alt="slices_alt", data=data, key="slice-table")
    if report.report is not None:
        stored_page(report.report, "drift_page_link", context)


def _features(report: DriftReport, context: Context) -> None:
    text = context.text
    shown, name, data = feature_table(report, text), f"{context.line}-{report.id}", drift_data([report])
    show_table(shown, name=name, text=text, alt="drift_table_alt", data=data, key="feature-table")


def _advice(report: DriftReport, text: Text) -> None:
    """Say what moved and what to do, and the stored sentence that says why."""
    assert report.advice is not None  # noqa: S101 - narrows for the type checker
    cause = text.word(report.cause) if report.cause else text.value(None)
    with st.container(key="drift-advice"):
        st.markdown(
            text.say("drift_told", cause=cause, advice=text.word(report.advice)), help=text.explain(report.advice)
        )
        st.markdown(literal(reasons.advised(report, text)))
    reference = text.plain(f"reference_{report.reference.value}")
    window = report.window if report.since else text.plain("window_folder")
    st.caption(text.say("drift_window", window=window, reference=reference))


def _course(reports: Sequence[DriftReport], context: Context) -> None:
    text = context.text
    if sum(bool(report.features) for report in reports) < 2:  # one column shows no course
        return
    section("drift_course_title", text, "drift")
    chart = drift_charts.feature_course(reports, text)
    figure(chart, "course-chart", "drift_course_alt", text)
    st.caption(text.say("drift_course_note"))


def _mix(days: Sequence[InspectionDay], context: Context) -> None:
    text = context.text
    if not drift_charts.class_mix(days):
        return
    section("mix_title", text)
    figure(drift_charts.mix_over_time(days, text), "mix-chart", "mix_alt", text)
    st.caption(text.say("mix_note"))


def _stations(days: Sequence[InspectionDay], context: Context) -> None:
    text = context.text
    if not any(row.station for row in days):
        return
    section("station_title", text)
    figure(drift_charts.stations_over_time(days, text), "station-chart", "station_alt", text)
    st.caption(text.say("station_note"))


def _golden(runs: Sequence[GoldenRun], context: Context) -> None:
    text = context.text
    section("golden_title", text, "golden")
    if not runs:
        commands("empty_golden", [SEAL], text)
        return
    newest = runs[0]
    values = {"parts": text.count(newest.parts), "when": text.when(newest.created_at)}
    with st.container(key="golden-verdict"):
        if newest.differences:
            told = text.say("golden_differs", count=text.count(len(newest.differences)), **values)
            st.error(told, icon=":material/error:")
        else:
            st.success(text.say("golden_same", **values), icon=":material/check_circle:")
    if newest.differences and newest.picture:
        try:
            picture = context.read(load_picture, newest.picture, door="files")
        except UNREADABLE as error:
            unreadable(error, text)
        else:
            st.image(picture, caption=text.plain("golden_picture"))
    name, data = f"{context.line}-golden", golden_data(runs)
    show_table(golden_table(runs, text), name=name, text=text, alt="golden_alt", data=data, key="golden-table")
