"""`wafergate weights …`: the files trainings start from."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import Actor, Line
from wafergate.line import load_line

__all__ = ["app"]

app = group("The weight files that trainings start from.")


@app.command("add")
def weights_add(
    file: Annotated[Path, typer.Argument(help="The weight file.")],
    model: Annotated[str, typer.Option("--model", help="The candidate it is for.", show_default=False)],
    licence: Annotated[str, typer.Option("--licence", help="SPDX identifier.", show_default=False)],
    source: Annotated[
        str, typer.Option("--source", help="Where it comes from and its licence is written.", show_default=False)
    ],
    actor: Actor = "",
    line: Annotated[Path | None, typer.Option("--line", help="For a team's own candidate.")] = None,
) -> None:
    """Keep a weight file with its licence and who brought it.

    A training whose candidate has no file of its own starts from the newest.

    Example: wafergate weights add yolox_nano.pt --model yolox-nano
    --licence Apache-2.0 --source https://github.com/Megvii-BaseDetection/YOLOX
    """
    from wafergate.jobs.weights import add_weights, known_candidates

    line_file = load_line(line) if line else None
    parts = ready()
    known, who = known_candidates(parts, line_file), actor or getpass.getuser()
    done = add_weights(parts, file, model, licence=licence, source=source, actor=who, known=known)
    typer.echo(
        f"{file.name} {'is known already' if done.reused else 'is kept'} for {model} under {licence} ({done.id})"
    )


@app.command("fetch")
def weights_fetch(
    model: Annotated[str, typer.Argument(help="The candidate, as in the catalogue or the line file.")],
    line: Line,
    actor: Actor = "",
    again: Annotated[bool, typer.Option("--again", help="Fetch what is here once more and compare.")] = False,
) -> None:
    """Download the weights a candidate's makers publish, and keep them.

    The line's licence policy is asked first. The file must have the digest
    that its makers state or, where they state none, that of the first
    download.

    Example: wafergate weights fetch yolox-nano --line line.toml
    """
    from wafergate.cli.progress import bar
    from wafergate.domain.weights import WeightFile
    from wafergate.jobs.fetch_weights import fetch_weights

    line_file = load_line(line)
    parts = ready()
    with bar() as progress:
        done = fetch_weights(parts, line_file, model, actor=actor or getpass.getuser(), again=again, progress=progress)
    row = next(iter(parts.facts.find(WeightFile, id=done.id)))
    typer.echo(
        f"{row.name} {'is known already' if done.reused else 'is kept'} for {row.candidate} under {row.licence} "
        f"({row.bytes / 2**20:.1f} MiB, SHA-256 {row.digest[:12]})"
    )


@app.command("list")
def weights_list() -> None:
    """List the weight files, newest first.

    Example: wafergate weights list
    """
    from wafergate.domain.weights import WeightFile
    from wafergate.terminal import console, table

    rows = ready().facts.find(WeightFile)
    columns = ("model", "file", "MiB", "licence", "brought by", "SHA-256")
    cells = [(r.candidate, r.name, f"{r.bytes / 2**20:.1f}", r.licence, r.added_by, r.digest[:12]) for r in rows]
    console().print(table(columns, cells, numbers=("MiB",)))
    typer.echo("1 weight file" if len(rows) == 1 else f"{len(rows)} weight files")


@app.command("prune")
def weights_prune(
    actor: Annotated[str, typer.Option("--as", help="Who does it; kept with what is removed.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with what is removed.", show_default=False)],
    days: Annotated[
        int, typer.Option("--days", min=1, help="Keep trainings that moved in the last so many days.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
) -> None:
    """Remove checkpoints and work folders of trainings that nobody finished.

    A training removes its own once its model is stored; this removes those of
    trainings that stopped for good. They would begin at their first epoch.
    Work folders are those on this machine.

    Example: wafergate weights prune --days 30 --as kim --reason "disk is full"
    """
    from wafergate.domain.words import counted
    from wafergate.jobs.checkpoints import abandoned, remove_checkpoints
    from wafergate.jobs.training_folder import prune_folders
    from wafergate.terminal import console, table

    parts = ready()
    rows = abandoned(parts, days)
    cells = [(row.model_id, row.epoch, f"{row.created_at:%Y-%m-%d %H:%M}") for row in rows]
    if cells:
        console().print(table(("training", "epoch", "stored (UTC)"), cells, numbers=("epoch",)))
    folders = prune_folders(parts, days, remove=False)
    for folder, size in folders.items():
        typer.echo(f"work folder {folder.name}: {size / 2**20:.1f} MiB")
    if dry_run:
        typer.echo(f"would be removed: {counted(len(rows), 'checkpoint')}, {counted(len(folders), 'work folder')}")
        return
    removed = remove_checkpoints(parts, rows, actor=actor, reason=reason)
    folders = prune_folders(parts, days, remove=True)
    told = f"{counted(len(removed), 'checkpoint')}, {counted(len(folders), 'work folder')}"
    size = sum(row.bytes for row in removed) + sum(folders.values())
    typer.echo(f"removed: {told}, {size / 2**20:.1f} MiB")
