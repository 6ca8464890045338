"""Tables of the page Runs: pure functions from what Prefect tells to data frames."""

from collections.abc import Sequence

import pandas as pd

from dashboards.texts import Text, literal, phrases
from wafergate.domain.runs import PlannedFlow, RunOfFlow

__all__ = ["planned_data", "planned_table", "run_data", "run_table", "spell_duration"]

KINDS = {
    "COMPLETED": ("blue", "check_circle"),
    "FAILED": ("red", "cancel"),
    "CRASHED": ("red", "error"),
    "RUNNING": ("gray", "play_circle"),
    "PENDING": ("gray", "schedule"),
    "SCHEDULED": ("gray", "schedule"),
    "CANCELLING": ("gray", "block"),
    "CANCELLED": ("gray", "block"),
    "PAUSED": ("orange", "pause_circle"),
}
"""Hue and icon of Prefect's kinds of state."""
WAITING = {"AwaitingApproval": ("orange", "pending_actions")}
"""The same of states that need a person, whatever Prefect counts them as."""

MESSAGE = 200  # characters of a state's message; Prefect's page has all of it


def run_table(runs: Sequence[RunOfFlow], text: Text) -> pd.DataFrame:
    """Return runs as the page shows them."""
    rows = [
        {
            text.plain("begun"): literal(text.when(run.started_at or run.planned_at)),
            text.plain("run_label"): _link(run.flow or run.name, run.address),
            text.plain("state_label"): _state(run, text),
            text.plain("duration"): spell_duration(run.seconds, text) if run.started_at else text.value(None),
            text.plain("message"): literal(_short(run.message)),
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def run_data(runs: Sequence[RunOfFlow]) -> pd.DataFrame:
    """Return runs as Prefect tells them."""
    fields = ("id", "flow", "name", "state", "kind", "message", "planned_at", "started_at", "seconds", "address")
    return pd.DataFrame([{field: getattr(run, field) for field in fields} for run in runs], columns=list(fields))


def planned_table(planned: Sequence[PlannedFlow], text: Text) -> pd.DataFrame:
    """Return deployments as the page shows them."""
    rows = [
        {
            text.plain("deployment"): _link(item.flow, item.address),
            text.plain("next_run"): literal(text.when(item.next_at)) if item.next_at else text.value(None),
            text.plain("schedule"): _schedule(item, text),
        }
        for item in planned
    ]
    return pd.DataFrame(rows)


def planned_data(planned: Sequence[PlannedFlow]) -> pd.DataFrame:
    """Return deployments as Prefect tells them."""
    fields = ("flow", "name", "crons", "paused", "next_at", "address")
    rows = [{field: getattr(item, field) for field in fields} | {"crons": "; ".join(item.crons)} for item in planned]
    return pd.DataFrame(rows, columns=list(fields))


def spell_duration(seconds: float, text: Text) -> str:
    """Return a duration in its two largest units, e.g. `3 min 12 s`."""
    whole = round(seconds)
    if whole < 60:
        return text.plain("seconds", seconds=f"{seconds:.1f}" if seconds < 10 else whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return text.plain("minutes", minutes=minutes, seconds=rest)
    return text.plain("hours", hours=minutes // 60, minutes=minutes % 60)


def _state(run: RunOfFlow, text: Text) -> str:
    hue, icon = WAITING.get(run.state) or KINDS.get(run.kind, ("gray", "help"))
    # A state may have a name of its own (late, awaiting approval): that says more than its kind.
    key = f"run_{run.state.lower()}"
    word = text.say(key) if key in phrases()[text.language] else literal(run.state)
    return f":{hue}-badge[:material/{icon}: {word}]"


def _schedule(item: PlannedFlow, text: Text) -> str:
    told = ", ".join(literal(cron) for cron in item.crons) or text.say("by_hand")
    return f"{told} :orange-badge[{text.say('paused')}]" if item.paused else told


def _link(label: str, address: str) -> str:
    """Return a link whose address is of our own making: Prefect's, of the settings, and an id."""
    return f"[{literal(label)}]({address})"


def _short(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE else f"{line[: MESSAGE - 1]}…"
