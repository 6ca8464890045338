"""The frame around every page: navigation, language, line, and one sentence when a store does not answer."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from dashboards.context import Context, Doors, View
from dashboards.palette import load_palette
from dashboards.parts import commands, style_page, trouble
from dashboards.reading.line import list_lines
from dashboards.sign_in import admitted
from dashboards.texts import LANGUAGES, Text, choose_language, choose_zone
from dashboards.views import classes, data, decisions, drift, lots, runs, today, weekly
from wafergate.errors import ConfigError, NotFoundError, WafergateError

__all__ = ["VIEWS", "run"]

VIEWS: tuple[View, ...] = (today, classes, drift, data, decisions, lots, runs, weekly)
"""Every page in the order of the menu; the first one also opens at the root."""

# A file of our own: Streamlit fetches icons it knows by name from a font service on the internet.
ICON = Path(__file__).parent / "icon.svg"


def run(doors: Doors, *, store: str = "facts", views: Sequence[View] = VIEWS, sign_in: bool = False) -> None:
    """Show the dashboard over its stores; nothing is ever written through it.

    Args:
        doors: opens the stores, each once in the life of the process.
        store: their name; what is read is cached under it.
        views: the pages in the order of the menu.
        sign_in: whether anything is shown only to who has signed in.
    """
    language = choose_language(_kept("lang"), st.context.locale)
    text = Text(language, choose_zone(st.context.timezone))
    pages: dict[str, StreamlitPage] = {}
    context = Context("", (), text, doors, store, pages)
    for view in views:
        pages[view.PATH] = st.Page(partial(_show, view, context), title=text.plain(view.TITLE), url_path=view.PATH)
    front = st.Page(
        partial(_show, views[0], context), title=text.plain(views[0].TITLE), default=True, visibility="hidden"
    )
    page = st.navigation([front, *pages.values()], position="top")
    st.set_page_config(page_title=f"wafergate · {page.title}", page_icon=str(ICON), layout="wide")
    style_page(load_palette("dark" if st.context.theme.type == "dark" else "light"))
    if not sign_in or admitted(text):
        page.run()


def _kept(name: str) -> str | None:
    """Return a query parameter; a menu entry leads to an address without any, so the last value asked for is kept."""
    asked: str | None = st.query_params.get(name, st.session_state.get(f"kept-{name}"))
    if asked is not None:
        _keep(name, asked)
    return asked


def _keep(name: str, value: str) -> None:
    st.session_state[f"kept-{name}"] = value
    if st.query_params.get(name) != value:
        st.query_params[name] = value


def _show(view: View, context: Context) -> None:
    """Show a page; where the platform's own errors end it, say what to do instead."""
    text = context.text
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title(text.plain(view.TITLE), anchor=False)
        line_place = st.container(horizontal=True, vertical_alignment="bottom", width="content")
        _language_switch(text)
    try:
        with line_place.spinner(text.plain("loading")):
            _show_line(view, context, line_place)
    except ConfigError as error:
        trouble("not_set_up", error, text)
    except NotFoundError as error:
        trouble("broken_row", error, text)
    except WafergateError as error:
        trouble("no_service", error, text)


def _show_line(view: View, context: Context, place: DeltaGenerator) -> None:
    text = context.text
    lines = context.read(list_lines)
    if not lines:
        st.subheader(text.plain("empty_title"), anchor=False)
        commands("empty_text", ["make demo", "wafergate retrain --line LINE.toml --format coco --source FOLDER"], text)
        return
    asked = _kept("line")
    line = asked if asked in lines else lines[0]
    if len(lines) > 1:
        with place:
            _line_switch(lines, line, text)
    if asked and asked not in lines:
        st.warning(text.say("unknown_line", line=asked, shown=line))
    view.render(replace(context, line=line, lines=tuple(lines)))


def _language_switch(text: Text) -> None:
    # Set before the switch is made: a link may have asked for another language than the switch showed last.
    st.session_state.language = text.language
    st.segmented_control(
        text.plain("language"),
        list(LANGUAGES),
        required=True,
        format_func=LANGUAGES.__getitem__,
        key="language",
        on_change=lambda: _keep("lang", st.session_state.language),
        label_visibility="collapsed",
    )


def _line_switch(lines: list[str], line: str, text: Text) -> None:
    st.session_state.line = line
    st.selectbox(
        text.term("line"), lines, key="line", on_change=lambda: _keep("line", st.session_state.line), width=240
    )
