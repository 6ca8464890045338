"""`wafergate governor …`: when a line is retrained by itself, and why not."""

import getpass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import flow, group, ready
from wafergate.cli.options import Actor, Line, LineName
from wafergate.line import load_line

if TYPE_CHECKING:
    from wafergate.domain.governor import GovernorDecision

__all__ = ["app"]

app = group("Retraining by itself: what was decided, and why.")


@app.command("ask")
def governor_ask(
    line: Line,
    actor: Actor = "",
    event: Annotated[str, typer.Option("--event", help="What asks, e.g. id of a drift report.")] = "",
) -> None:
    """Ask now whether the line may be retrained; where every rule holds it starts.

    The line must be deployed: its worker runs the retraining. Labels are taken in from the source that [schedule]
    names; without one the newest dataset version counts.

    Example: wafergate governor ask --line line.toml
    """
    from wafergate.domain.governor import GovernorDecision

    line_file, parts = load_line(line), ready()
    # Asked before the flow, whose failure would leave an alert of what the person at the terminal reads anyhow.
    import_module("flows.retrainings").DeployedRetrainings().running(line_file.name)
    labels = import_module("flows.deployments").reads("govern", line_file)
    decision = flow("govern")(str(line), event, actor or getpass.getuser(), **labels)
    _show(parts.facts.get(GovernorDecision, decision))


@app.command("list")
def governor_list(
    line: LineName = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 20,
) -> None:
    """List the governor's decisions, newest first.

    Example: wafergate governor list --line pcb
    """
    from wafergate.domain.governor import GovernorDecision
    from wafergate.terminal import paragraph

    rows = ready().facts.find(GovernorDecision, limit=limit, **({"line": line} if line else {}))
    for row in rows:
        typer.echo(f"{row.id}  {row.created_at:%Y-%m-%d %H:%M}  {row.line}: {row.verdict.value}")
        typer.echo(paragraph(f"{row.event}: {row.summary.partition(': ')[2]}", indent=2))
    typer.echo(
        f"{len(rows)} decisions, times in UTC" if rows else "no decision yet: `wafergate governor ask` asks for one"
    )


@app.command("show")
def governor_show(decision: Annotated[str, typer.Argument(help="Id of a governor's decision.")]) -> None:
    """Show one decision: every rule with its number, its limit and the next step.

    Example: wafergate governor show governor-1a2b
    """
    from wafergate.domain.governor import GovernorDecision

    _show(ready().facts.get(GovernorDecision, decision))


def _show(row: "GovernorDecision") -> None:
    from wafergate.terminal import console, pairs, table

    out = console()
    told = [
        ("line", row.line),
        ("event", f"{row.event}, asked by {row.actor}"),
        ("decided", f"{row.created_at:%Y-%m-%d %H:%M} UTC, {row.id}"),
        ("champion", row.model_id or "none"),
        ("labels", row.dataset_id or "no dataset version"),
    ]
    out.print(pairs(told))
    out.print()
    cells = [(r.rule, "yes" if r.verdict == "pass" else "no", r.next_step or r.evidence) for r in row.rules]
    out.print(table(("rule", "held", "evidence, or the next step"), cells))
    out.print()
    out.print(row.summary, markup=False)
