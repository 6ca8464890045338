"""What the page Runs shows: what Prefect tells of a line, and which runs of it a person started."""

from dataclasses import dataclass

from wafergate.domain.runs import FlowRun, PlannedFlow, RunOfFlow
from wafergate.ports import FactStore, RunReader

__all__ = ["ALERTS", "MOST_RUNS", "RunBoard", "load_known", "load_runs"]

MOST_RUNS = 50
ALERTS = "alerts"
"""The dispatcher's flow: hundreds of runs a day that say nothing."""


@dataclass(frozen=True, slots=True)
class RunBoard:
    """Runs and schedules of a line.

    Attributes:
        flows: names of the flows that can be chosen.
        runs: newest first.
        planned: what runs next first.
    """

    flows: tuple[str, ...]
    runs: tuple[RunOfFlow, ...]
    planned: tuple[PlannedFlow, ...]


def load_known(facts: FactStore, line: str) -> tuple[str, ...]:
    """Return the ids of the line's newest runs; those a person started carry no tag in Prefect."""
    return tuple(row.id for row in facts.find(FlowRun, line=line, limit=MOST_RUNS))


def load_runs(reader: RunReader, line: str, flow: str, known: tuple[str, ...]) -> RunBoard:
    """Return the runs of one flow of a line, or of all but the dispatcher of alerts where `flow` is empty.

    Raises:
        ServiceError: Prefect does not answer.
    """
    flows = reader.flows()
    shown = [flow] if flow in flows else [name for name in flows if name != ALERTS]
    runs = reader.runs(line, flows=shown, known=known, limit=MOST_RUNS) if shown else []
    return RunBoard(tuple(flows), tuple(runs), tuple(reader.planned(line)))
