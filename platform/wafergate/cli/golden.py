"""`wafergate golden …`: parts with known answers that go through the inspection."""

from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import flow, group, ready
from wafergate.cli.options import Format, Line, LineName, Person, Reason
from wafergate.line import load_line

if TYPE_CHECKING:
    from wafergate.domain.golden import GoldenRun

__all__ = ["app"]

app = group("Golden parts: does the inspection still say of them what it always said?")


@app.command("seal")
def golden_seal(
    line: Line,
    source: Annotated[str, typer.Argument(help="Folder, archive or s3://bucket/prefix of labelled parts.")],
    format: Format,  # noqa: A002
    actor: Person,
    reason: Reason,
) -> None:
    """Seal labelled parts with the champion's answers.

    Kept are the parts that the champion answers as they are labelled; the others are counted and left out. The set
    goes on for the next champion, which is held to the labels at its first check.

    Example: wafergate golden seal --line line.toml golden/ --format coco
    --as Kim --reason "audited on 3 March"
    """
    from wafergate import wiring
    from wafergate.cli.progress import bar
    from wafergate.domain.golden import GoldenSet
    from wafergate.jobs.golden import seal_golden

    line_file, parts = load_line(line), ready()
    with bar() as progress:
        done = seal_golden(
            parts, line_file, wiring.open_source(source), format, actor=actor, reason=reason, progress=progress
        )
    row = parts.facts.get(GoldenSet, done.id)
    defects = sum(len(part.boxes) for part in row.parts)
    known = " before" if done.reused else ""
    typer.echo(f"{row.id}: {len(row.parts)} golden parts with {defects} defects are sealed{known}")
    if row.left_out:
        typer.echo(f"{row.left_out} left out: refused, or not answered as they are labelled")


@app.command("check")
def golden_check(line: Line) -> None:
    """Send the sealed parts through the inspection and compare.

    Exit code 15 at any difference, which also alerts.

    Example: wafergate golden check --line line.toml
    """
    from wafergate.domain.golden import GoldenRun
    from wafergate.errors import GoldenError

    load_line(line)
    parts = ready()
    row = parts.facts.get(GoldenRun, flow("golden")(str(line)))
    _show(row)
    if row.differences:
        message = f"{len(row.differences)} differences: see above, and `wafergate alerts list`"
        raise GoldenError(message)


@app.command("list")
def golden_list(
    line: LineName = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show this many, newest first; 0 shows all.")] = 20,
) -> None:
    """List the checks, newest first.

    Example: wafergate golden list --line pcb
    """
    from wafergate.domain.golden import GoldenRun

    rows = ready().facts.find(GoldenRun, limit=limit or None, **({"line": line} if line else {}))
    for row in rows:
        verdict = f"{len(row.differences)} differences" if row.differences else "as sealed"
        typer.echo(f"{row.id}  {row.created_at:%Y-%m-%d %H:%M}  {row.line}: {row.parts} parts, {verdict}")
    typer.echo(f"{len(rows)} checks, times in UTC" if rows else "no check yet: run `wafergate golden check`")


@app.command("show")
def golden_show(check: Annotated[str, typer.Argument(help="Id of a check.")]) -> None:
    """Show one check with every difference.

    Example: wafergate golden show golden-run-1a2b
    """
    from wafergate.domain.golden import GoldenRun

    _show(ready().facts.get(GoldenRun, check))


def _show(row: "GoldenRun") -> None:
    from wafergate.terminal import console, table

    out = console()
    if row.differences:
        cells = [(item.kind.value, item.name, item.detail) for item in row.differences]
        out.print(table(("difference", "part", "what"), cells))
    answered = "as sealed" if row.answers_id else "as labelled (first check of this champion)"
    verdict = f"{len(row.differences)} differences" if row.differences else f"all answered {answered}"
    out.print(f"{row.parts} golden parts: {verdict}; {row.id}, {row.model_id}", markup=False)
