"""The part of Today that tells what waits for a person and what changed since yesterday."""

from datetime import datetime, timedelta

import streamlit as st

from dashboards import reasons
from dashboards.context import Context
from dashboards.parts import command_lines, section
from dashboards.reading.changes import Change, Changes, load_changes
from dashboards.texts import Text
from wafergate.domain.drift import DriftReport
from wafergate.domain.gate import GateDecision, LedgerEntry
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.samples import DatasetVersion
from wafergate.formats.alert_titles import alert_title
from wafergate.terminal import approval_command

__all__ = ["news", "sentence_of"]

SHOWN = 12  # changes; the pages they belong to have them all


def news(context: Context) -> None:
    """Show what waits for approval, and what happened since the beginning of yesterday where the reader is."""
    text = context.text
    today = datetime.now(text.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    changes = context.read(load_changes, context.line, today - timedelta(days=1))
    _awaiting(changes, context)
    section("changes_title", text)
    with st.container(key="changes"):
        if changes.rows:
            st.markdown("\n".join(f"- {sentence_of(row, changes, text)}" for row in changes.rows[:SHOWN]))
        else:
            st.markdown(text.say("changes_none"))
    if len(changes.rows) > SHOWN:
        st.caption(text.say("changes_more", count=text.count(len(changes.rows) - SHOWN)))


def _awaiting(changes: Changes, context: Context) -> None:
    text = context.text
    if not changes.awaiting:
        return
    section("awaiting_title", text, "approval")
    with st.container(border=True, key="awaiting"):
        for decision in changes.awaiting:
            model, when = _model(decision.model_id, changes, text), text.when(decision.created_at)
            st.markdown(text.say("awaiting", model=model, when=when))
            command_lines([approval_command(decision.id)])
            context.link("decisions", text.plain("open_decision"), decision=decision.id)


def sentence_of(row: Change, changes: Changes, text: Text) -> str:
    """Return one change as a sentence in Markdown."""
    when = text.when(row.created_at)
    reports = [item for item in changes.rows if isinstance(item, DriftReport)]
    if isinstance(row, GateDecision):
        model = _model(row.model_id, changes, text)
        return text.say("change_decided", when=when, model=model, verdict=text.word(row.verdict))
    if isinstance(row, LedgerEntry):
        model = _model(row.subject, changes, text)
        return text.say(f"change_{row.kind}", when=when, model=model, actor=row.actor, reason=row.reason)
    if isinstance(row, DriftReport):
        verdict, images = text.word(row.verdict), text.count(row.current_images)
        return text.say("change_drift", when=when, source=text.word(row.source), images=images, verdict=verdict)
    if isinstance(row, DatasetVersion):
        return text.say("change_data", when=when, number=row.number, images=text.count(row.images))
    if isinstance(row, GovernorDecision):
        summary = row.summary if text.language == "en" else reasons.governed(row, reports, text)
        return text.say("change_governor", when=when, summary=summary)
    return text.say("change_alert", when=when, title=alert_title(row, changes.subjects, text).rstrip("."))


def _model(model_id: str, changes: Changes, text: Text) -> str:
    model = changes.models.get(model_id)
    return text.model(model) if model else model_id
