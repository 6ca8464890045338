"""The stories as the dashboard is served: `streamlit run served_stories.py`, then `?story=covered`."""

from pathlib import Path

import streamlit as st

from dashboards.front import front_routes

app = st.App(Path(__file__).parent / "story_app.py", routes=front_routes())
