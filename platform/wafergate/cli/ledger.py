"""`wafergate ledger …`: the story of every decision."""

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import LineName
from wafergate.errors import StorageError

__all__ = ["app"]

app = group("The append-only story of every decision.")


@app.command("show")
def ledger_show(line: LineName = "") -> None:
    """Print the ledger, oldest first.

    Example: wafergate ledger show --line pcb
    """
    from wafergate.terminal import show_ledger

    show_ledger(ready().facts.ledger(line or None))


@app.command("verify")
def ledger_verify() -> None:
    """Check the hash chain; exit code 21 if an entry was changed.

    Example: wafergate ledger verify
    """
    from wafergate.domain.gate import broken_links

    entries = ready().facts.ledger()
    broken = broken_links(entries)
    if broken:
        message = f"the ledger's chain is broken at entry {', '.join(map(str, broken[:5]))} of {len(entries)}"
        raise StorageError(message)
    typer.echo(f"{len(entries)} entries, the chain holds")
