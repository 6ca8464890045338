"""`wafergate reproduce`: a stored model trained again and compared with itself."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Actor, LineName
from wafergate.cli.progress import bar

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.reproduction import Reproduction
    from wafergate.domain.training import EpochReport
    from wafergate.domain.training_rows import ModelVersion

__all__ = ["app"]

app = typer.Typer()

_DIFFERENT = 1


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(help="A model's number or id, or the id of the run that trained it.")],
    line: LineName = "",
    actor: Actor = "",
) -> None:
    """Train a stored model again and compare the two.

    Line file, images, weights and seed are those stored with it. The second
    model is for comparison only: nothing can promote it. The exit code is 1
    where the two differ.

    Example: wafergate reproduce 3 --line pcb
    """
    from wafergate.adapters.machine import code_version
    from wafergate.domain.reproduction import Likeness, Reproduction
    from wafergate.jobs.reproduce import find_model
    from wafergate.jobs.reproduce import reproduce as train_again

    parts = ready()
    model = find_model(parts.facts, run, line)
    with bar() as progress:

        def on_epoch(report: "EpochReport") -> None:
            progress("training epochs", report.epoch, report.epochs)

        done = train_again(
            parts,
            model,
            actor=actor or getpass.getuser(),
            code=code_version(),
            on_epoch=on_epoch,
            progress=progress,
        )
    row = parts.facts.get(Reproduction, done.id)
    _show(row, model, reused=done.reused)
    if row.likeness is Likeness.DIFFERENT:
        raise typer.Exit(_DIFFERENT)


def _show(row: "Reproduction", model: "ModelVersion", *, reused: bool) -> None:
    from wafergate.terminal import console, table

    known = " (known)" if reused else ""
    typer.echo(f"model {model.number} of {row.line} trained again{known}: {row.likeness.value}")
    columns = ("class", "found", "again", "threshold", "again ")
    cells = [
        (name, *_shares(row.agreement.recall.get(name)), *(f"{score:.3f}" for score in scores))
        for name, scores in row.thresholds.items()
    ]
    console().print(table(columns, cells, numbers=columns[1:]))
    said = row.agreement
    typer.echo(
        f"{said.agreed} of {said.detections} detections on {said.images} validation images agree, "
        f"scores to {said.score_gap:.3f}; {row.seconds:.0f} s"
    )
    for library, (before, now) in row.libraries.items():
        typer.echo(f"note: {library} was {before or 'not there'}, is {now or 'not there'}")
    before, now = row.code
    if before and before != now:
        typer.echo(f"note: wafergate was {before}, is {now}")


def _shares(shares: tuple[float, float] | None) -> tuple[str, str]:
    return ("-", "-") if shares is None else (f"{shares[0]:.2f}", f"{shares[1]:.2f}")
