"""The dashboard over a story behind the door: nothing is shown to who has not signed in."""

from functools import partial

from dashboards.context import Doors
from dashboards.shell import run
from tests.dashboards.inspected import open_files, open_inspections
from tests.dashboards.runs import open_runs
from tests.dashboards.stories import open_story

STORY = "covered"
run(
    Doors(
        facts=partial(open_story, STORY),
        inspections=partial(open_inspections, STORY),
        files=partial(open_files, STORY),
        runs=partial(open_runs, STORY),
    ),
    store=STORY,
    sign_in=True,
)
