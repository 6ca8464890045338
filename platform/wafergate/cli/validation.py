"""`wafergate validation …`: what a dataset version was held against, and what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import LineName
from wafergate.errors import ConfigError, NotFoundError

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.validation_rows import ValidationFinding, ValidationResult
    from wafergate.jobs.parts import Parts

__all__ = ["app"]

app = group("What dataset versions were held against.")

_NAMED = 3


@app.command("show")
def validation_show(
    version: Annotated[str, typer.Argument(help="Number or id of a dataset version.")],
    line: LineName = "",
    docs: Annotated[
        Path | None, typer.Option("--docs", help="Write Great Expectations' Data Docs into this folder.")
    ] = None,
) -> None:
    """Show the validation of a dataset version, check by check.

    The newest result, where the limits of the line file changed. An error
    stops the flow, a warning reports.

    Example: wafergate validation show 3 --line pcb --docs docs-of-3
    """
    from wafergate.domain.validation_rows import ValidationResult
    from wafergate.jobs.versions import named_version
    from wafergate.terminal import console, table

    parts = ready()
    found = named_version(parts.facts, version, line)
    results = parts.facts.find(ValidationResult, dataset_id=found.id, limit=1)
    if not results:
        message = f"dataset version {found.number} of line {found.line!r} was not validated yet: run `wafergate intake`"
        raise NotFoundError(message)
    (result,) = results
    cells = [
        (f.expectation, _standing(f), f.checked, f.unexpected, f.detail.removesuffix(f" ({f.checked} checked)"))
        for f in sorted(result.findings, key=lambda f: f.success)  # what is broken first, else as checked
    ]
    columns = ("check", "result", "checked", "broken", "what holds, or what to do")
    console().print(table(columns, cells, numbers=("checked", "broken")))
    for finding in result.findings:
        if not finding.success and finding.examples:
            more = finding.unexpected - min(len(finding.examples), _NAMED)
            typer.echo(f"{finding.expectation}: {'; '.join(finding.examples[:_NAMED])}" + _more(more))
    broken = [finding.severity for finding in result.findings if not finding.success]
    typer.echo(
        f"version {found.number} of line {found.line}: {len(result.findings)} checks, "
        f"{_counted(broken, 'error')}, {_counted(broken, 'warning')} ({result.created_at:%Y-%m-%d %H:%M} UTC)"
    )
    if docs is not None:
        typer.echo(f"wrote {_write(parts, result, docs)}")


def _counted(broken: list[str], severity: str) -> str:
    count = broken.count(severity)
    return f"{count or 'no'} {severity}{'' if count == 1 else 's'}"


def _standing(finding: "ValidationFinding") -> str:
    return "held" if finding.success else finding.severity


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _write(parts: "Parts", result: "ValidationResult", folder: Path) -> Path:
    if result.docs is None:
        message = "this validation is from before Data Docs were kept: change a limit in the line file to run it again"
        raise NotFoundError(message)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "index.html"
        file.write_bytes(parts.files.get(result.docs))
    except OSError as error:
        message = f"--docs {folder} cannot be written ({error.strerror}): name a folder of yours"
        raise ConfigError(message) from error
    return file
