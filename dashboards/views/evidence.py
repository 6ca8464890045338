"""The sections behind the state: rates, the gate's rules, alerts, drift, data."""

from collections.abc import Sequence

import streamlit as st

from dashboards import charts, tables, told
from dashboards.data_tables import check_name
from dashboards.parts import commands, fact, figure, section, show_table
from dashboards.reading.line import Judged, LineView
from dashboards.texts import Text, literal, literal_with_commands
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.drift import DriftVerdict
from wafergate.domain.evaluation import Rate
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import Side, Split
from wafergate.domain.validation_rows import ValidationResult
from wafergate.formats import verdicts
from wafergate.formats.alert_titles import alert_title

__all__ = [
    "alerts",
    "checks_line",
    "dataset",
    "drift",
    "gate",
    "rates",
    "recall",
    "split_line",
    "split_warnings",
    "verdict",
    "version_lines",
]

WATCH = "wafergate watch --line LINE.toml --source FOLDER"
DRIFT_BADGES = {
    DriftVerdict.STABLE: ("blue", "check_circle"),
    DriftVerdict.DRIFTED: ("red", "cancel"),
    DriftVerdict.NOT_ENOUGH: ("orange", "help"),
}


def recall(judged: Judged, text: Text) -> None:
    """Show each class's recall with its bounds against the limit, as a picture and as a table."""
    section("recall_title", text, "recall")
    evaluation = judged.evaluation
    st.caption(
        text.say(
            "recall_of",
            model=text.model(judged.model),
            images=text.count(evaluation.images),
            confidence=text.percent(evaluation.confidence),
            iou=f"{evaluation.iou:g}",
        )
    )
    chart = charts.recall_intervals(evaluation, judged.decision, text)
    figure(chart, "recall-chart", "recall_alt", text)
    show_table(
        tables.class_table(judged, text),
        name=f"{judged.decision.line}-{judged.evaluation.id}",
        text=text,
        alt="class_table_alt",
        data=tables.class_data(judged),
        key="class-table",
    )


def rates(judged: Judged, looks: int, text: Text) -> None:
    """Show escape and overkill rate with the 'all normal' baseline and the test set beside them."""
    section("rates_title", text)
    evaluation = judged.evaluation
    limits = {rule.rule: rule.limit for rule in judged.decision.rules if not rule.subject}
    with st.container(horizontal=True):
        _rate("escape_rate", evaluation.escapes, limits.get("escapes"), evaluation.confidence, text)
        _rate("overkill_rate", evaluation.overkill, limits.get("overkill"), evaluation.confidence, text)
        _tile("baseline", text.value(evaluation.baseline_accuracy), [text.say("baseline_note")], text)
        lines = [text.say("looks", look=evaluation.look, looks=looks)]
        _tile("test_set", text.plain("test_images", images=text.count(evaluation.images)), lines, text)


def _rate(term: str, rate: Rate, limit: float | None, confidence: float, text: Text) -> None:
    if rate.value is None:
        _tile(term, text.value(None), [text.say("no_images")], text)
        return
    lines = [
        text.say("counts", hits=text.count(rate.hits), trials=text.count(rate.trials)),
        text.say("bound_upper", bound=text.at_most(rate.upper), confidence=text.percent(confidence)),
    ]
    if limit is not None:
        lines.append(text.say("limit_is", limit=text.limit(limit)))
    _tile(term, text.value(rate.value), lines, text)


def _tile(term: str, value: str, lines: list[str], text: Text) -> None:
    fact(text.term(term), value, key=f"tile-{term}", explanation=text.explain(term), notes=lines, box=True)


def verdict(judged: Judged, text: Text) -> None:
    """Show what the gate said of a model, and what would change it."""
    decision = judged.decision
    with st.container(key="gate-verdict"):
        named = text.say("gate_of", model=text.model(judged.model), when=text.when(decision.created_at))
        st.markdown(f"{tables.verdict_badge(decision.verdict, text)} {named}")
    st.markdown(literal(verdicts.summary(decision, judged.grounds, text)))
    steps = told.next_steps(decision, text)
    if steps:
        st.markdown(f"**{text.say('next_steps')}**\n" + "\n".join(f"- {literal_with_commands(step)}" for step in steps))


def gate(judged: Judged, text: Text) -> None:
    """Show a verdict rule by rule."""
    decision = judged.decision
    verdict(judged, text)
    show_table(
        tables.rule_table(judged, text),
        name=f"{decision.line}-{decision.id}",
        text=text,
        alt="rules_alt",
        data=tables.rule_data(decision),
        key="rule-table",
    )


def alerts(view: LineView, text: Text) -> None:
    """Show the open alerts, those of one cause together, the newest first."""
    section("alerts_title", text, "alert")
    causes: dict[str, list[Alert]] = {}
    for alert in view.alerts:
        causes.setdefault(alert.key or alert.id, []).append(alert)
    with st.container(key="alerts"):
        for same in causes.values():
            _alert(same, view, text)
    st.caption(text.say("alerts_rule" if view.alerts else "no_alerts"))


def _alert(same: Sequence[Alert], view: LineView, text: Text) -> None:
    """Show the newest of the alerts of one cause, and how often it came up."""
    alert = same[0]
    if alert.state is AlertState.SENT and alert.sent_at is not None:
        state = f":gray-badge[{text.say('alert_sent', when=text.when(alert.sent_at))}]"
    else:
        state = f":orange-badge[:material/schedule: {text.say('alert_waiting', attempts=alert.attempts)}]"
    with st.container(border=True):
        title = alert_title(alert, view.subjects, text)
        times = text.say("alert_times", count=text.count(len(same)), when=text.when(same[-1].created_at))
        again = f" :gray-badge[{times}]" if len(same) > 1 else ""
        st.markdown(f"**{literal(title)}** :gray-badge[{text.title(alert.cause)}] {state}{again}")
        with st.expander(text.plain("details"), type="compact"):
            st.text(alert.body)
        if alert.last_error and alert.state is AlertState.WAITING:
            st.caption(text.say("alert_error", error=alert.last_error))


def drift(view: LineView, text: Text) -> None:
    """Show the newest drift report, or what to run for one."""
    section("drift_title", text, "drift")
    report = view.drift
    if report is None:
        commands("empty_drift", [WATCH], text)
        return
    hue, icon = DRIFT_BADGES[report.verdict]
    with st.container(key="drift-verdict"):
        st.markdown(f":{hue}-badge[:material/{icon}: {text.term(report.verdict)}]")
    st.caption(
        text.say(
            "drift_of",
            current=text.count(report.current_images),
            source=text.word(report.source),
            reference=text.count(report.reference_images),
            when=text.when(report.created_at),
            drifted=sum(feature.drifted for feature in report.features),
            features=len(report.features),
            share=text.value(report.policy.share, 2),
        )
    )
    if view.judged is not None and not view.drift_is_current:
        st.caption(text.say("drift_other_data"))
    if report.features:
        figure(charts.drift_distances(report, text), "drift-chart", "drift_alt", text)


def dataset(view: LineView, text: Text) -> None:
    """Show the dataset version behind the shown model, its checks and its split."""
    version = view.dataset
    if version is None:
        return
    section("data_title", text, "dataset_version")
    st.markdown("\n".join(f"- {line}" for line in _data_lines(view, version, text)))
    if view.shown is not None:
        split_warnings(view.shown.split, text)


def split_warnings(split: Split, text: Text) -> None:
    """Show what the split could not reach, in one box; what is stored in English is told from figures elsewhere."""
    if not split.warnings:
        return
    notes = split.warnings if text.language == "en" else verdicts.split_notes(split, text)
    st.warning("\n".join(f"- {literal(note)}" for note in notes), icon=":material/warning:")


def version_lines(version: DatasetVersion, text: Text) -> list[str]:
    """Return what a dataset version is: size, origin, licence, and whether the customer agreed to its labels."""
    return [
        text.say(
            "dataset_line",
            number=version.number,
            images=text.count(version.images),
            normal=text.count(version.normal_images),
            quarantined=text.count(version.quarantined),
            source=version.source,
            format=version.format,
            licence=version.licence,
            when=text.when(version.created_at),
        ),
        text.say("taxonomy_signed" if version.taxonomy_signed else "taxonomy_unsigned"),
    ]


def _data_lines(view: LineView, version: DatasetVersion, text: Text) -> list[str]:
    lines = version_lines(version, text)
    if view.validation is not None:
        lines.append(checks_line(view.validation, text))
    if view.shown is not None:
        lines.append(split_line(view.shown.split, text))
    return lines


def checks_line(result: ValidationResult, text: Text) -> str:
    """Return in one sentence how many data checks held, and which did not."""
    broken = [check_name(finding, text) for finding in result.findings if not finding.success]
    key = "validation_broken" if broken else "validation_held"
    return text.say(key, count=len(result.findings), broken=len(broken), names=", ".join(broken))


def split_line(split: Split, text: Text) -> str:
    """Return in one sentence how even a split is, and that nothing leaks through it."""

    def evenness(side: Side) -> str:
        value = split.evenness.get(side, 0.0)
        return text.value(value, 2) if value else text.plain("evenness_absent")

    return text.say(
        "split_line",
        mode=text.term(split.mode),
        test=evenness(Side.TEST),
        validation=evenness(Side.VALIDATION),
        groups=text.count(split.groups),
        edges=split.leak.cross_edges,
        pairs=text.count(split.leak.pairs),
    )
