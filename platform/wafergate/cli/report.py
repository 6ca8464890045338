"""`wafergate report`: the page about a gate decision."""

from pathlib import Path
from typing import Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.errors import StorageError

__all__ = ["app"]

app = typer.Typer()


@app.command()
def report(
    decision: Annotated[str, typer.Argument(help="Id of a gate decision; `wafergate ledger show` lists them.")],
    to: Annotated[Path, typer.Option("--to", help="HTML file to write.")] = Path("report.html"),
    sheet: Annotated[Path | None, typer.Option("--sheet", help="PNG file for the pictures of mistakes.")] = None,
) -> None:
    """Write the page about a gate decision: verdict, classes, curves, pictures.

    One self-contained file that opens anywhere and prints on A4.

    Example: wafergate report decision-1a2b --to report.html
    """
    from wafergate.domain.report import DecisionReport
    from wafergate.jobs import report as job

    parts = ready()
    row = parts.facts.get(DecisionReport, job.report(parts, job.line_of(parts, decision), decision).id)
    _write(to, parts.files.get(row.page))
    if sheet is not None and not row.sheet:
        typer.echo("no mistake was made on the test set, so there is no picture sheet")
    elif sheet is not None:
        _write(sheet, parts.files.get(row.sheet))


def _write(target: Path, content: bytes) -> None:
    try:
        target.write_bytes(content)
    except OSError as error:
        message = f"{target} cannot be written: {error.strerror}"
        raise StorageError(message) from error
    typer.echo(f"{target}: {len(content) / 2**20:.1f} MiB")
