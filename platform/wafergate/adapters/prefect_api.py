"""What Prefect knows of a line's runs, asked of its API within seconds and without importing Prefect.

Its client takes seconds and a hundred MiB to load, which a page that shows a table cannot wait for.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import urllib3

from wafergate.domain.runs import PlannedFlow, RunOfFlow
from wafergate.errors import ServiceError

__all__ = ["PrefectRuns"]

TIMEOUT: Final = urllib3.Timeout(connect=1.0, read=3.0)
MOST_DEPLOYMENTS: Final = 50


class PrefectRuns:
    """Reads runs and deployments; deployments and their runs carry their line's name as a tag."""

    def __init__(self, api_url: str, ui_url: str) -> None:
        """Keep the addresses; nothing is asked yet.

        Args:
            api_url: of the API, ending in `/api` on a server of one's own; empty where none is set.
            ui_url: of Prefect's pages.
        """
        self._api, self._ui = api_url.rstrip("/"), ui_url.rstrip("/")
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT)

    def flows(self) -> list[str]:
        """Return the names of all flows, sorted.

        Raises:
            ServiceError: Prefect does not answer or refuses.
        """
        return sorted({str(row["name"]) for row in self._ask("/flows/filter", {})})

    def runs(self, line: str, *, flows: Sequence[str], known: Collection[str] = (), limit: int) -> list[RunOfFlow]:
        """Return the runs of a line that have begun or should have, newest first.

        Args:
            line: name of the line.
            flows: names of the flows to look at.
            known: ids of runs of the line that carry no tag, because a person started them without a deployment.
            limit: at most so many.

        Raises:
            ServiceError: as for `flows`.
        """
        named = {"flows": {"name": {"any_": list(flows)}}, "sort": "EXPECTED_START_TIME_DESC", "limit": limit}
        begun = {"type": {"not_any_": ["SCHEDULED"]}}
        asked: list[Mapping[str, object]] = [{"tags": {"all_": [line]}, "state": begun}]
        if known:
            asked.append({"id": {"any_": sorted(known)}})
        found = [row for runs in asked for row in self._ask("/flow_runs/filter", {**named, "flow_runs": runs})]
        names = self._names({str(row["flow_id"]) for row in found})
        told = {str(row["id"]): self._run(row, names) for row in found}
        return sorted(told.values(), key=lambda run: run.planned_at, reverse=True)[:limit]

    def planned(self, line: str) -> list[PlannedFlow]:
        """Return the deployments of a line, what runs next first.

        Raises:
            ServiceError: as for `flows`.
        """
        tagged = {"tags": {"all_": [line]}}
        found = self._ask("/deployments/filter", {"deployments": tagged, "limit": MOST_DEPLOYMENTS})
        names = self._names({str(row["flow_id"]) for row in found})
        ahead = {"tags": {"all_": [line]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
        order = {"sort": "EXPECTED_START_TIME_ASC", "limit": 200}
        next_at: dict[str, datetime] = {}
        for row in self._ask("/flow_runs/filter", {"flow_runs": ahead, **order}):
            next_at.setdefault(str(row["deployment_id"]), _time(row["expected_start_time"]))
        told = [self._planned(row, names, next_at.get(str(row["id"]))) for row in found]
        return sorted(
            told, key=lambda item: (item.next_at is None, item.next_at.timestamp() if item.next_at else 0.0, item.flow)
        )

    def _names(self, ids: Collection[str]) -> dict[str, str]:
        if not ids:
            return {}
        found = self._ask("/flows/filter", {"flows": {"id": {"any_": sorted(ids)}}})
        return {str(row["id"]): str(row["name"]) for row in found}

    def _run(self, row: Mapping[str, Any], names: Mapping[str, str]) -> RunOfFlow:
        state = row["state"] or {}
        return RunOfFlow(
            id=str(row["id"]),
            flow=names.get(str(row["flow_id"]), ""),
            name=str(row["name"]),
            state=str(row["state_name"] or ""),
            kind=str(row["state_type"] or ""),
            message=str(state.get("message") or ""),
            planned_at=_time(row["expected_start_time"] or row["created"]),
            started_at=_time(row["start_time"]) if row["start_time"] else None,
            seconds=float(row["estimated_run_time"] or row["total_run_time"] or 0.0),
            address=f"{self._ui}/runs/flow-run/{row['id']}",
        )

    def _planned(self, row: Mapping[str, Any], names: Mapping[str, str], next_at: datetime | None) -> PlannedFlow:
        schedules = [item["schedule"] for item in row["schedules"] if item["active"] and "cron" in item["schedule"]]
        return PlannedFlow(
            flow=names.get(str(row["flow_id"]), ""),
            name=str(row["name"]),
            crons=tuple(f"{item['cron']} ({item['timezone'] or 'UTC'})" for item in schedules),
            paused=bool(row["paused"]),
            next_at=next_at,
            address=f"{self._ui}/deployments/deployment/{row['id']}",
        )

    def _ask(self, path: str, body: Mapping[str, object]) -> list[Mapping[str, Any]]:
        if not self._api:
            message = "Prefect's address is not known: run `wafergate up`, or set PREFECT_API_URL"
            raise ServiceError(message)
        headers = {"content-type": "application/json"}
        try:
            answer = self._pool.request("POST", self._api + path, body=json.dumps(body), headers=headers)
        except urllib3.exceptions.HTTPError as error:
            message = f"Prefect at {self._api} does not answer: run `wafergate up`, or check PREFECT_API_URL"
            raise ServiceError(message) from error
        try:
            if answer.status == 200 and isinstance(rows := json.loads(answer.data), list):
                return rows
        except ValueError as error:
            message = f"Prefect at {self._api} answers something else than JSON to {path}: check PREFECT_API_URL"
            raise ServiceError(message) from error
        message = f"Prefect at {self._api} answers {answer.status} to {path}: check PREFECT_API_URL"
        raise ServiceError(message)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
