"""`wafergate drift`: the drift reports of a line."""

from collections import Counter
from typing import Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import LineName
from wafergate.domain.drift import DriftReport, DriftVerdict, FeatureDrift
from wafergate.domain.words import counted
from wafergate.errors import NotFoundError
from wafergate.jobs.parts import Parts

__all__ = ["app", "show_report"]

app = typer.Typer(help="Drift reports of a line: windows, causes, advice.", no_args_is_help=True)


@app.command("list")
def list_(
    line: LineName, last: Annotated[int, typer.Option("--last", min=1, help="How many, newest first.")] = 20
) -> None:
    """List the line's drift reports, the newest first.

    Example: wafergate drift list --line pcb
    """
    from wafergate.terminal import console, table

    rows = ready().facts.find(DriftReport, line=line, limit=last)
    if not rows:
        typer.echo(f"line {line!r} has no drift report yet: run `wafergate watch`")
        return
    cells = [
        (
            row.id,
            row.window,
            row.verdict.value,
            row.cause.value if row.cause else "",
            row.advice.value if row.advice else "",
        )
        for row in rows
    ]
    console().print(table(("report", "window", "verdict", "cause", "advice"), cells))


@app.command()
def show(report: Annotated[str, typer.Argument(help="Id of the report.")]) -> None:
    """Show a drift report: every feature, where it drifted, and what to do.

    Example: wafergate drift show drift-3f2a9c0d11e45b67
    """
    show_report(ready(), report)


def show_report(parts: Parts, report: str) -> None:
    """Print a drift report.

    Raises:
        NotFoundError: there is none with this id.
    """
    from wafergate.terminal import console, paragraph, table

    found = parts.facts.find(DriftReport, id=report)
    if not found:
        message = f"there is no drift report {report!r}; `wafergate drift list` names them"
        raise NotFoundError(message)
    row = found[0]
    if row.features:
        columns = ("feature", "distance", "limit", "reference", "now", "")
        console().print(table(columns, [_cells(item) for item in row.features], numbers=columns[1:5]))
    if row.slices:
        judged = [part for part in row.slices if part.verdict is not DriftVerdict.NOT_ENOUGH]
        slices = [
            (part.key, part.value, str(part.images), part.verdict.value, ", ".join(part.drifted)) for part in judged
        ]
        if slices:
            console().print(table(("split by", "value", "images", "verdict", "drifted"), slices, numbers=("images",)))
        small = Counter(part.key for part in row.slices if part.verdict is DriftVerdict.NOT_ENOUGH)
        for key, count in small.items():
            typer.echo(f"{counted(count, key)} of fewer than {row.policy.min_images} images not judged alone")
    said = [
        f"{row.verdict.value}: {row.current_images} images against {row.reference_images} ({row.source})",
        f"window: {row.window}; reference: {row.reference.value}",
        *([f"cause: {row.cause.value}"] if row.cause else []),
        *([f"advice: {row.advice.value}: {row.reason}"] if row.advice else []),
        f"report: {row.id}",
    ]
    typer.echo("\n".join(paragraph(text) for text in said))
    if row.report:
        typer.echo(parts.files.address(row.report))


def _cells(item: FeatureDrift) -> tuple[str, ...]:
    said = "drifted" if item.drifted else "" if item.judged else "not judged"
    figures = (item.distance, item.threshold, item.reference_mean, item.current_mean)
    return item.feature, *(f"{figure:.2f}" for figure in figures), said
