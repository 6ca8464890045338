"""What an orchestrator tells in the stories of the pages."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from tests.dashboards.stories import HOSTILE, MORNING
from wafergate.domain.runs import PlannedFlow, RunOfFlow
from wafergate.errors import ServiceError
from wafergate.ports import RunReader

__all__ = ["open_runs"]

DOWN = {"stopped", "few_images"}
"""The stories in which Prefect does not answer."""
FLOWS = ["alerts", "inspect-lot", "retrain", "watch"]


class StoryRuns:
    """A reader with a fixed story."""

    def __init__(self, story: str) -> None:
        self._story = story

    def flows(self) -> list[str]:
        if self._story in DOWN:
            message = "Prefect at http://127.0.0.1:4200/api does not answer: run `wafergate up`"
            raise ServiceError(message)
        return [] if self._story == "empty" else FLOWS

    def runs(self, line: str, *, flows: Sequence[str], known: Collection[str] = (), limit: int) -> list[RunOfFlow]:
        del known
        message = HOSTILE if self._story == "hostile" else "recall of bridge: 31 of 58 found"
        told = [
            ("retrain", "AwaitingApproval", "COMPLETED", "wafergate approve decision-1", 412.0),
            ("watch", "Completed", "COMPLETED", "", 4.2),
            ("retrain", "Failed", "FAILED", message, 73.0),
            ("inspect-lot", "Running", "RUNNING", "", 3725.0),
            ("alerts", "Completed", "COMPLETED", "", 0.8),
        ]
        found = []
        for place, (flow, state, kind, said, seconds) in enumerate(told):
            at = MORNING - timedelta(hours=3 * place)
            name, address = f"{flow} {line}", f"http://127.0.0.1:4200/runs/flow-run/run-{place}"
            found.append(RunOfFlow(f"run-{place}", flow, name, state, kind, said, at, at, seconds, address))
        return [run for run in found if run.flow in flows][:limit]

    def planned(self, line: str) -> list[PlannedFlow]:
        if self._story == "empty":
            return []
        address = "http://127.0.0.1:4200/deployments/deployment/d-1"
        crons = ("0 6 * * * (Asia/Seoul)",)
        return [
            PlannedFlow("watch", line, crons, False, MORNING + timedelta(days=1), address),
            PlannedFlow("retrain", line, ("0 3 * * 1 (Asia/Seoul)",), True, None, address),
            PlannedFlow("inspect-lot", line, (), False, None, address),
        ]


def open_runs(story: str) -> RunReader:
    """Return what an orchestrator tells in a story."""
    return StoryRuns(story)
