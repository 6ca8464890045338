"""Alerts that must reach somebody, and when flows run by themselves."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le

__all__ = ["Alert", "AlertCause", "AlertPolicy", "AlertState", "SchedulePolicy", "pause"]

FIRST_PAUSE: Final = timedelta(minutes=2)  # longer than a try over a few channels that do not answer
LONGEST_PAUSE: Final = timedelta(hours=1)
_JITTER: Final = 0.25

_PLAIN_SCHEMES: Final = {"json", "jsons", "xml", "xmls", "form", "forms"}
_MAIL_SCHEMES: Final = {"mailto", "mailtos"}
_PLAIN_OPTIONS: Final = {"cto", "rto", "verify", "format", "overflow"}
_MAIL_OPTIONS: Final = _PLAIN_OPTIONS | {"from", "to", "cc", "bcc", "name", "smtp", "mode", "reply"}


class AlertState(StrEnum):
    """Where an alert stands; nothing is ever dropped."""

    WAITING = "waiting"
    SENT = "sent"
    FOLDED = "folded"  # told in the message of a later alert of the same cause
    ACKNOWLEDGED = "acknowledged"


class AlertCause(StrEnum):
    """What an alert may be about."""

    GATE = "gate"
    APPROVAL = "approval"
    DRIFT = "drift"
    FLOW = "flow"
    LABELS = "labels"
    GOLDEN = "golden"
    REPORT = "report"  # a weekly page on its way, no alarm


@dataclass(frozen=True, slots=True)
class Alert:
    """A message that must reach somebody; it waits in the outbox until a channel took it or a person acknowledged it.

    Attributes:
        id: from line, cause and subject: the same cause is one alert.
        line: the production line.
        cause: an `AlertCause`.
        subject: id of the row it is about.
        title: one line.
        body: plain text: line, class, number, limit, next step.
        state: waiting, sent, folded or acknowledged.
        attempts: how often it was tried.
        last_error: what the channel said last; never an address with its secret.
        created_at: when it was written.
        sent_at: when every channel had taken it.
        key: what makes two alerts the same cause: line, kind and classes; empty for a cause of its own.
        attachments: SHA-256 of files in S3 that go with it: pictures (PNG), a page (PDF or HTML).
        next_try_at: not tried before this; None at once.
        taken: channels that took its message while another did not, as `1 json`.
        told_by: id of the alert whose message told this folded one; of a waiting one, the newest alert of the message
            that `taken` speaks of.
        acknowledged_by: who took care of it; the ledger has when and why.
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
    key: str = ""
    attachments: tuple[str, ...] = ()
    next_try_at: datetime | None = None
    taken: tuple[str, ...] = ()
    told_by: str = ""
    acknowledged_by: str = ""


def pause(tries: int, seed: str) -> timedelta:
    """Return how long to wait after a try: 2, 4, 8 … minutes, at most an hour, less a jitter of up to a quarter.

    The jitter keeps alerts that failed together from coming back together. It depends on its inputs alone.

    Args:
        tries: how many there were, 1 or more.
        seed: the alert's id.
    """
    doubled = 1 << min(tries - 1, 10)  # far beyond the cap; after weeks of tries a larger one would overflow
    longest = min(FIRST_PAUSE * doubled, LONGEST_PAUSE)
    share = int.from_bytes(hashlib.sha256(f"{seed}:{tries}".encode()).digest()[:4]) / 2**32
    return longest * (1 - _JITTER * share)


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """Where alerts go, and how often the same cause may.

    Attributes:
        channels: Apprise addresses without a secret, or `env:NAME` for any other: the line file is stored with
            every run.
        window_hours: the same cause is sent once in so many hours; what came up meanwhile is counted in the next
            message. 0 sends each.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    channels: tuple[str, ...] = ()
    window_hours: Annotated[float, Ge(0), Le(24 * 7)] = 12.0

    def __post_init__(self) -> None:
        closed = [str(place) for place, item in enumerate(self.channels, start=1) if not _is_open(item)]
        if closed:
            message = (
                f"channels, address {', '.join(closed)} may carry a secret, and the line file is stored with every "
                'run: set it as an environment variable and write "env:NAME" here'
            )
            raise ValueError(message)

    @property
    def window(self) -> timedelta:
        """Return the window as a duration."""
        return timedelta(hours=self.window_hours)


def _is_open(address: str) -> bool:
    """Tell whether an address surely carries no secret: a plain host, or mail without a password."""
    if address.startswith("env:"):
        return True
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return False
    options = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.password is not None or parts.fragment:
        return False
    if parts.scheme in _MAIL_SCHEMES:
        return options <= _MAIL_OPTIONS and all("@" in item for item in parts.path.split("/") if item)
    return (
        parts.scheme in _PLAIN_SCHEMES
        and parts.username is None
        and parts.path in {"", "/"}
        and options <= _PLAIN_OPTIONS
    )


@dataclass(frozen=True, slots=True)
class SchedulePolicy:
    """When the deployments run, as cron expressions in the line's time zone; empty means by hand only.

    Attributes:
        retrain: of `retrain`, which reads `source`.
        inspect: of `inspect-lot`, which reads `incoming`.
        watch: of `watch`, which reads `incoming`, or without one what the line has inspected.
        golden: of `golden`, which checks the sealed golden parts.
        alerts: of the dispatcher; it runs by itself only where there is a channel.
        weekly: of the weekly report, which tells the seven days before the day it runs.
        language: of the weekly report, `en` or `ko`.
        timezone: of them all, and of times of capture that name none.
        source: folder or archive of labelled images.
        format: of both sources.
        incoming: folder or archive of new images.
        incoming_format: of `incoming` where it differs from `format`, e.g. `images` for images alone.
        lost_after_s: seconds; a deployed run that gave no sign of life for so long is marked as crashed, reported and
            taken up again. Longer than a worker's process takes to start.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    retrain: str = ""
    inspect: str = ""
    watch: str = ""
    golden: str = ""
    alerts: str = "*/5 * * * *"
    weekly: str = ""
    language: Literal["en", "ko"] = "en"
    timezone: str = "UTC"
    source: str = ""
    format: str = ""
    incoming: str = ""
    incoming_format: str = ""
    lost_after_s: Annotated[int, Ge(60), Le(86400)] = 300

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            message = f"timezone must be a name of the IANA time zones such as Asia/Seoul, found {self.timezone!r}"
            raise ValueError(message) from error

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone."""
        return ZoneInfo(self.timezone)
