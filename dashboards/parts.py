"""Small pieces that several places of a page share."""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape

import pandas as pd
import streamlit as st

from dashboards.context import Context
from dashboards.palette import Palette
from dashboards.reading.files import page_link
from dashboards.tables import to_csv
from dashboards.texts import Text, literal
from wafergate.domain.line_state import LineState
from wafergate.errors import ServiceError, WafergateError
from wafergate.formats import svg

__all__ = [
    "RETRAIN",
    "choose",
    "command_lines",
    "commands",
    "fact",
    "figure",
    "figure_columns",
    "fold",
    "pick",
    "section",
    "show_table",
    "state_badge",
    "stored_page",
    "style_page",
    "trouble",
    "unreadable",
]

RETRAIN = "wafergate retrain --line LINE.toml --format coco --source FOLDER"

FIGURE = re.compile(r"\**[+\-−–]?(\d[\d,.]*)?( ?%)?( / \d[\d,]*)?( \([\d.–]+\))?\**")
DIGIT = re.compile(r"\d")
MOST_COLUMNS = 12

STATES = {
    LineState.COVERED: ("blue", "verified"),
    LineState.AT_RISK: ("orange", "warning"),
    LineState.BLIND: ("red", "visibility_off"),
}


def section(key: str, text: Text, term: str | None = None) -> None:
    """Write the heading of a section, with the explanation of its term."""
    st.subheader(text.plain(key), anchor=False, help=text.explain(term) if term else None)


def fact(label: str, value: str, *, key: str, explanation: str | None = None) -> None:
    """Write a label and, below it, a value from data, alone in a container that tests find by its key."""
    with st.container(gap=None):
        st.caption(label, help=explanation)
        with st.container(key=key):
            st.markdown(f"**{literal(value)}**")


def figure(chart: str, key: str, alt: str, text: Text) -> None:
    """Show a chart of `wafergate.formats.svg`; `alt` is the key of what tells a screen reader what it shows."""
    with st.container(key=key):
        # Not st.html, which takes every SVG out; the chart's own text is escaped, also for Markdown.
        st.markdown(svg.figure(chart, text.plain(alt)), unsafe_allow_html=True)


def stored_page(digest: str, label: str, context: Context) -> None:
    """Write a button that opens a stored page in a window of its own; `label` is the key of its words."""
    address = context.read(page_link, digest, door="files")
    st.link_button(context.text.plain(label), address, icon=":material/open_in_new:")


def state_badge(state: LineState, text: Text) -> str:
    """Return a line's state as a coloured Markdown badge with an icon and its word."""
    hue, icon = STATES[state]
    return f":{hue}-badge[:material/{icon}: {text.term(state)}]"


def commands(key: str, lines: Sequence[str], text: Text) -> None:
    """Say what to run, and show the commands to copy."""
    st.markdown(text.say(key))
    command_lines(lines)


def command_lines(lines: Sequence[str]) -> None:
    """Show commands to copy: a click marks them all."""
    # Not st.code, whose library of languages keeps a browser busy for longer than the rest of a page.
    told = escape("\n".join(lines))
    st.html(f'<pre class="commands" tabindex="0">{told}</pre>')


def fold(key: str, label: str, draw: Callable[[], None], *, icon: str = "table_rows") -> None:
    """Write a line that opens; what lies behind it is drawn only once it is open, so that no page waits for it."""
    box = st.expander(label, key=f"fold-{key}", icon=f":material/{icon}:", on_change="rerun")
    if box.open:
        with box:
            draw()


def trouble(key: str, error: WafergateError, text: Text) -> None:
    """Say in one sentence why nothing can be shown and what to do, with the platform's own message below."""
    with st.container(key="trouble"):
        st.error(text.say(key), icon=":material/cloud_off:")
        st.caption(text.say("detail", message=error))


def unreadable(error: WafergateError, text: Text, *, name: str = "") -> None:
    """Say why stored pictures are not shown and what to do; the page goes on without them.

    Args:
        error: what the store said, one of `dashboards.context.UNREADABLE`.
        text: the reader's language.
        name: the picture that cannot be read, where others may be.
    """
    st.markdown(text.say("files_away" if isinstance(error, ServiceError) else "file_gone"))
    st.caption(text.say("detail", message=f"{name}: {error}" if name else error))


def figure_columns(shown: pd.DataFrame) -> list[int]:
    """Return the places, from 1, of the columns that hold nothing but figures: digits stand under digits there."""
    places = []
    for place, name in enumerate(shown.columns, start=1):
        cells = [str(cell) for cell in shown[name]]
        if all(FIGURE.fullmatch(cell) for cell in cells) and any(DIGIT.search(cell) for cell in cells):
            places.append(place)
    return places


def style_page(palette: Palette) -> None:
    """Set figures to the right, break lines between words, colour charts by the reader's theme; once a page."""
    rules = [
        f"[class*='-right{place}-'] :is(th, td):nth-child({place}) {{ text-align: right !important; }}"
        f" [class*='-right{place}-'] td:nth-child({place}) p {{ white-space: nowrap; }}"
        for place in range(1, MOST_COLUMNS + 1)
    ]
    # Korean breaks between words, as its readers expect; a long file name still breaks anywhere.
    words = "word-break: keep-all !important; overflow-wrap: anywhere;"
    rules.append(f"[data-testid='stMain'] :is(p, li) {{ {words} }}")
    rules.append("[data-testid='stTable'] th p { overflow-wrap: normal !important; }")
    rules.append("[data-testid='stTable'] [data-testid='stMarkdownContainer'] { max-width: 44rem; }")
    rules.append(
        ".commands { user-select: all; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: 0.9rem 1rem;"
        f" background: {palette.wash}; color: {palette.text}; border-radius: 0.25rem; font-size: 0.9rem; }}"
    )
    rules.append(f".chart {{ {palette.variables()} }} {svg.chart_style()}")
    st.html(f"<style>{' '.join(rules)}</style>")


def show_table(
    shown: pd.DataFrame, *, name: str, text: Text, alt: str, data: pd.DataFrame | None = None, key: str | None = None
) -> None:
    """Show a table, and offer it as CSV.

    Args:
        shown: cells as Markdown, escaped where they hold data.
        name: the file's name without its ending.
        text: the reader's language.
        alt: key of the sentence that tells a screen reader what the table shows.
        data: the same rows as values for the file, unrounded and unescaped; `shown` itself where it holds plain values.
        key: the container tests find it by; `name` where absent.
    """
    marks = "".join(f"-right{place}" for place in figure_columns(shown))
    with st.container(key=key or name):
        with st.container(key=f"{key or name}-cells{marks}-"):
            st.table(shown, border="horizontal", hide_index=True, alt=text.plain(alt))
        st.download_button(
            text.plain("csv"),
            to_csv(shown if data is None else data),
            file_name=f"{name}.csv",
            mime="text/csv",
            icon=":material/download:",
            type="tertiary",
            key=f"{key or name}-csv",
            on_click="ignore",
        )


def choose(name: str, label: str, options: Mapping[str, str]) -> str:
    """Let the reader choose one of several things, and keep the choice in the address.

    Args:
        name: the query parameter.
        label: what is chosen, without Markdown.
        options: at least one value with the words it is shown as; the first one is shown until another is asked for.

    Returns:
        The chosen value.
    """
    key = f"choose-{name}"
    asked = st.query_params.get(name)
    # Set before the box is made: a link may have asked for another value than the box showed last.
    st.session_state[key] = asked if asked in options else next(iter(options))

    def keep() -> None:
        st.query_params[name] = st.session_state[key]

    chosen: str = st.selectbox(label, list(options), key=key, format_func=options.__getitem__, on_change=keep)
    return chosen


def pick(name: str, label: str, options: Sequence[str]) -> str:
    """Let the reader click one of a few names, all of them in sight; otherwise as `choose`."""
    key = f"choose-{name}"
    asked = st.query_params.get(name)
    st.session_state[key] = asked if asked in options else options[0]

    def keep() -> None:
        st.query_params[name] = st.session_state[key]

    chosen: str = st.pills(label, options, required=True, key=key, format_func=literal, on_change=keep)
    return chosen
