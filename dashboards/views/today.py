"""Today: is the line safe, which class is weak, what did the gate say, what drifted."""

from collections.abc import Sequence

import streamlit as st

from dashboards.context import Context
from dashboards.parts import RETRAIN, commands, fact, fold, section, show_table, state_badge
from dashboards.reading.line import LineView, load_view
from dashboards.standing import Standing, StandingNote, judge_standing
from dashboards.tables import glossary_data, glossary_table
from dashboards.texts import Text
from dashboards.views import evidence
from dashboards.views.news import news
from wafergate.domain.line_state import LineState, weakest_recall

__all__ = ["PATH", "TITLE", "overview", "render"]

TITLE, PATH = "title_today", "today"


def render(context: Context) -> None:
    """Show how every line stands, and one of them whole."""
    text = context.text
    views = {line: context.read(load_view, line) for line in context.lines}
    if len(views) > 1:
        overview(tuple(views.values()), text)
    view = views[context.line]
    _standing(view, text)
    news(context)
    evidence.alerts(view, text)
    if view.shown is None:
        commands("empty_model", [RETRAIN], text)
    else:
        evidence.recall(view.shown, text)
        weakest = weakest_recall(view.shown.decision)
        if weakest is not None:
            told = text.say("open_class", name=weakest.subject)
            context.link("classes", told, **{"class": weakest.subject})
        evidence.rates(view.shown, view.looks, text)
    if view.latest is not None:
        section("gate_title", text, "gate")
        evidence.verdict(view.latest, text)
        context.link("decisions", text.plain("open_decision"), decision=view.latest.decision.id)
    evidence.drift(view, text)
    evidence.dataset(view, text)
    if view.dataset is not None:
        context.link("data", text.plain("open_data"), version=str(view.dataset.number))
    _terms(text)
    st.caption(text.say("as_of", when=text.when(view.read_at)))


def overview(views: Sequence[LineView], text: Text) -> None:
    """Show every line's state and sentence, a row each, the worst state first."""
    worst_first = [LineState.BLIND, LineState.AT_RISK, LineState.COVERED]
    standings = sorted(
        ((judge_standing(view), view) for view in views), key=lambda pair: worst_first.index(pair[0].state)
    )
    with st.container(border=True, key="overview"):
        st.markdown(f"**{text.say('all_lines')}**")
        for standing, view in standings:
            badge, told = st.columns([1, 7], vertical_alignment="center")
            badge.markdown(state_badge(standing.state, text))
            told.markdown(sentence(view, standing, text))


def sentence(view: LineView, standing: Standing, text: Text) -> str:
    """Return the one sentence that says how a line stands."""
    values: dict[str, object] = {"line": view.line}
    if view.shown is not None:
        values["model"] = text.model(view.shown.model)
        values["verdict"] = text.term(view.shown.decision.verdict)
        weakest = weakest_recall(view.shown.decision)
        if weakest is not None:
            values["weakest"] = weakest.subject
            values["recall"] = text.value(weakest.value)
            values["bound"] = text.at_least(weakest.bound)
            values["limit"] = text.limit(weakest.limit)
    if view.drift_behind is not None:
        drifted = [item.feature for item in view.drift_behind.features if item.drifted]
        values["features"] = ", ".join(map(text.feature, drifted))
    return text.say(standing.sentence, **values)


def _note(note: StandingNote, view: LineView, text: Text) -> str:
    values: dict[str, object] = {}
    if note is StandingNote.DRIFT_FEW and view.drift is not None:
        values = {"images": view.drift.current_images, "minimum": view.drift.policy.min_images}
    if note is StandingNote.HELD_BACK and view.challenger is not None:
        verdict = text.term(view.challenger.decision.verdict)
        values = {"model": text.model(view.challenger.model), "verdict": verdict}
    if note is StandingNote.NEWER_DATA and view.newest_dataset is not None:
        values = {"number": view.newest_dataset.number}
    return text.say(note, **values)


def _standing(view: LineView, text: Text) -> None:
    standing = judge_standing(view)
    with st.container(border=True, key="standing"):
        st.markdown(f"{state_badge(standing.state, text)}")
        with st.container(key="sentence"):
            st.markdown(f"#### {sentence(view, standing, text)}", anchors=False)
        notes = [_note(note, view, text) for note in standing.notes]
        if notes:
            st.markdown("\n".join(f"- {note}" for note in notes))
        _champion(view, text)
        st.caption(text.say("rule_behind", rule=text.explain(standing.state) or ""))


def _champion(view: LineView, text: Text) -> None:
    judged, champion = view.shown, view.champion
    name = text.model(view.judged.model) if view.judged else text.plain("no_champion")
    with st.container(horizontal=True):
        fact(text.term("champion"), name, key="champion-name", explanation=text.explain("champion"))
        if champion is not None:
            fact(text.plain("since"), text.when(champion.since), key="champion-since")
            fact(text.plain("by"), champion.actor, key="champion-by")
            fact(text.plain("why"), champion.reason, key="champion-why")
        elif judged is not None:
            fact(text.plain("newest_model"), text.model(judged.model), key="newest-model")
            fact(text.plain("judged_at"), text.when(judged.decision.created_at), key="newest-judged")


def _terms(text: Text) -> None:
    def table() -> None:
        show_table(glossary_table(text), name="terms", text=text, alt="terms_title", data=glossary_data())

    fold("terms", text.plain("terms_title"), table, icon="menu_book")
