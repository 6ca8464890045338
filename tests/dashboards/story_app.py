"""The dashboard over a story told in memory: `streamlit run story_app.py`, then `?story=covered`."""

from functools import partial

import streamlit as st

from dashboards.shell import run
from tests.dashboards.stories import open_story

STORY = st.query_params.get("story", "covered")
run(partial(open_story, STORY), store=STORY)
