"""The retraining runs of a line as its deployment in Prefect knows them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from wafergate.domain.governor import GovernorDecision
from wafergate.errors import ConfigError, ServiceError

__all__ = ["DeployedRetrainings"]

_OPEN = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
_SOON = timedelta(minutes=1)
_MOST = 200  # the earliest: what runs now is among them, however far ahead the schedule plans


class DeployedRetrainings:
    """`Retrainings` over the deployment `retrain/LINE`; runs of the command line are told by their rows alone."""

    def running(self, line: str) -> Sequence[str]:
        """See `Retrainings.running`; what the schedule plans for later has not begun."""
        with _server() as client:
            deployment = _deployment(client, line)
            runs = client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
                flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_OPEN))),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=_MOST,
            )
        due = datetime.now(UTC) + _SOON
        return [str(run.id) for run in runs if run.state_type is not StateType.SCHEDULED or _begins(run) <= due]

    def start(self, decision: GovernorDecision) -> str:
        """See `Retrainings.start`."""
        parameters = {"version": decision.dataset_id, "source": "", "format": "", "actor": decision.id}
        with _server() as client:
            deployment = _deployment(client, decision.line)
            run = client.create_flow_run_from_deployment(
                deployment.id, parameters=parameters, idempotency_key=decision.id
            )
        return str(run.id)


def _begins(run: FlowRun) -> datetime:
    return run.expected_start_time or datetime.max.replace(tzinfo=UTC)


def _deployment(client: SyncPrefectClient, line: str) -> DeploymentResponse:
    try:
        return client.read_deployment_by_name(f"retrain/{line}")
    except ObjectNotFound as error:
        message = f"line {line!r} is not deployed, so no retraining could be started: run `wafergate deploy` first"
        raise ConfigError(message) from error


@contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        message = f"Prefect does not answer the governor ({str(error)[:200]}): see `wafergate status`"
        raise ServiceError(message) from error
