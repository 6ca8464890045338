"""Tables of the page Drift: pure functions from a stored report to data frames."""

from collections.abc import Sequence

import pandas as pd

from dashboards.texts import Text
from wafergate.domain.drift import DriftReport, DriftVerdict

__all__ = ["VERDICT_BADGES", "drift_data", "feature_table", "report_name"]

VERDICT_BADGES = {
    DriftVerdict.STABLE: ("blue", "check_circle"),
    DriftVerdict.DRIFTED: ("red", "cancel"),
    DriftVerdict.NOT_ENOUGH: ("orange", "help"),
}
"""Hue and icon of a report's verdict."""


def report_name(report: DriftReport, text: Text) -> str:
    """Return how a report is called in a list, without Markdown."""
    return f"{text.when(report.created_at)} · {text.word(report.verdict)} · {report.source}"


def feature_table(report: DriftReport, text: Text) -> pd.DataFrame:
    """Return the features of a report as the page shows them, the farthest first."""
    farthest = sorted(report.features, key=lambda item: item.distance / item.threshold, reverse=True)
    rows = [
        {
            text.plain("feature_label"): text.title(item.feature),
            text.plain("distance_label"): text.value(item.distance),
            text.plain("threshold_label"): text.value(item.threshold),
            text.title("verdict"): _badge(DriftVerdict.DRIFTED if item.drifted else DriftVerdict.STABLE, text),
            text.plain("trained_mean"): f"{item.reference_mean:.4g}",
            text.plain("now_mean_label"): f"{item.current_mean:.4g}",
        }
        for item in farthest
    ]
    return pd.DataFrame(rows)


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


def _badge(verdict: DriftVerdict, text: Text) -> str:
    hue, icon = VERDICT_BADGES[verdict]
    return f":{hue}-badge[:material/{icon}: {text.term(verdict)}]"
