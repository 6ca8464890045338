"""What Prefect does by itself for a line: marks lost runs, has them taken up again, asks the governor at drift."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.events import DRIFTED, line_resource

__all__ = ["LOST", "TAG", "heartbeat_s", "register_automations"]

TAG = "wafergate"
LOST = "No sign of life"
"""How the message of a run begins that was marked as crashed because nothing was heard of it."""

_HEARTBEATS = 3  # so many signs of life a run may miss before it counts as lost
_SOONEST_BEAT_S = 30  # Prefect takes no shorter one

_STORM = timedelta(minutes=1)
_BEGUN = ("Submitting", "InfrastructurePending", "Pending", "Running", "Retrying", "heartbeat")


def register_automations(
    client: SyncPrefectClient, line: str, deployments: Mapping[str, UUID], *, lost_after_s: int
) -> list[str]:
    """Create what is missing, change what differs and leave the rest as it is; return the names.

    Args:
        client: of the Prefect server.
        line: name of the line.
        deployments: id of each of its deployments by flow file.
        lost_after_s: a run that gave no sign of life for so long is marked as crashed.
    """
    wanted = [
        _lost(line, lost_after_s),
        _taken_up(line, deployments["recover"]),
        _drifted(line, deployments["govern"]),
    ]
    for automation in wanted:
        found = client.read_automations_by_name(automation.name)
        if not found:
            client.create_automation(automation)
        elif _story(found[0]) != _story(automation):
            client.update_automation(found[0].id, automation)
    return [automation.name for automation in wanted]


def heartbeat_s(lost_after_s: int) -> int:
    """Return the seconds between two signs of life of a run that counts as lost after so many without one."""
    return max(_SOONEST_BEAT_S, lost_after_s // _HEARTBEATS)


def _story(automation: AutomationCore) -> dict[str, Any]:
    """Return what of an automation a person would see; the server adds ids of its own.

    Python's own types, since the events of a trigger are sets: written as JSON their order differs by process.
    """
    return automation.model_dump(include=set(AutomationCore.model_fields), exclude={"trigger": {"id"}})


def _runs_of(line: str) -> list[ResourceSpecification]:
    """Match the runs of a line's deployments; runs by hand have somebody who looks at them."""
    tags = (TAG, line)
    return [
        ResourceSpecification({"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"})
        for tag in tags
    ]


def _lost(line: str, lost_after_s: int) -> AutomationCore:
    """Mark a run whose worker died: it began, and then neither its heartbeat nor any other state followed."""
    return AutomationCore(
        name=f"wafergate {line}: lost run",
        description=f"Marks a run as crashed that gave no sign of life for {lost_after_s} s.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=_runs_of(line),
            for_each={"prefect.resource.id"},
            after={f"prefect.flow-run.{name}" for name in _BEGUN},
            # Any state ends the wait, whatever its name: a run that waits for approval is completed under another one.
            expect={"prefect.flow-run.*"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=lost_after_s),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                message=f"{LOST} for {lost_after_s} s: the worker or its machine died",
            )
        ],
    )


def _taken_up(line: str, recover: UUID) -> AutomationCore:
    """Report a crashed run and take it up again."""
    return AutomationCore(
        name=f"wafergate {line}: crashed run",
        description="Reports a crashed run and has it taken up again.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=_runs_of(line),
            for_each={"prefect.resource.id"},
            expect={"prefect.flow-run.Crashed"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[RunDeployment(deployment_id=recover, parameters={"run": _filled("{{ event.resource.id }}")})],
    )


def _drifted(line: str, govern: UUID) -> AutomationCore:
    """Ask the governor at drift; of a storm it is asked once a minute, and it decides about the line as a whole."""
    return AutomationCore(
        name=f"wafergate {line}: drift",
        description="Asks the governor whether drift shall be answered by a retraining.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": line_resource(line)}),
            match_related=ResourceSpecification({}),
            for_each=set(),
            expect={DRIFTED},
            posture=Posture.Reactive,
            threshold=1,
            within=_STORM,
        ),
        actions=[
            RunDeployment(
                deployment_id=govern,
                parameters={"event": _filled("{{ event.payload['report'] }}"), "actor": "drift"},
            )
        ],
    )


def _filled(template: str) -> dict[str, str]:
    return {"__prefect_kind": "jinja", "template": template}
