"""`wafergate quarantine …`: what did not enter."""

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import LineName

__all__ = ["app"]

app = group("What did not enter, and why.")


@app.command("list")
def quarantine_list(line: LineName = "") -> None:
    """List what did not enter, with the reason.

    Example: wafergate quarantine list --line pcb
    """
    from wafergate.domain.samples import Quarantined
    from wafergate.terminal import console, table

    facts = ready().facts
    rows = facts.find(Quarantined, line=line) if line else facts.find(Quarantined)
    console().print(table(("line", "reason", "file", "detail"), [(r.line, r.reason, r.path, r.detail) for r in rows]))
    typer.echo(f"{len(rows)} in quarantine")
