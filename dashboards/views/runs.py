"""Runs: what the line's flows did, and when they run next."""

import streamlit as st

from dashboards.context import Context
from dashboards.parts import commands, section, show_table, trouble
from dashboards.reading.runs import RunBoard, load_known, load_runs
from dashboards.run_tables import planned_data, planned_table, run_data, run_table
from wafergate.errors import ServiceError

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_runs", "runs"


def render(context: Context) -> None:
    """Show runs and schedules; without Prefect say so, as the other pages need it not."""
    text, asked = context.text, st.query_params.get("flow", "")
    known = context.read(load_known, context.line)
    try:
        board = context.read(load_runs, context.line, asked, known, door="runs")
    except ServiceError as error:
        trouble("no_prefect", error, text)
        return
    _runs(board, asked, context)
    _planned(board, context)


def _runs(board: RunBoard, asked: str, context: Context) -> None:
    text = context.text
    section("runs_title", text, "flow")
    if board.flows:
        _flow_switch(board, asked, context)
    if not board.runs:
        commands("empty_runs", ["wafergate watch --line LINE.toml --source FOLDER"], text)
        return
    shown = run_table(board.runs, text)
    name = f"{context.line}-runs"
    show_table(shown, name=name, text=text, alt="runs_alt", data=run_data(board.runs), key="run-table")
    st.caption(text.say("runs_note", count=text.count(len(board.runs))))


def _flow_switch(board: RunBoard, asked: str, context: Context) -> None:
    text = context.text

    def choose() -> None:
        if st.session_state.flow:
            st.query_params["flow"] = st.session_state.flow
        else:
            st.query_params.pop("flow", None)

    st.session_state.flow = asked if asked in board.flows else ""
    st.selectbox(
        text.plain("flow_label"),
        ["", *board.flows],
        format_func=lambda name: name or text.plain("all_flows"),
        key="flow",
        on_change=choose,
        width=240,
    )


def _planned(board: RunBoard, context: Context) -> None:
    text = context.text
    section("planned_title", text)
    if not board.planned:
        commands("empty_planned", ["wafergate deploy --line LINE.toml"], text)
        return
    shown, name = planned_table(board.planned, text), f"{context.line}-schedules"
    show_table(shown, name=name, text=text, alt="planned_alt", data=planned_data(board.planned), key="planned-table")
