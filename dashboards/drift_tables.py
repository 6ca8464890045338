"""Tables of the page Drift: pure functions from a stored report to data frames."""

from collections.abc import Sequence

import pandas as pd

from dashboards.palette import VERDICT_HUES
from dashboards.tables import ICONS
from dashboards.texts import Text, literal
from wafergate.domain.drift import DriftReport, DriftVerdict, counted_class
from wafergate.domain.gate import Verdict
from wafergate.domain.golden import GoldenRun

__all__ = [
    "VERDICT_BADGES",
    "drift_data",
    "feature_table",
    "golden_data",
    "golden_table",
    "report_name",
    "slice_data",
    "slice_table",
]

VERDICT_BADGES = {
    DriftVerdict.STABLE: ("blue", "check_circle"),
    DriftVerdict.DRIFTED: ("red", "cancel"),
    DriftVerdict.NOT_ENOUGH: ("orange", "help"),
}
"""Hue and icon of a report's verdict."""


def report_name(report: DriftReport, text: Text) -> str:
    """Return how a report is called in a list, without Markdown."""
    about = report.window if report.since else report.source
    return f"{text.when(report.created_at)} · {text.word(report.verdict)} · {about}"


def feature_table(report: DriftReport, text: Text) -> pd.DataFrame:
    """Return the features of a report as the page shows them, the farthest first."""
    farthest = sorted(report.features, key=lambda item: item.distance / item.threshold, reverse=True)
    rows = [
        {
            text.plain("feature_label"): _feature(item.feature, text),
            text.plain("distance_label"): text.value(item.distance),
            text.plain("threshold_label"): text.value(item.threshold),
            text.title("verdict"): _badge(DriftVerdict.DRIFTED if item.drifted else DriftVerdict.STABLE, text),
            text.plain("trained_mean"): f"{item.reference_mean:.4g}",
            text.plain("now_mean_label"): f"{item.current_mean:.4g}",
        }
        for item in farthest
    ]
    return pd.DataFrame(rows)


def _feature(name: str, text: Text) -> str:
    # A class keeps its own spelling; the glossary's words begin a cell with a capital.
    counted = counted_class(name)
    return text.title(name) if counted is None else literal(counted)


def drift_data(reports: Sequence[DriftReport]) -> pd.DataFrame:
    """Return every feature of every report as it is stored."""
    fields = ("feature", "distance", "threshold", "drifted", "reference_mean", "current_mean")
    about = ("id", "line", "source", "verdict", "reference_images", "current_images", "created_at")
    rows = [
        {f"report_{name}" if name == "id" else name: getattr(report, name) for name in about}
        | {name: getattr(item, name) for name in fields}
        for report in reports
        for item in report.features
    ]
    return pd.DataFrame(rows)


def slice_table(report: DriftReport, text: Text) -> pd.DataFrame:
    """Return the parts of a report's window as the page shows them, what drifted first."""
    order = [DriftVerdict.DRIFTED, DriftVerdict.STABLE, DriftVerdict.NOT_ENOUGH]
    rows = [
        {
            text.plain("slice_part"): f"{text.plain(f'slice_{item.key}')} {literal(item.value)}",
            text.plain("images_label"): text.count(item.images),
            text.title("verdict"): _badge(item.verdict, text),
            text.plain("slice_drifted"): ", ".join(literal(text.feature(name)) for name in item.drifted)
            or text.value(None),
            text.plain("cause_label"): text.term(item.cause) if item.cause else text.value(None),
        }
        for item in sorted(report.slices, key=lambda item: order.index(item.verdict))
    ]
    return pd.DataFrame(rows)


def slice_data(report: DriftReport) -> pd.DataFrame:
    """Return the parts of a report's window as they are stored."""
    fields = ("key", "value", "images", "verdict", "cause")
    rows = [
        {field: getattr(item, field) for field in fields} | {"drifted": "; ".join(item.drifted)}
        for item in report.slices
    ]
    return pd.DataFrame(rows, columns=[*fields, "drifted"]).assign(line=report.line, report=report.id)


def golden_table(runs: Sequence[GoldenRun], text: Text) -> pd.DataFrame:
    """Return checks of the golden parts as the page shows them."""
    rows = []
    for run in runs:
        verdict = Verdict.FAIL if run.differences else Verdict.PASS
        word = text.count(len(run.differences))
        first = run.differences[0] if run.differences else None
        told = f"{literal(first.name)}: {text.term(first.kind)} {literal(first.detail)}" if first else text.value(None)
        rows.append(
            {
                text.plain("golden_checked"): literal(text.when(run.created_at)),
                text.plain("golden_parts"): text.count(run.parts),
                text.plain("golden_differences"): f":{VERDICT_HUES[verdict]}-badge[:material/{ICONS[verdict]}: {word}]",
                text.plain("golden_first"): told,
            }
        )
    return pd.DataFrame(rows)


def golden_data(runs: Sequence[GoldenRun]) -> pd.DataFrame:
    """Return every difference of every check, and a row without one for a check that found none."""
    about = ("id", "line", "set_id", "model_id", "parts", "created_at")
    rows = [
        {name: getattr(run, name) for name in about}
        | {
            "kind": item.kind if item else None,
            "name": item.name if item else "",
            "detail": item.detail if item else "",
        }
        for run in runs
        for item in (run.differences or (None,))
    ]
    return pd.DataFrame(rows)


def _badge(verdict: DriftVerdict, text: Text) -> str:
    hue, icon = VERDICT_BADGES[verdict]
    return f":{hue}-badge[:material/{icon}: {text.term(verdict)}]"
