"""Classes: what the model finds of each defect class, what it misses, and what would help."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import streamlit as st

from dashboards import class_charts, tables
from dashboards.context import UNREADABLE, Context
from dashboards.parts import RETRAIN, commands, figure, pick, section, show_table, unreadable
from dashboards.reading.classes import ClassesView, load_classes
from dashboards.reading.line import Judged
from dashboards.texts import Text, literal
from dashboards.views import evidence

if TYPE_CHECKING:
    from dashboards.reading.mistakes import Mistake

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_classes", "classes"
CURVE = "wafergate curve --line LINE.toml"
AUDIT = (
    "wafergate audit export --line LINE.toml --to FOLDER",
    'wafergate audit import FOLDER --line LINE.toml --as NAME --reason "WHY"',
    "wafergate audit figures --line LINE.toml",
)
PICTURES = 6  # of misses, and of false alarms
WIDTH = 196  # pixels; all of them stand in one row on a desk, in two on a tablet


def render(context: Context) -> None:
    """Show the figures of every class, then one class by itself."""
    text = context.text
    view = context.read(load_classes, context.line)
    if view.shown is None:
        commands("empty_model", [RETRAIN], text)
        return
    evidence.recall(view.shown, text)
    evidence.rates(view.shown, view.looks, text)
    if len(view.past) > 1:
        st.caption(text.say("rates_history", count=len(view.past)))
        figure(class_charts.rate_history(view.past, text), "rate-history", "rates_history_alt", text)
    _production(view, text)
    section("one_class_title", text, "defect_class")
    names = [item.defect_class for item in view.shown.evaluation.classes]
    name = pick("class", text.plain("choose_class"), names)
    _history(view, name, context)
    _mistakes(view.shown, name, context)
    _curve(view, name, context)


def _history(view: ClassesView, name: str, context: Context) -> None:
    text = context.text
    st.markdown(f"##### {text.say('history_title')}", help=text.explain("recall"), anchors=False)
    st.caption(text.say("history_note"))
    figure(class_charts.recall_history(view.past, name, text), "recall-history", "history_alt", text)


def _mistakes(shown: Judged, name: str, context: Context) -> None:
    # imported here: OpenCV and Parquet take seconds that no other page should wait for
    from dashboards.reading.mistakes import load_mistakes

    text = context.text
    st.markdown(f"##### {text.say('mistakes_title')}", anchors=False)
    try:
        found = context.read(load_mistakes, shown.evaluation.id, name, PICTURES, door=("facts", "files"))
    except UNREADABLE as error:
        unreadable(error, text)
        return
    st.caption(text.say("mistakes_note", model=text.model(shown.model)))
    if not found.missed and not found.alarmed:
        st.markdown(text.say("mistakes_none"))
    _pictures("missed_of", found.misses, found.missed, "misses", text)
    _pictures("alarmed_of", found.alarms, found.alarmed, "alarms", text)


def _pictures(key: str, shown: "Sequence[Mistake]", count: int, name: str, text: Text) -> None:
    if not shown:
        return
    st.markdown(text.say(key, shown=len(shown), count=text.count(count)))
    with st.container(horizontal=True, key=name):
        for mistake in shown:
            with st.container(width=WIDTH, gap="small"):
                st.image(mistake.picture, width=WIDTH)
                st.caption(_told(mistake, text), help=literal(mistake.sample))


def _told(mistake: "Mistake", text: Text) -> str:
    """Return what went wrong, and in which image."""
    spot = mistake.spot
    if spot.score is not None:
        told = text.say("alarm_score", score=text.value(spot.score, 2))
        told += f", {text.say('labelled_as', other=spot.other)}" if spot.other else ""
    else:
        told = text.say("taken_for", other=spot.other) if spot.other else text.say("was_missed")
    return f"{told}  \n{literal(PurePosixPath(mistake.sample).name)}"


def _production(view: ClassesView, text: Text) -> None:
    section("production_title", text, "production")
    figures = view.production
    if figures is None:
        commands("production_none", AUDIT, text)
        return
    st.caption(
        text.say(
            "production_of",
            since=text.when(figures.since),
            until=text.when(figures.until),
            images=text.count(figures.images),
            inspected=text.count(figures.inspected),
            waiting=text.count(figures.waiting),
            confidence=text.percent(figures.confidence),
        )
    )
    show_table(
        tables.production_table(figures, view.shown, text),
        name=f"production-{figures.id}",
        text=text,
        alt="production_alt",
        data=tables.production_data(figures),
        key="production-table",
    )


def _curve(view: ClassesView, name: str, context: Context) -> None:
    text = context.text
    section("curve_title", text, "learning_curve")
    curves = {item.defect_class: item for item in view.curve.classes} if view.curve else {}
    if view.curve is None or name not in curves:
        commands("curve_none", [CURVE], text)
        return
    curve = curves[name]
    if curve.gain is not None and curve.gain_lower is not None and curve.gain_upper is not None:
        points = [text.value(100 * gain, 1) for gain in (curve.gain, curve.gain_lower, curve.gain_upper)]
        words = dict(zip(("gain", "lower", "upper"), points, strict=True))
        st.markdown(text.say("curve_gain", more=text.count(view.curve.more), name=name, **words))
    else:
        st.markdown(text.say("curve_no_law"))
    st.caption(text.say("curve_note", when=text.when(view.curve.created_at), candidate=view.curve.candidate))
    figure(class_charts.learning_curve(curve, text), "learning-curve", "curve_alt", text)
