"""The dashboard over a story told in memory: `streamlit run story_app.py`, then `?story=covered`."""

from functools import partial

import streamlit as st

from dashboards.context import Doors
from dashboards.shell import VIEWS, run
from tests.dashboards.inspected import open_files, open_inspections
from tests.dashboards.runs import open_runs
from tests.dashboards.stories import open_story

# The menu leads to addresses without a story: the one opened first is kept.
STORY = st.session_state.setdefault("story", st.query_params.get("story", "covered"))
# Tests without a browser open the first page only.
FIRST = st.query_params.get("first", VIEWS[0].PATH)
run(
    Doors(
        facts=partial(open_story, STORY),
        inspections=partial(open_inspections, STORY),
        files=partial(open_files, STORY),
        runs=partial(open_runs, STORY),
    ),
    store=STORY,
    views=sorted(VIEWS, key=lambda view: view.PATH != FIRST),
)
