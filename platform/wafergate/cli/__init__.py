"""`wafergate …`: every command, its help and its exit code."""

import errno
import os
import shutil
import sys
import textwrap
import traceback
from typing import Annotated

import typer

from wafergate import __version__
from wafergate.cli import (
    alerts,
    audit,
    augment,
    curve,
    data,
    drift,
    estimate,
    golden,
    governor,
    hardware,
    inspection,
    inspections,
    ledger,
    licences,
    plan,
    quarantine,
    release,
    report,
    reproduce,
    review,
    setup,
    split,
    taxonomy,
    thread,
    tile,
    validation,
    weekly,
    weights,
)
from wafergate.errors import StorageError, WafergateError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Train, judge, promote and watch a line's defect detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (
    setup,
    thread,
    inspection,
    release,
    report,
    weekly,
    tile,
    estimate,
    curve,
    plan,
    licences,
    hardware,
    reproduce,
):
    app.add_typer(commands.app)
for noun in (
    data,
    taxonomy,
    validation,
    review,
    audit,
    split,
    augment,
    quarantine,
    inspections,
    ledger,
    alerts,
    drift,
    weights,
    golden,
    governor,
):
    app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2])
app.add_typer(inspection.lot, name="lot")


def main() -> None:
    """Run the command line: one sentence and an exit code of its kind instead of a traceback."""
    arguments = [item for item in sys.argv[1:] if item != "--verbose"]
    verbose = len(arguments) < len(sys.argv) - 1
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    try:
        app(args=arguments, prog_name="wafergate")
    except WafergateError as error:
        _fail(error, str(error), error.exit_code, verbose=verbose)
    except KeyboardInterrupt as error:
        _fail(error, "stopped; run the same command again to go on", 130, verbose=verbose)
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program; --verbose shows all of it
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = (
                f"no disk space is left for {error.filename2 or error.filename or 'a file'}: free some, then run again"
            )
            _fail(error, message, StorageError.exit_code, verbose=verbose)
        said = " ".join(str(error).split())[:300]
        message = f"this was not foreseen ({type(error).__name__}: {said}); run it again with --verbose to see where"
        _fail(error, message, WafergateError.exit_code, verbose=verbose)


def _fail(error: BaseException, message: str, code: int, *, verbose: bool) -> None:
    if verbose:
        traceback.print_exception(error)
    told = f"wafergate: {message}"
    if sys.stderr.isatty():  # elsewhere a sentence stays on one line, for grep
        width = min(shutil.get_terminal_size().columns, 100)
        lines = [
            textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False) for line in told.split("\n")
        ]
        told = "\n".join("\n".join(wrapped) for wrapped in lines)
    typer.echo(told, err=True)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version
