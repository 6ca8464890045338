"""`wafergate curve`: what more labelled images would buy, class by class."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Line, Version
from wafergate.cli.progress import bar
from wafergate.errors import ConfigError
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for numpy
    from wafergate.domain.learning_curve import ClassCurve, LearningCurve
    from wafergate.domain.training import EpochReport

__all__ = ["app"]

Sizes = Annotated[str, typer.Option("--sizes", help="Images a class, growing, separated by commas.")]
Repeats = Annotated[int, typer.Option("--repeats", help="Orders of the images, each a curve; 0: 3, or 1 with folds.")]
Folds = Annotated[int, typer.Option("--folds", help="Let so many folds judge each other; 0: validation judges.")]
More = Annotated[int, typer.Option("--more", help="What so many more images would buy.")]
Epochs = Annotated[int, typer.Option("--epochs", min=0, help="Of each training; 0 takes the line file's.")]
Weights = Annotated[Path | None, typer.Option("--weights", help="Weights to start from.")]

app = typer.Typer()


@app.command()
def curve(
    line: Line,
    version: Version = "",
    sizes: Sizes = "5,10,20,40",
    repeats: Repeats = 0,
    folds: Folds = 0,
    more: More = 50,
    epochs: Epochs = 0,
    weights: Weights = None,
) -> None:
    """Tell what more labelled images would buy, class by class.

    Short trainings on growing, class-even subsets of the training side, each
    judged on validation; a law fitted through their recall is carried on.
    The test set is never touched. A stopped command goes on with the runs
    still open.

    Example: wafergate curve --line line.toml --sizes 5,10,20,40
    """
    from wafergate.domain.learning_curve import LearningCurve
    from wafergate.jobs.curve import CurvePlan, draw_curve
    from wafergate.jobs.versions import find_version

    wanted = [part.strip() for part in sizes.split(",")]
    if not all(part.isdecimal() for part in wanted):
        message = f"--sizes needs whole numbers such as 5,10,20,40, found {sizes!r}"
        raise ConfigError(message)
    plan = CurvePlan(tuple(map(int, wanted)), repeats or (1 if folds else 3), folds, more)
    line_file, parts = load_line(line), ready()
    dataset = find_version(parts.facts, line_file.name, version)
    with bar() as progress:

        def on_epoch(run: str, report: "EpochReport") -> None:
            progress(f"{run}: training epochs", report.epoch, report.epochs)

        done = draw_curve(
            parts, line_file, dataset.id, plan, epochs=epochs, weights=weights, on_epoch=on_epoch, progress=progress
        )
    _show(parts.facts.get(LearningCurve, done.id), reused=done.reused)


def _show(row: "LearningCurve", *, reused: bool) -> None:
    from wafergate.terminal import console, paragraph, table

    judged = f"{row.folds} folds judge each other" if row.folds else "judged on validation"
    known = " (known)" if reused else ""
    typer.echo(
        paragraph(
            f"{row.id}{known}: recall by images a class, {len(row.runs)} trainings of {row.candidate}, {row.epochs} "
            f"epochs each, {judged} at score {row.score:g}"
        )
    )
    columns = ("class", "there are", *(f"at {size}" for size in row.sizes), f"+{row.more} gives")
    cells = [
        (
            item.defect_class,
            item.images,
            *(_recall(item, size) for size in row.sizes),
            "-" if item.gain_lower is None else f"+{item.gain_lower:.2f} to +{item.gain_upper:.2f}",
        )
        for item in row.classes
    ]
    console().print(table(columns, cells, numbers=columns[1:-1]))
    for item in row.classes:
        typer.echo(paragraph(item.told))
    typer.echo("Only a test set judges a model; this says where labels are worth most.")


def _recall(item: "ClassCurve", size: int) -> str:
    rates = [point.recall for point in item.points if point.size == size]
    trials = sum(rate.trials for rate in rates)
    return f"{sum(rate.hits for rate in rates) / trials:.2f}" if trials else "-"
