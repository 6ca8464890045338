"""Data: which images and labels stand behind the line's models, what waits for a person, and what to collect."""

from collections import Counter

import streamlit as st

from dashboards import charts
from dashboards import data_tables as tables
from dashboards.context import Context
from dashboards.parts import choose, commands, figure, section, show_table, stored_page
from dashboards.reading.datasets import OneVersion, count_held, load_held, load_version, load_versions
from dashboards.texts import Text
from dashboards.views import evidence
from wafergate.domain.review import ReviewState

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_data", "data"
INTAKE = "wafergate intake --line LINE.toml --format coco --source FOLDER"
LISTED = 20  # items of the review list that are shown; the file has them all


def render(context: Context) -> None:
    """Show every version, then one of them whole, then the line's quarantine."""
    text = context.text
    versions = context.read(load_versions, context.line)
    if not versions:
        commands("empty_data", [INTAKE], text)
        return
    section("versions_title", text, "dataset_version")
    show_table(
        tables.versions_table(versions, text),
        name=f"{context.line}-versions",
        text=text,
        alt="versions_alt",
        data=tables.versions_data(versions),
        key="versions-table",
    )
    names = {str(item.number): f"{item.number} · {text.when(item.created_at)}" for item in versions}
    number = int(choose("version", text.plain("choose_version"), names))
    chosen = context.read(load_version, next(item.id for item in versions if item.number == number))
    _version(chosen, context)
    _plan(chosen, context)
    _review(chosen, context.line, text)
    _quarantine(context)


def _version(chosen: OneVersion, context: Context) -> None:
    text, version = context.text, chosen.version
    st.markdown("\n".join(f"- {line}" for line in evidence.version_lines(version, text)))
    section("split_title", text, "split")
    if chosen.split is None:
        commands("split_none", [f"wafergate split make {version.number} --line LINE.toml"], text)
    else:
        st.markdown(evidence.split_line(chosen.split, text))
        evidence.split_warnings(chosen.split, text)
        chart = charts.instance_counts(chosen.split, list(version.instances), text)
        figure(chart, "counts-chart", "counts_alt", text)
    _checks(chosen, context)


def _checks(chosen: OneVersion, context: Context) -> None:
    text, result = context.text, chosen.validation
    section("checks_title", text, "validation")
    if result is None:
        st.markdown(text.say("checks_none"))
        return
    st.markdown(evidence.checks_line(result, text))
    if any(not finding.success for finding in result.findings):
        show_table(
            tables.findings_table(result, text),
            name=f"checks-{result.id}",
            text=text,
            alt="checks_alt",
            data=tables.findings_data(result),
            key="checks-table",
        )
    if result.docs is not None:
        stored_page(result.docs, "open_docs", context)


def _plan(chosen: OneVersion, context: Context) -> None:
    text, plan = context.text, chosen.plan
    section("plan_title", text)
    if plan is None:
        commands("plan_none", [f"wafergate plan {chosen.version.number} --line LINE.toml"], text)
        return
    wanting = [item.defect_class for item in plan.classes if not item.decidable]
    if plan.decidable:
        st.markdown(text.say("plan_decidable"))
    elif wanting:
        st.markdown(text.say("plan_wanting", names=", ".join(wanting)))
    if plan.test_per_class:
        st.markdown(text.say("plan_raised", count=text.count(plan.test_per_class)))
    normals = plan.normals
    if normals is not None and not normals.decidable:
        st.markdown(text.say("plan_normals", images=text.count(normals.images), more=text.count(normals.more_test)))
    show_table(
        tables.plan_table(plan, text),
        name=f"plan-{chosen.version.id}",
        text=text,
        alt="plan_alt",
        data=tables.plan_data(plan),
        key="plan-table",
    )


def _review(chosen: OneVersion, line: str, text: Text) -> None:
    section("review_title", text, "bounding_box")
    if not chosen.review:
        st.markdown(text.say("review_none"))
        return
    counts = Counter(state for _, state in chosen.review)
    waiting = [pair for pair in chosen.review if pair[1] is ReviewState.OPEN]
    st.markdown(
        text.say(
            "review_counts",
            open=text.count(counts[ReviewState.OPEN]),
            kept=text.count(counts[ReviewState.KEPT]),
            corrected=text.count(counts[ReviewState.CORRECTED]),
        )
    )
    st.caption(text.say("review_note", line=line))
    shown = (waiting or list(chosen.review))[:LISTED]
    show_table(
        tables.review_table(shown, text),
        name=f"review-{chosen.version.id}",
        text=text,
        alt="review_alt",
        data=tables.review_data(chosen.review),
        key="review-table",
    )


def _quarantine(context: Context) -> None:
    line, text = context.line, context.text
    held, entries = context.read(load_held, line), context.read(count_held, line)
    section("quarantine_title", text, "quarantine")
    if not held:
        st.markdown(text.say("quarantine_none"))
        return
    st.caption(text.say("quarantine_note"))
    if entries > len(held):
        st.caption(text.say("quarantine_cut", shown=text.count(len(held)), count=text.count(entries)))
    show_table(
        tables.held_table(held, text),
        name=f"{line}-quarantine",
        text=text,
        alt="quarantine_alt",
        data=tables.held_data(held),
        key="quarantine-table",
    )
