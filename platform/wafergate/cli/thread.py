"""`wafergate intake | retrain | watch`: the flows by hand."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from wafergate.cli.opening import dashboard, flow, ready
from wafergate.cli.options import Actor, AnyFormat, Format, Limit, Line, SourcePath
from wafergate.errors import ConfigError
from wafergate.line import load_line

__all__ = ["app"]

app = typer.Typer()


@app.command()
def intake(line: Line, source: SourcePath, format: Format, limit: Limit = 0) -> None:  # noqa: A002
    """Make a validated dataset version of images and labels.

    Example: wafergate intake --line line.toml --format coco --source exports/week12
    """
    load_line(line)
    ready()
    typer.echo(flow("intake")(str(line), source, format, limit))


@app.command()
def retrain(
    line: Line,
    source: SourcePath = "",
    format: Format = "",  # noqa: A002
    version: Annotated[
        str, typer.Option("--version", help="A dataset version instead of a source.", show_default=False)
    ] = "",
    limit: Limit = 0,
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights to start from.")] = None,
    actor: Actor = "",
    require_pass: Annotated[bool, typer.Option("--require-pass", help="Exit with 12 unless the gate passes.")] = False,
) -> None:
    """Run the whole thread, from images to a gated champion.

    Intake, validate, split, augment, train, judge, decide, promote. With
    --version it starts from labels that were corrected in the review, or
    from tiles, instead of reading a source.

    Example: wafergate retrain --line line.toml --format coco --source exports/week12
    """
    from wafergate.domain.gate import GateDecision
    from wafergate.terminal import show_decision

    if (version and (source or format or limit)) or not (version or (source and format)):
        message = "retrain needs either --source and --format (and --limit), or --version"
        raise ConfigError(message)
    load_line(line)
    parts = ready()
    start = str(weights) if weights else ""
    before = {row.id for row in parts.facts.find(GateDecision, line=load_line(line).name)}
    decision = flow("retrain")(str(line), source, format, limit, start, actor or getpass.getuser(), version)
    show_decision(parts.facts, decision, dashboard=dashboard())
    if decision in before:
        typer.echo("nothing new: the same data, line file and weights were judged before; no work was done twice")
    if require_pass and parts.facts.get(GateDecision, decision).verdict != "pass":
        raise typer.Exit(12)


@app.command()
def watch(
    line: Line,
    source: Annotated[
        str,
        typer.Option("--source", help="Folder, archive or s3://bucket/prefix; else what was inspected."),
    ] = "",
    format: AnyFormat = "images",  # noqa: A002
    limit: Limit = 0,
    window: Annotated[
        str, typer.Option("--window", help="Of what was inspected: day, lot or a number of images.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Which day (YYYY-MM-DD) or lot; else what is due.")] = "",
) -> None:
    """Compare new images with what the champion is held against.

    Its training images, or its first stable windows in production. Without
    --source it judges what it has inspected. A line without champion is held
    against its newest model. Drift raises an alert that says what to do.

    Example: wafergate watch --line line.toml --window lot
    """
    from wafergate.cli.drift import show_report

    if source and (window or name):
        message = "watch takes either --source, or --window and --name of what was inspected"
        raise ConfigError(message)
    load_line(line)
    parts = ready()
    show_report(parts, flow("watch")(str(line), source, format, limit, window, name))
