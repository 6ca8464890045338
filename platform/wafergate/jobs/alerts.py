"""The outbox: every waiting alert to the channel, at least once, and the same cause once in a window."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from wafergate.domain.alerts import Alert, AlertPolicy, AlertState, pause
from wafergate.domain.gate import LedgerKind
from wafergate.errors import AlertError, NotFoundError, ServiceError, StorageError, WafergateError
from wafergate.jobs.parts import Outcome, Parts
from wafergate.ports import AlertChannel, Attachment, LedgerDraft
from wafergate.stages.alerts import together, without_attachment

__all__ = ["Dispatch", "acknowledge", "dispatch"]

_SUFFIXES = {b"\x89PNG": ".png", b"%PDF-": ".pdf"}


class Dispatch(NamedTuple):
    """What became of the alerts that waited.

    Attributes:
        sent: told now, those folded into another's message included.
        waiting: not taken yet, or in a pause between two tries.
        held: of a cause that was told within the window; they go together when it ends.
        problem: what the channel said last.
    """

    sent: int = 0
    waiting: int = 0
    held: int = 0
    problem: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        held = f", {self.held} held (same cause told within the window)" if self.held else ""
        return f"{self.sent} sent, {self.waiting} waiting{held}" + (f": {self.problem}" if self.problem else "")


def dispatch(
    parts: Parts, channel: AlertChannel | None, policy: AlertPolicy, *, line: str, at_once: bool = False
) -> Dispatch:
    """Send what waits for a line and is due; what is not taken stays and is tried again after a growing pause.

    A try is written down before it is made: who dies while sending has sent nothing as far as the outbox knows, so the
    alert goes out again; and of two dispatchers at work one finds the alert taken in hand.

    Args:
        parts: the stores and the clock.
        channel: None where the line has none.
        policy: the line's window.
        line: name of the line.
        at_once: do not wait for the end of a pause between two tries.
    """
    waiting = [alert for alert in parts.facts.waiting_alerts() if alert.line == line]
    if channel is None:
        return Dispatch(
            waiting=len(waiting), problem="no channel is set: name one in [alerts] channels" if waiting else ""
        )
    groups: dict[str, list[Alert]] = {}
    for alert in waiting:
        groups.setdefault(alert.key or alert.id, []).append(alert)
    said = Dispatch()
    for group in groups.values():
        now = parts.clock()
        due = group[0].next_try_at
        if _told_within(parts, group[0], now - policy.window):
            said = said._replace(held=said.held + len(group))
        elif not at_once and due is not None and due > now:
            said = said._replace(waiting=said.waiting + len(group))
        else:
            sent, problem = _send(parts, channel, group)
            left = len(group) - sent
            said = Dispatch(said.sent + sent, said.waiting + left, said.held, problem or said.problem)
    return said


def _told_within(parts: Parts, alert: Alert, since: datetime) -> bool:
    if not alert.key:
        return False
    told = parts.facts.find(Alert, line=alert.line, key=alert.key, state=["sent", "acknowledged"], limit=20)
    return any(item.sent_at is not None and item.sent_at > since for item in told)


def _send(parts: Parts, channel: AlertChannel, group: Sequence[Alert]) -> tuple[int, str]:
    """Send alerts of one cause, oldest first, as one message; return how many were told, and the problem if any."""
    first = group[0]
    if first.taken:  # some channels have this very message: the others get the same, and what came later waits
        group = [first, *(alert for alert in group[1:] if alert.told_by and alert.told_by == first.told_by)]
    trial = replace(first, attempts=first.attempts + 1, next_try_at=parts.clock() + pause(first.attempts + 1, first.id))
    if not parts.facts.mark_alert(trial, was=first):
        return 0, ""
    newest = group[-1]
    title, body = together(newest, group[:-1])
    attached, body = _attachments(parts, newest, body)
    try:
        channel(title, body, attached, taken=trial.taken)
    except AlertError as error:
        told_by = newest.id if error.taken else ""
        # The one that is tried comes last: if this process dies here, all of them go to every channel again.
        for alert in group[:0:-1] if error.taken else ():
            parts.facts.mark_alert(replace(alert, taken=error.taken, told_by=told_by), was=alert)
        tried = replace(trial, last_error=str(error), taken=error.taken, told_by=told_by)
        parts.facts.mark_alert(tried, was=trial)
        return 0, str(error)
    now = parts.clock()
    # The one that was told comes first: if this process dies here, the window already knows of it.
    for alert in reversed(group):
        told = trial if alert.id == trial.id else alert
        state, told_by = (AlertState.SENT, "") if alert is newest else (AlertState.FOLDED, newest.id)
        attempts = max(told.attempts, 1)
        done = replace(
            told, state=state, attempts=attempts, last_error="", sent_at=now, next_try_at=None, told_by=told_by
        )
        parts.facts.mark_alert(done, was=told)
    return len(group), ""


def _attachments(parts: Parts, alert: Alert, body: str) -> tuple[list[Attachment], str]:
    """Return what goes with an alert; what cannot be read is told of in the text, which matters more."""
    found: list[Attachment] = []
    for place, digest in enumerate(alert.attachments, start=1):
        try:
            data = parts.files.get(digest)
        except (NotFoundError, StorageError, ServiceError) as error:
            body = without_attachment(body, digest, str(error))
        else:
            found.append(Attachment(f"{alert.id}-{place}{_suffix(data)}", data))
    return found, body


def _suffix(data: bytes) -> str:
    """Return the suffix that a file's first bytes ask for: alerts carry pictures, PDFs and HTML pages."""
    return next((suffix for start, suffix in _SUFFIXES.items() if data.startswith(start)), ".html")


def acknowledge(parts: Parts, alert_id: str, *, actor: str, reason: str) -> Outcome:
    """Take care of an alert by name, in the ledger; one that still waited is not sent any more.

    Raises:
        NotFoundError: there is no such alert.
        WafergateError: another person was faster, or it is changing too fast.
    """
    for _ in range(3):  # a dispatcher may be at work on it
        alert = parts.facts.get(Alert, alert_id)
        if alert.state is AlertState.ACKNOWLEDGED:
            if alert.acknowledged_by == actor:
                return Outcome(alert.id, reused=True)
            message = f"alert {alert.id} was acknowledged by {alert.acknowledged_by} already; `wafergate ledger show`"
            raise WafergateError(message)
        details = {"title": alert.title, "was": alert.state.value}
        draft = LedgerDraft(alert.line, LedgerKind.ACKNOWLEDGED, alert.id, actor, reason, details)
        done = replace(alert, state=AlertState.ACKNOWLEDGED, acknowledged_by=actor, next_try_at=None)
        if parts.facts.mark_alert(done, was=alert, ledger=[draft]):
            return Outcome(alert.id, reused=False)
    message = f"alert {alert_id} is being sent at this moment: run the same command again"
    raise WafergateError(message)
