"""Entry point: `streamlit run dashboards/app.py`, which `wafergate up` does."""

from pathlib import Path

import streamlit as st

from dashboards.front import front_routes

app = st.App(Path(__file__).parent / "main.py", routes=front_routes())
