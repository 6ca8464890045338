"""What every viewer runs: the pages over the platform's own stores. `app.py` serves it."""

from dashboards.context import Doors
from dashboards.shell import run
from wafergate.wiring import (
    open_readonly_facts,
    open_readonly_files,
    open_readonly_inspections,
    open_runs,
    sign_in_wanted,
)

doors = Doors(
    facts=open_readonly_facts, inspections=open_readonly_inspections, files=open_readonly_files, runs=open_runs
)
run(doors, sign_in=sign_in_wanted())
