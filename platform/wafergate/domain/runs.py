"""Flow runs and the line files they ran under."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

__all__ = ["FlowRun", "LineFileVersion", "PlannedFlow", "RunOfFlow"]


@dataclass(frozen=True, slots=True)
class LineFileVersion:
    """The text of a line file as it was when a flow ran; `id` is its SHA-256."""

    id: str
    line: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FlowRun:
    """One run of a flow; what became of it is told by the rows it made and by Prefect, never by this row.

    Attributes:
        id: Prefect's flow-run id, or a random one outside Prefect.
        flow: its name.
        line: the production line.
        line_file: SHA-256 of the line file it ran under.
        parameters: what it was started with.
        created_at: when it started.
        code: version of wafergate and, in a checkout, the commit, with a `+` where files differ from it.
    """

    id: str
    flow: str
    line: str
    line_file: str
    parameters: Mapping[str, object]
    created_at: datetime
    code: str = ""


@dataclass(frozen=True, slots=True)
class RunOfFlow:
    """One run as Prefect tells it.

    Attributes:
        id: Prefect's flow-run id.
        flow: name of the flow.
        name: of the run.
        state: Prefect's word for it, e.g. `Completed` or `AwaitingApproval`.
        kind: Prefect's kind of state, e.g. `COMPLETED`, `FAILED`, `CRASHED`, `RUNNING`.
        message: what the state says; empty where it says nothing.
        planned_at: when it was to start.
        started_at: when it did; None where it has not.
        seconds: how long it ran, or has been running.
        address: its page in Prefect.
    """

    id: str
    flow: str
    name: str
    state: str
    kind: str
    message: str
    planned_at: datetime
    started_at: datetime | None
    seconds: float
    address: str


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """A deployment of a line, and when it runs by itself.

    Attributes:
        flow: name of the flow.
        name: of the deployment.
        crons: its schedules as cron expressions, each with its time zone; empty where it runs by hand only.
        paused: whether it starts nothing by itself at present.
        next_at: when it runs next; None where nothing is planned.
        address: its page in Prefect.
    """

    flow: str
    name: str
    crons: tuple[str, ...]
    paused: bool
    next_at: datetime | None
    address: str
