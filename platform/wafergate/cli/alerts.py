"""`wafergate alerts …`: the outbox."""

from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import Line, LineName, Person, Reason
from wafergate.line import load_line

if TYPE_CHECKING:
    from wafergate.domain.alerts import Alert

__all__ = ["app"]

app = group("The outbox of alerts.")


@app.command("list")
def alerts_list(
    line: LineName = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 20,
    state: Annotated[str, typer.Option("--state", help="waiting, sent, folded or acknowledged.")] = "",
) -> None:
    """List alerts, newest first: where each stands and who took care of it.

    Example: wafergate alerts list --line pcb --state waiting
    """
    from wafergate.domain.alerts import Alert, AlertState
    from wafergate.errors import ConfigError
    from wafergate.terminal import paragraph

    if state and state not in set(AlertState):
        message = f"--state must be {', '.join(AlertState)}, found {state!r}"
        raise ConfigError(message)
    wanted = {name: value for name, value in (("line", line), ("state", state)) if value}
    rows = ready().facts.find(Alert, limit=limit, **wanted)
    for row in rows:
        typer.echo(f"{row.id}  {row.created_at:%Y-%m-%d %H:%M}  {_standing(row)}")
        typer.echo(paragraph(row.title, indent=2))
        if row.last_error and row.state is AlertState.WAITING:
            typer.echo(paragraph(f"last: {row.last_error}", indent=4))
    typer.echo(f"{len(rows)} alerts, times in UTC" if rows else "no alert")


def _standing(alert: "Alert") -> str:
    match alert.state.value:
        case "waiting":
            when = f", next {alert.next_try_at:%H:%M}" if alert.next_try_at else ""
            return f"waiting, {alert.attempts} tries{when}"
        case "sent":
            return f"sent {alert.sent_at:%Y-%m-%d %H:%M}"
        case "folded":
            return f"told with {alert.told_by}"
        case _:
            return f"acknowledged by {alert.acknowledged_by}"


@app.command("send")
def alerts_send(line: Line) -> None:
    """Send what waits for a line now, without regard to pauses between tries.

    A cause that was told within the line's window stays held until it ends. Exit code 22 if a channel did not take it,
    3 if something waits and the line file names no channel.

    Example: wafergate alerts send --line line.toml
    """
    from wafergate import wiring
    from wafergate.errors import AlertError, ConfigError
    from wafergate.jobs.alerts import dispatch

    line_file, parts = load_line(line), ready()
    channel = wiring.alert_channel(line_file)
    said = dispatch(parts, channel, line_file.alerts, line=line_file.name, at_once=True)
    typer.echo(said._replace(problem=""))
    if said.problem:
        raise AlertError(said.problem) if channel else ConfigError(said.problem)


@app.command("ack")
def alerts_ack(
    alert: Annotated[str, typer.Argument(help="Id of an alert; `wafergate alerts list` shows it.")],
    actor: Person,
    reason: Reason,
) -> None:
    """Acknowledge an alert by name; one that still waits is not sent any more.

    Example: wafergate alerts ack alert-1a2b --as Kim --reason "lamp replaced"
    """
    from wafergate.jobs.alerts import acknowledge

    done = acknowledge(ready(), alert, actor=actor, reason=reason)
    typer.echo(f"{done.id} {'was acknowledged before' if done.reused else 'is acknowledged'} by {actor}")
