"""The frame around every page: language, line, navigation, and one sentence when the store does not answer."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dashboards import data
from dashboards.palette import Palette, load_palette
from dashboards.parts import commands, trouble
from dashboards.texts import LANGUAGES, Text, choose_language, choose_zone
from dashboards.views import today
from wafergate.errors import ConfigError, NotFoundError, WafergateError
from wafergate.ports import FactStore

__all__ = ["run"]

# A file of our own: Streamlit fetches icons it knows by name from a font service on the internet.
ICON = Path(__file__).parent / "icon.svg"
OpenFacts = Callable[[], FactStore]
FRESH = "10s"  # how old a figure on screen may be when a page is opened


# The leading underscore keeps Streamlit from hashing the function; `store` tells one store's results from another's.
@st.cache_resource(show_spinner=False, max_entries=8)  # type: ignore[untyped-decorator]
def _facts(_open_facts: OpenFacts, store: str) -> FactStore:  # noqa: ARG001 - part of the key
    return _open_facts()


@st.cache_data(show_spinner=False, ttl=FRESH, max_entries=8)  # type: ignore[untyped-decorator]
def _lines(_open_facts: OpenFacts, store: str) -> list[str]:
    return data.list_lines(_facts(_open_facts, store))


@st.cache_data(show_spinner=False, ttl=FRESH, max_entries=64)  # type: ignore[untyped-decorator]
def _view(_open_facts: OpenFacts, store: str, line: str) -> data.LineView:
    return data.load_view(_facts(_open_facts, store), line)


def run(open_facts: OpenFacts, *, store: str = "facts") -> None:
    """Show the dashboard over a store; nothing is ever written through it.

    Args:
        open_facts: opens the store, once in the life of the process.
        store: its name; results are cached under it.
    """
    language = choose_language(st.query_params.get("lang"), st.context.locale)
    text = Text(language, choose_zone(st.context.timezone))
    st.set_page_config(page_title=f"wafergate · {text.plain('page_title')}", page_icon=str(ICON), layout="wide")
    palette = load_palette("dark" if st.context.theme.type == "dark" else "light")

    def show_today() -> None:
        _guarded(lambda: _today(open_facts, store, text, palette), text)

    # A further page is a further entry here; a single one shows no menu.
    page = st.navigation(
        [st.Page(show_today, title=text.plain("page_title"), url_path="today", default=True)], position="top"
    )
    page.run()


def _guarded(show: Callable[[], None], text: Text) -> None:
    """Show a page; where the platform's own errors end it, say what to do instead."""
    try:
        show()
    except ConfigError as error:
        trouble("not_set_up", error, text)
    except NotFoundError as error:
        trouble("broken_row", error, text)
    except WafergateError as error:
        trouble("no_service", error, text)


def _today(open_facts: OpenFacts, store: str, text: Text, palette: Palette) -> None:
    head, controls = st.columns([3, 2], vertical_alignment="bottom")
    head.title(text.plain("page_title"), anchor=False)
    with controls.container(horizontal=True, horizontal_alignment="right", vertical_alignment="bottom"):
        line_place = st.container(width="content")
        _language_switch(text)
    with st.spinner(text.plain("loading")):
        lines = _lines(open_facts, store)
        views = {line: _view(open_facts, store, line) for line in lines}
    if not lines:
        st.subheader(text.plain("empty_title"), anchor=False)
        commands("empty_text", ["make demo", "wafergate retrain --line LINE.toml --format coco --source FOLDER"], text)
        return
    asked = st.query_params.get("line")
    line = asked if asked in views else lines[0]
    with line_place:
        _line_switch(lines, line, text)
    if asked and asked not in views:
        st.warning(text.say("unknown_line", line=asked, shown=line))
    if len(lines) > 1:
        today.overview(tuple(views.values()), text)
    today.render(views[line], text, palette)


def _language_switch(text: Text) -> None:
    def choose() -> None:
        st.query_params["lang"] = st.session_state.language

    st.segmented_control(
        text.plain("language"),
        list(LANGUAGES),
        default=text.language,
        required=True,
        format_func=LANGUAGES.__getitem__,
        key="language",
        on_change=choose,
        label_visibility="collapsed",
    )


def _line_switch(lines: list[str], line: str, text: Text) -> None:
    def choose() -> None:
        st.query_params["line"] = st.session_state.line

    if len(lines) > 1:
        st.selectbox(text.term("line"), lines, index=lines.index(line), key="line", on_change=choose, width=240)
