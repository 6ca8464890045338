"""Small pieces that several places of a page share."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards.context import Context
from dashboards.palette import Palette
from dashboards.reading.files import page_link
from dashboards.tables import to_csv, to_markdown
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

STATES = {
    LineState.COVERED: ("blue", "verified"),
    LineState.AT_RISK: ("orange", "warning"),
    LineState.BLIND: ("red", "visibility_off"),
}


def section(key: str, text: Text, term: str | None = None) -> None:
    """Write the heading of a section, with the explanation of its term."""
    st.subheader(text.plain(key), anchor=False, help=text.explain(term) if term else None)


def fact(
    label: str, value: str, *, key: str, explanation: str | None = None, notes: Sequence[str] = (), box: bool = False
) -> None:
    """Write a label, below it a value from data in bold, and below that notes in small print.

    Args:
        label: what it is, as Markdown.
        value: as it stands in the data.
        key: the container tests find it by.
        explanation: what the label means.
        notes: Markdown, a line each.
        box: whether a frame stands around it, as high as those beside it.
    """
    told = [f":small[:gray[{label}]]", f"**{literal(value)}**", *(f":small[:gray[{note}]]" for note in notes)]
    with st.container(key=key, border=box, height="stretch" if box else "content"):
        st.markdown("  \n".join(told), help=explanation)


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


def style_page(palette: Palette) -> None:
    """Style tables, commands and charts by the reader's theme, break lines between words; once a page."""
    rules = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    st.html(f"<style>:root {{ {palette.variables()} }} {rules} {svg.chart_style()}</style>")


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
    with st.container(key=key or name):
        # Not st.table, whose library of data frames is larger than the rest of a page and reads each cell by itself.
        st.markdown(f"{text.plain(alt)}\n\n{to_markdown(shown)}")
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
