"""`wafergate approve | rollback | release`: who becomes champion."""

import getpass
from typing import Annotated

import typer

from wafergate.cli.opening import flow, ready
from wafergate.cli.options import Actor, Line, Person, Reason
from wafergate.errors import ConfigError
from wafergate.line import load_line

__all__ = ["app"]

app = typer.Typer()


@app.command()
def approve(
    decision: Annotated[str, typer.Argument(help="Id of a gate decision that passed.")],
    line: Line,
    actor: Person,
    reason: Reason,
) -> None:
    """Promote a model that passed and waits for a person.

    Example: wafergate approve decision-1a2b --line line.toml --as Kim --reason "lot A ok"
    """
    load_line(line)
    ready()
    typer.echo(f"champion: {flow('release')(str(line), actor, reason, decision)}")


@app.command()
def rollback(
    line: Line,
    actor: Person,
    reason: Reason,
    to: Annotated[str, typer.Option("--to", help="Id of an earlier champion.")] = "previous",
) -> None:
    """Go back to an earlier champion.

    Example: wafergate rollback --line line.toml --as Kim --reason "escapes in lot B"
    """
    load_line(line)
    ready()
    typer.echo(f"champion: {flow('release')(str(line), actor, reason, '', to)}")


@app.command()
def release(
    line: Line,
    reason: Reason,
    decision: Annotated[str, typer.Option("--decision", help="Id of a gate decision that passed.")] = "",
    to: Annotated[str, typer.Option("--to", help="Id of an earlier champion, or previous.")] = "",
    actor: Actor = "",
) -> None:
    """Promote or roll back: `approve` and `rollback` in one.

    Example: wafergate release --line line.toml --decision decision-1a2b --reason "lot A ok"
    """
    if bool(decision) == bool(to):
        message = "release needs either --decision or --to"
        raise ConfigError(message)
    load_line(line)
    ready()
    typer.echo(f"champion: {flow('release')(str(line), actor or getpass.getuser(), reason, decision, to)}")
