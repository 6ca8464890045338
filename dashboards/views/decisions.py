"""Decisions: the ledger as a story, and each gate decision rule by rule with what it stands on."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboards import decision_tables as tables
from dashboards import reasons
from dashboards.context import Context
from dashboards.parts import RETRAIN, choose, commands, fold, section, show_table, stored_page
from dashboards.reading.decisions import Chosen, Story, load_decision, load_story
from dashboards.texts import Text, literal
from dashboards.views import evidence
from wafergate.domain.choice import ModelChoice
from wafergate.domain.gate import LedgerEntry
from wafergate.formats.verdicts import code_licence

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_decisions", "decisions"
NEWEST = 10  # entries of the story that are shown at once


def render(context: Context) -> None:
    """Show what was decided about the line, and one gate decision whole."""
    text, story = context.text, context.read(load_story, context.line)
    _story(story, context.line, text)
    if not story.decisions:
        commands("empty_model", [RETRAIN], text)
        return
    section("gate_title_one", text, "gate")
    names = {item.id: _name(item.id, story, text) for item in story.decisions}
    decision_id = choose("decision", text.plain("choose_decision"), names)
    chosen = context.read(load_decision, decision_id)
    evidence.gate(chosen.judged, text)
    if chosen.report is not None:
        stored_page(chosen.report.page, "open_report", context)
    _comparison(chosen, text)
    _choice(chosen.choice, text)
    _licences(chosen, text)


def _name(decision_id: str, story: Story, text: Text) -> str:
    decision = next(item for item in story.decisions if item.id == decision_id)
    model = story.models.get(decision.model_id)
    named = text.model(model) if model else decision.model_id
    return f"{named} · {text.word(decision.verdict)} · {text.when(decision.created_at)}"


def _story(story: Story, line: str, text: Text) -> None:
    section("story_title", text, "ledger")
    st.caption(text.say("story_note"))
    if not story.ledger:
        st.markdown(text.say("story_empty"))
        return
    newest, older = story.ledger[:NEWEST], story.ledger[NEWEST:]
    _entries(newest, story, f"{line}-ledger", text)
    if older:
        label = text.plain("older_entries", count=text.count(len(older)))
        fold("older", label, partial(_entries, older, story, f"{line}-ledger-older", text))


def _entries(entries: Sequence[LedgerEntry], story: Story, name: str, text: Text) -> None:
    table = tables.story_table(entries, story, text)
    show_table(table, name=name, text=text, alt="story_alt", data=tables.story_data(entries))


def _comparison(chosen: Chosen, text: Text) -> None:
    section("comparison_title", text, "challenger")
    comparison = chosen.comparison
    if comparison is None or chosen.beaten is None:
        st.markdown(text.say("comparison_none"))
        return
    if comparison.reason:
        st.markdown(literal(reasons.not_compared(comparison, chosen.judged.model, chosen.beaten, text)))
        return
    models = {"challenger": text.model(chosen.judged.model), "champion": text.model(chosen.beaten)}
    counts = {"images": text.count(comparison.images), "left_out": text.count(comparison.left_out)}
    st.caption(text.say("comparison_of", **models, **counts))
    show_table(
        tables.comparison_table(comparison, text),
        name=f"comparison-{comparison.id}",
        text=text,
        alt="comparison_alt",
        data=tables.comparison_data(comparison),
        key="comparison-table",
    )


def _choice(choice: ModelChoice | None, text: Text) -> None:
    section("choice_title", text, "model_choice")
    if choice is None:
        st.markdown(text.say("choice_none"))
        return
    st.caption(text.say("choice_of", when=text.when(choice.created_at), count=len(choice.standings)))
    show_table(
        tables.choice_table(choice, text),
        name=f"choice-{choice.id}",
        text=text,
        alt="choice_alt",
        data=tables.choice_data(choice),
        key="choice-table",
    )


def _licences(chosen: Chosen, text: Text) -> None:
    section("licences_title", text, "licence")
    candidate, dataset = chosen.judged.model.candidate, chosen.judged.dataset.licence
    lines = [text.say("licence_code", licence=code_licence(chosen.judged.decision, chosen.judged.model))]
    if chosen.weights_licence is not None:
        named = chosen.weights_licence or text.plain("licence_unnamed")
        lines.append(text.say("licence_weights", licence=named))
    lines.append(text.say("licence_data", licence=dataset))
    if candidate.licence_source:
        lines.append(text.say("licence_source", source=candidate.licence_source))
    st.markdown("\n".join(f"- {line}" for line in lines))
