"""Tables about data: pure functions from stored rows to data frames, for the page and for download."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dashboards.reading.datasets import HeldBack
from dashboards.texts import Text, literal, phrases
from wafergate.domain.review import ReviewItem, ReviewState, Suspicion
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import ClassPower
from wafergate.domain.validation_rows import ValidationFinding, ValidationResult

if TYPE_CHECKING:
    from wafergate.jobs.plan import Plan

__all__ = [
    "check_name",
    "findings_data",
    "findings_table",
    "held_data",
    "held_table",
    "plan_data",
    "plan_table",
    "review_data",
    "review_table",
    "versions_data",
    "versions_table",
]

STATES = {ReviewState.OPEN: "orange", ReviewState.KEPT: "gray", ReviewState.CORRECTED: "blue"}


def versions_table(versions: Sequence[DatasetVersion], text: Text) -> pd.DataFrame:
    """Return dataset versions as the page shows them."""
    rows = [
        {
            text.plain("version"): f"**{version.number}**",
            text.plain("when"): literal(text.when(version.created_at)),
            text.plain("images"): text.count(version.images),
            text.plain("without_defect"): text.count(version.normal_images),
            text.title("instances"): text.count(sum(version.instances.values())),
            text.title("quarantine"): text.count(version.quarantined),
            text.plain("agreed"): text.plain("yes" if version.taxonomy_signed else "no"),
            text.title("licence"): literal(version.licence),
            text.plain("source"): literal(version.source),
        }
        for version in versions
    ]
    return pd.DataFrame(rows)


def versions_data(versions: Sequence[DatasetVersion]) -> pd.DataFrame:
    """Return the same as it is stored, a column for the instances of each class."""
    fields = ("id", "line", "number", "created_at", "source", "format", "images", "normal_images", "quarantined")
    more = ("taxonomy_signed", "licence", "parent")
    rows = [
        {field: getattr(version, field) for field in fields + more}
        | {f"instances {name}": count for name, count in version.instances.items()}
        for version in versions
    ]
    return pd.DataFrame(rows)


def check_name(finding: ValidationFinding, text: Text) -> str:
    """Return what a data check is called; one without a name here keeps its own."""
    return phrases()[text.language].get(f"check_{finding.expectation}", finding.expectation)


def findings_table(result: ValidationResult, text: Text) -> pd.DataFrame:
    """Return the checks that did not hold."""
    rows = [
        {
            text.plain("check"): literal(check_name(finding, text)),
            text.plain("severity"): text.plain(f"severity_{finding.severity}"),
            text.plain("broken"): f"{text.count(finding.unexpected)} / {text.count(finding.checked)}",
            text.plain("examples"): literal(", ".join(finding.examples)),
            text.plain("detail_of"): literal(_checked(finding, text)),
        }
        for finding in result.findings
        if not finding.success
    ]
    return pd.DataFrame(rows)


def findings_data(result: ValidationResult) -> pd.DataFrame:
    """Return every check as it is stored, with those that held."""
    fields = ("expectation", "severity", "success", "checked", "unexpected", "detail")
    rows = [
        {field: getattr(finding, field) for field in fields} | {"examples": "; ".join(finding.examples)}
        for finding in result.findings
    ]
    return pd.DataFrame(rows)


def plan_table(plan: "Plan", text: Text) -> pd.DataFrame:
    """Return what the test set can prove of every class, and what to collect, the most wanting first."""
    rows = [
        {
            text.title("defect_class"): literal(item.defect_class),
            text.plain("in_all"): text.count(item.instances),
            text.plain("in_test"): text.count(item.test_instances),
            text.plain("provable"): text.at_least(item.best_provable),
            text.title("limit"): text.limit(item.limit),
            text.title("gate"): _decidable(item, text),
            text.plain("collect"): f"**+{text.count(item.collect)}**" if item.collect else text.value(None),
        }
        for item in sorted(
            plan.classes, key=lambda item: (-item.collect, -item.more_test, -item.more_groups, item.defect_class)
        )
    ]
    return pd.DataFrame(rows)


def plan_data(plan: "Plan") -> pd.DataFrame:
    """Return the same as it was computed."""
    fields = ("defect_class", "instances", "test_instances", "best_provable", "limit", "decidable")
    needs = ("more_test", "more_groups", "collect")
    return pd.DataFrame([{field: getattr(item, field) for field in (*fields, *needs)} for item in plan.classes])


def held_table(held: Sequence[HeldBack], text: Text) -> pd.DataFrame:
    """Return the quarantine by reason, the most frequent first."""
    total, waiting = Counter(item.entry.reason for item in held), Counter[str]()
    for item in held:
        waiting[item.entry.reason] += item.state == "open"
    rows = [
        {
            text.plain("reason"): text.say(f"reason_{reason}"),
            text.plain("files"): text.count(count),
            text.plain("undecided_files"): text.count(waiting[reason]),
            text.plain("example"): literal(next(item.entry.path for item in held if item.entry.reason == reason)),
        }
        for reason, count in total.most_common()
    ]
    return pd.DataFrame(rows)


def held_data(held: Sequence[HeldBack]) -> pd.DataFrame:
    """Return the quarantine as it is stored, file by file."""
    fields = ("id", "path", "reason", "detail", "created_at")
    rows = [{field: getattr(item.entry, field) for field in fields} | {"state": item.state} for item in held]
    return pd.DataFrame(rows)


def review_table(review: Sequence[tuple[ReviewItem, ReviewState]], text: Text) -> pd.DataFrame:
    """Return items of the review list in the order given."""
    rows = [
        {
            text.plain("suspicion"): text.say(f"suspicion_{item.kind}"),
            text.plain("label"): literal(item.label),
            text.plain("image"): literal(item.sample),
            text.plain("detail_of"): literal(_suspected(item, text)),
            text.plain("state"): f":{STATES[state]}-badge[{text.say(f'review_{state}')}]",
        }
        for item, state in review
    ]
    return pd.DataFrame(rows)


def review_data(review: Sequence[tuple[ReviewItem, ReviewState]]) -> pd.DataFrame:
    """Return the whole review list as it is stored."""
    fields = ("id", "kind", "score", "label", "sample", "box_index", "detail", "created_at")
    rows = [{field: getattr(item, field) for field in fields} | {"state": state} for item, state in review]
    return pd.DataFrame(rows)


def _checked(finding: ValidationFinding, text: Text) -> str:
    """Return what a check found: the stored sentence is English, other languages tell its figures."""
    if text.language == "en":
        return finding.detail
    figures = {"least": finding.low, "most": finding.high, "measured": finding.value}
    told = [text.plain(key, value=f"{figure:.3g}") for key, figure in figures.items() if figure is not None]
    return ", ".join(told) or text.value(None)


def _suspected(item: ReviewItem, text: Text) -> str:
    """Return what is suspicious about a box; the stored sentence is English, other languages tell its figure."""
    if text.language == "en":
        return item.detail
    value = text.percent(round(item.score, 2)) if item.kind is Suspicion.WHOLE_IMAGE else f"{abs(item.score):.3g}"
    return text.plain(f"figure_{item.kind}", value=value)


def _decidable(item: ClassPower, text: Text) -> str:
    if item.decidable:
        return f":blue-badge[:material/check_circle: {text.say('can_decide')}]"
    lacking = {"lacks": item.more_test, "lacks_groups": item.more_groups}
    told = ", ".join(text.say(key, count=text.count(count)) for key, count in lacking.items() if count)
    return f":orange-badge[:material/help: {told}]"
