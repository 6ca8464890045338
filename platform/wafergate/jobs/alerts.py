"""The outbox: every waiting alert to the channel, at least once."""

from dataclasses import replace
from typing import NamedTuple

from wafergate.domain.alerts import AlertState
from wafergate.errors import AlertError
from wafergate.jobs.parts import Parts
from wafergate.ports import AlertChannel

__all__ = ["Dispatch", "dispatch"]


class Dispatch(NamedTuple):
    """How many alerts were sent and how many still wait, with what the channel said last."""

    sent: int
    waiting: int
    problem: str


def dispatch(parts: Parts, channel: AlertChannel | None, *, line: str | None = None) -> Dispatch:
    """Send what waits; an alert that is not taken stays in the outbox and is tried again next time."""
    waiting = [alert for alert in parts.facts.waiting_alerts() if line is None or alert.line == line]
    if channel is None:
        return Dispatch(0, len(waiting), "no channel is set: name one in [alerts] channels" if waiting else "")
    sent, problem = 0, ""
    for alert in waiting:
        try:
            channel(alert.title, alert.body)
        except AlertError as error:
            problem = str(error)
            parts.facts.mark_alert(replace(alert, attempts=alert.attempts + 1, last_error=problem))
        else:
            done = replace(
                alert, state=AlertState.SENT, attempts=alert.attempts + 1, last_error="", sent_at=parts.clock()
            )
            parts.facts.mark_alert(done)
            sent += 1
    return Dispatch(sent, len(waiting) - sent, problem)
