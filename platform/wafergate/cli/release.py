"""`wafergate approve | rollback | release`: who becomes champion."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import flow, ready
from wafergate.cli.options import Actor, Line, Person, Reason
from wafergate.errors import ConfigError
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.gate import GateDecision
    from wafergate.jobs.parts import Parts

__all__ = ["app"]

app = typer.Typer()


def _champion_sentence(parts: "Parts", line: str) -> str:
    """Say who judges a line now."""
    from wafergate.jobs.promote import champion_model
    from wafergate.terminal import paragraph

    model, champion = champion_model(parts, line), parts.facts.champion(line)
    by = f", by {champion.actor}: {champion.reason}" if champion else ""
    return paragraph(f"champion of line {line}: model {model.number}, {model.id}{by}")


@app.command()
def approve(
    decision: Annotated[str, typer.Argument(help="Id of a gate decision that passed.")],
    actor: Person,
    reason: Reason,
    line: Annotated[
        Path | None, typer.Option("--line", help="The line file; else the one it was judged under.")
    ] = None,
) -> None:
    """Release a model that passed and waits for a person.

    Where the line is deployed, its `release` deployment does it on a worker; else this command does.

    Example: wafergate approve decision-1a2b --as Kim --reason "lot A ok"
    """
    from importlib import import_module

    from wafergate.jobs.promote import check_release

    if line is not None:
        load_line(line)
    parts = ready()
    found = check_release(parts, decision, actor=actor)
    chosen = {"line": str(line.resolve())} if line else {}
    wanted = {"actor": actor, "reason": reason, "decision": decision}
    if not import_module("flows.deployments").run_release(found.line, wanted | chosen):
        flow("release")(chosen.get("line") or str(_judged_under(parts, found)), actor, reason, decision)
    typer.echo(_champion_sentence(parts, found.line))


def _judged_under(parts: "Parts", decision: "GateDecision") -> Path:
    """Return a copy of the line file that a decision was made under."""
    from wafergate.domain.gate import LedgerEntry
    from wafergate.domain.runs import LineFileVersion

    (told,) = parts.facts.find(LedgerEntry, subject=decision.id, limit=1)
    kept = parts.facts.get(LineFileVersion, str(told.details["line_file"]))
    copy = parts.work / "lines" / f"{kept.id}.toml"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(kept.text, encoding="utf-8")
    return copy


@app.command()
def rollback(
    line: Line,
    actor: Person,
    reason: Reason,
    to: Annotated[str, typer.Option("--to", help="Number or id of an earlier champion.")] = "previous",
) -> None:
    """Go back to an earlier champion.

    Example: wafergate rollback --line line.toml --as Kim --reason "escapes in lot B"
    """
    name, parts = load_line(line).name, ready()
    flow("release")(str(line), actor, reason, "", to)
    typer.echo(_champion_sentence(parts, name))


@app.command()
def release(
    line: Line,
    reason: Reason,
    decision: Annotated[str, typer.Option("--decision", help="Id of a gate decision that passed.")] = "",
    to: Annotated[str, typer.Option("--to", help="Number or id of an earlier champion, or previous.")] = "",
    actor: Actor = "",
) -> None:
    """Promote or roll back: `approve` and `rollback` in one.

    Example: wafergate release --line line.toml --decision decision-1a2b --reason "lot A ok"
    """
    if bool(decision) == bool(to):
        message = "release needs either --decision or --to"
        raise ConfigError(message)
    name, parts = load_line(line).name, ready()
    flow("release")(str(line), actor or getpass.getuser(), reason, decision, to)
    typer.echo(_champion_sentence(parts, name))
