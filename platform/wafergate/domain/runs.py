"""Flow runs and the line files they ran under."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

__all__ = ["FlowRun", "LineFileVersion"]


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
    """

    id: str
    flow: str
    line: str
    line_file: str
    parameters: Mapping[str, object]
    created_at: datetime
