"""`wafergate estimate`: what recall a set too small to spare a test may have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Line, Version
from wafergate.cli.progress import bar
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.evaluation import Rate
    from wafergate.domain.out_of_fold import OutOfFold
    from wafergate.domain.training import EpochReport

__all__ = ["Epochs", "Folds", "Weights", "app", "make_estimate"]

Folds = Annotated[int, typer.Option("--folds", min=2, max=50, help="How many parts the set is cut into.")]
Epochs = Annotated[int, typer.Option("--epochs", min=0, help="Of each training; 0 takes the line file's.")]
Weights = Annotated[Path | None, typer.Option("--weights", help="Weights to start from.")]

app = typer.Typer()


@app.command()
def estimate(line: Line, version: Version = "", folds: Folds = 3, epochs: Epochs = 0, weights: Weights = None) -> None:
    """Estimate recall by grouped k-fold; no gate accepts it.

    For a set too small to spare a test: a model is trained for each fold on
    the other folds, and each image is judged by the model that has not
    learnt from its group. Images of a test set stay out: only the gate looks
    at them. A stopped run goes on with the folds still open.

    Example: wafergate estimate --line line.toml --folds 3 --epochs 10
    """
    row, reused = make_estimate(line, version, folds=folds, epochs=epochs, weights=weights)
    _show(row, reused=reused)


def make_estimate(
    line: Path, version: str, *, folds: int, epochs: int, weights: Path | None
) -> tuple["OutOfFold", bool]:
    """Make or find an estimate with a progress bar; return its row and whether it was known."""
    from wafergate.domain.out_of_fold import OutOfFold
    from wafergate.jobs.out_of_fold import out_of_fold
    from wafergate.jobs.versions import find_version

    line_file, parts = load_line(line), ready()
    dataset = find_version(parts.facts, line_file.name, version)
    with bar() as progress:

        def on_epoch(fold: int, report: "EpochReport") -> None:
            progress(f"fold {fold} of {folds}: training epochs", report.epoch, report.epochs)

        done = out_of_fold(
            parts,
            line_file,
            dataset.id,
            folds=folds,
            epochs=epochs,
            weights=weights,
            on_epoch=on_epoch,
            progress=progress,
        )
    return parts.facts.get(OutOfFold, done.id), done.reused


def _show(row: "OutOfFold", *, reused: bool) -> None:
    from wafergate.terminal import console, table

    known = " (known)" if reused else ""
    typer.echo(
        f"ESTIMATE{known}, not an evaluation: {row.folds} folds of {row.images} images in {row.groups} groups, "
        f"{row.candidate}, {row.epochs} epochs each"
    )
    columns = ("class", "found", "recall", "interval", "by group", "prec.", "AP50")
    cells = [
        (
            item.defect_class,
            f"{item.recall.hits} of {item.recall.trials}",
            _point(item.recall),
            _interval(item.recall),
            "-" if item.grouped_recall is None else _interval(item.grouped_recall),
            _point(item.precision),
            "-" if item.ap50 is None else f"{item.ap50:.2f}",
        )
        for item in row.classes
    ]
    console().print(table(columns, cells, numbers=("found", "recall", "prec.", "AP50")))
    typer.echo(
        f"escapes {row.escapes.hits} of {row.escapes.trials} defective images, overkill {row.overkill.hits} of "
        f"{row.overkill.trials} normal ones"
    )
    for warning in row.warnings:
        typer.echo(f"note: {warning}")
    typer.echo("No gate accepts an estimate: to promote a model, label enough for a test of its own (README, split).")


def _point(rate: "Rate") -> str:
    return "-" if rate.value is None else f"{rate.value:.2f}"


def _interval(rate: "Rate") -> str:
    return f"{rate.lower:.2f} to {rate.upper:.2f}"
