"""`wafergate intake | retrain | inspect | watch`: the flows by hand."""

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


@app.command("inspect")
def inspect_(line: Line, source: SourcePath, format: AnyFormat = "images", limit: Limit = 0) -> None:  # noqa: A002
    """Run the line's champion over new images.

    Example: wafergate inspect --line line.toml --source lots/A1234
    """
    from wafergate.domain.inspection import InspectionRun

    load_line(line)
    parts = ready()
    row = parts.facts.get(InspectionRun, flow("inspect_lot")(str(line), source, format, limit))
    found = ", ".join(f"{name} {count}" for name, count in row.instances.items() if count) or "nothing"
    typer.echo(f"{row.images} images inspected, {row.defective} with defects, {row.quarantined} quarantined: {found}")


@app.command()
def watch(line: Line, source: SourcePath, format: AnyFormat = "images", limit: Limit = 0) -> None:  # noqa: A002
    """Compare new images with what the model learnt from.

    The champion, or the newest model where there is none. Drift raises an alert.

    Example: wafergate watch --line line.toml --source lots/A1234
    """
    from wafergate.domain.drift import DriftReport
    from wafergate.terminal import console, table

    load_line(line)
    parts = ready()
    row = parts.facts.get(DriftReport, flow("watch")(str(line), source, format, limit))
    cells = [
        (
            f.feature,
            f"{f.distance:.2f}",
            f"{f.threshold:.2f}",
            f"{f.reference_mean:.2f}",
            f"{f.current_mean:.2f}",
            "drifted" if f.drifted else "",
        )
        for f in row.features
    ]
    columns = ("feature", "distance", "limit", "trained on", "now", "")
    console().print(table(columns, cells, numbers=columns[1:5]))
    typer.echo(f"{row.verdict.value}: {row.current_images} images against {row.reference_images} ({row.source})")
