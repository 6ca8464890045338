"""Small pieces that several places of a page share."""

from collections.abc import Sequence

import streamlit as st

from dashboards.texts import Text, literal
from wafergate.domain.line_state import LineState
from wafergate.errors import WafergateError

__all__ = ["commands", "fact", "section", "state_badge", "trouble"]

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


def state_badge(state: LineState, text: Text) -> str:
    """Return a line's state as a coloured Markdown badge with an icon and its word."""
    hue, icon = STATES[state]
    return f":{hue}-badge[:material/{icon}: {text.term(state)}]"


def commands(key: str, lines: Sequence[str], text: Text) -> None:
    """Say what to run, and show the commands to copy."""
    st.markdown(text.say(key))
    st.code("\n".join(lines), language="bash")


def trouble(key: str, error: WafergateError, text: Text) -> None:
    """Say in one sentence why nothing can be shown and what to do, with the platform's own message below."""
    with st.container(key="trouble"):
        st.error(text.say(key), icon=":material/cloud_off:")
        st.caption(text.say("detail", message=error))
