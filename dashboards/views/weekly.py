"""Weekly report: the week of a line on one page, to print or to send."""

from datetime import date, datetime, time

import streamlit as st

from dashboards.context import Context
from dashboards.reading.weekly import load_inspected, load_week
from wafergate.domain.weekly import Week
from wafergate.formats.weekly_page import weekly_words, write_weekly

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_weekly", "weekly"
PAPER = 1100  # pixels of the report that are seen at once


def render(context: Context) -> None:
    """Show the report of the week that ends with the day asked for, else with today."""
    text = context.text
    today = datetime.now(text.zone).date()
    asked = _asked(today)
    week = Week.ending(asked, text.zone)
    inspected = context.read(load_inspected, context.line, week, door="inspections")
    content = context.read(load_week, context.line, week, inspected)
    words = weekly_words(text.language, text.zone)
    page = write_weekly(content, words)
    last = datetime.combine(week.last_day, time(), tzinfo=text.zone)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _day_switch(asked, today, context)
        st.download_button(
            text.plain("week_download"),
            page,
            file_name=f"{context.line}-{week.last_day}-{text.language}.html",
            mime="text/html",
            icon=":material/download:",
            on_click="ignore",
        )
    st.caption(text.say("week_note", days=words.say("range", since=words.day(week.since), last=words.day(last))))
    # A frame of its own: the report's style stays inside, and its policy lets nothing in from elsewhere.
    with st.container(border=True, key="week"):
        st.iframe(page.decode(), height=PAPER, alt=text.plain("week_frame", line=context.line))
    st.caption(text.say("week_pdf"))


def _asked(today: date) -> date:
    try:
        return min(date.fromisoformat(st.query_params.get("until", "")), today)
    except ValueError:
        return today


def _day_switch(asked: date, today: date, context: Context) -> None:
    st.session_state.until = asked

    def keep() -> None:
        st.query_params["until"] = st.session_state.until.isoformat()

    st.date_input(context.text.plain("week_label"), key="until", max_value=today, on_change=keep, width=200)
