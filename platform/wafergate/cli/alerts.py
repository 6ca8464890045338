"""`wafergate alerts …`: the outbox."""

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import Line
from wafergate.line import load_line

__all__ = ["app"]

app = group("The outbox of alerts.")


@app.command("list")
def alerts_list() -> None:
    """List every alert, newest first, sent or waiting.

    Example: wafergate alerts list
    """
    from wafergate.domain.alerts import Alert
    from wafergate.terminal import console, table

    rows = ready().facts.find(Alert)
    cells = [(f"{r.created_at:%Y-%m-%d %H:%M}", r.state.value, r.attempts, r.title) for r in rows]
    console().print(table(("when (UTC)", "state", "tries", "alert"), cells, numbers=("tries",)))


@app.command("send")
def alerts_send(line: Line) -> None:
    """Send what waits for a line through its channels.

    Example: wafergate alerts send --line line.toml
    """
    from wafergate import wiring
    from wafergate.jobs.alerts import dispatch

    line_file, parts = load_line(line), ready()
    sent, waiting, problem = dispatch(parts, wiring.alert_channel(line_file), line=line_file.name)
    typer.echo(f"{sent} sent, {waiting} waiting" + (f": {problem}" if problem else ""))
