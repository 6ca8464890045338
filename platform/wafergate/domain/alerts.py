"""Alerts that must reach somebody, and when flows run by themselves."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

__all__ = ["Alert", "AlertPolicy", "AlertState", "SchedulePolicy"]


class AlertState(StrEnum):
    """Where an alert stands; nothing is ever dropped."""

    WAITING = "waiting"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Alert:
    """A message that must reach somebody; it waits in the outbox until a channel took it.

    Attributes:
        id: from line, cause and subject: the same cause is one alert.
        line: the production line.
        cause: `gate`, `flow` or `drift`.
        subject: id of the row it is about.
        title: one line.
        body: plain text: line, class, number, limit, next step.
        state: waiting or sent.
        attempts: how often it was tried.
        last_error: what the channel said last; never an address with its secret.
        created_at: when it was written.
        sent_at: when a channel took it.
    """

    id: str
    line: str
    cause: str
    subject: str
    title: str
    body: str
    state: AlertState
    attempts: int
    last_error: str
    created_at: datetime
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """Where alerts go.

    Attributes:
        channels: Apprise addresses, or `env:NAME` for an address with a secret in it.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SchedulePolicy:
    """When the deployments run, as cron expressions in the line's time zone; empty means by hand only."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    retrain: str = ""
    watch: str = ""
    timezone: str = "UTC"
    source: str = ""
    format: str = ""
    incoming: str = ""
