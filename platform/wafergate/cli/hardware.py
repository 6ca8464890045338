"""`wafergate hardware | choice`: what this machine is, and which candidate fits it."""

from pathlib import Path
from typing import Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Line
from wafergate.errors import NotFoundError
from wafergate.line import load_line

__all__ = ["app"]

app = typer.Typer()


@app.command()
def hardware(line: Annotated[Path | None, typer.Option("--line", help="Show its limits beside.")] = None) -> None:
    """Show what this machine has, and what a line declares.

    Example: wafergate hardware --line line.toml
    """
    from wafergate.adapters.machine import find_machine
    from wafergate.terminal import console, pairs

    found = find_machine()
    rows: list[tuple[str, object]] = [
        ("processor", f"{found.processor}, {found.cores} cores"),
        ("memory", f"{found.memory_mib:,.0f} MiB"),
        ("cards", ", ".join(f"{gpu.name} ({gpu.memory_mib:,.0f} MiB)" for gpu in found.gpus) or "none with CUDA"),
    ]
    if line is not None:
        profiles = load_line(line).hardware
        for name, profile in (("train", profiles.train), ("serve", profiles.serve)):
            limits = (
                (profile.memory_mib, "MiB of memory"),
                (profile.latency_ms, "ms an image"),
                (profile.size_mib, "MiB of model"),
            )
            told = ", ".join(f"at most {value:g} {unit}" for value, unit in limits if value)
            rows.append((f"[hardware.{name}]", f"device {profile.device}, {told or 'no limits'}"))
    console().print(pairs(rows))


@app.command()
def choice(line: Line) -> None:
    """Show the newest choice of a model: what dropped every other.

    Example: wafergate choice --line line.toml
    """
    from wafergate.domain.choice import ModelChoice
    from wafergate.terminal import console, paragraph, table

    name = load_line(line).name
    rows = ready().facts.find(ModelChoice, line=name, limit=1)
    if not rows:
        message = f"no candidate was chosen for line {name!r} yet: set candidate = 'auto' in [models], then retrain"
        raise NotFoundError(message)
    row = rows[0]

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    cells = [
        (
            one.candidate,
            number(one.memory_mib, ".0f"),
            number(one.latency_ms, ".1f"),
            number(one.size_mib, ".1f"),
            number(one.rungs[-1].lowest_recall if one.rungs else None, ".2f"),
            one.dropped_by or "chosen",
        )
        for one in row.standings
    ]
    columns = ("candidate", "train MiB", "ms", "MiB", "lowest recall", "")
    console().print(table(columns, cells, numbers=columns[1:5]))
    for one in row.standings:
        if one.reason:
            typer.echo(paragraph(f"{one.candidate}: {one.reason}", indent=2))
