"""`wafergate …`: every command, its help and its exit code."""

import errno
import getpass
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from wafergate import __version__
from wafergate.errors import ConfigError, ServiceError, StorageError, WafergateError
from wafergate.line import load_line

app = typer.Typer(
    help="Train, judge, promote and watch a line's defect detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
ledger_app = typer.Typer(help="The append-only story of every decision.", no_args_is_help=True, rich_markup_mode=None)
quarantine_app = typer.Typer(help="What did not enter, and why.", no_args_is_help=True, rich_markup_mode=None)
alerts_app = typer.Typer(help="The outbox of alerts.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(ledger_app, name="ledger")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(alerts_app, name="alerts")

Line = Annotated[Path, typer.Option("--line", help="The line file (TOML).", show_default=False)]
SourcePath = Annotated[Path, typer.Option("--source", help="Folder, .zip or .tar.", show_default=False)]
Format = Annotated[str, typer.Option("--format", help="coco, deeppcb, masks, voc or yolo.", show_default=False)]
AnyFormat = Annotated[str, typer.Option("--format", help="images, or coco, deeppcb, masks, voc, yolo.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Take this many images, spread evenly; 0 takes all.")]
Actor = Annotated[str, typer.Option("--as", help="Who does it; stands in the ledger.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands in the ledger.", show_default=False)]


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
    typer.echo(f"wafergate: {message}", err=True)
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


def _ready() -> Any:
    """Check that every service answers, point Prefect at its server, and return the parts."""
    from wafergate import wiring

    values = wiring.settings()
    wiring.check_services(values)
    wiring.point_prefect(values)
    return wiring.open_parts()


def _flow(name: str) -> Callable[..., str]:
    """Load a flow by its file, as a Prefect worker does."""
    from importlib.util import find_spec

    from prefect.flows import load_flow_from_entrypoint

    spec = find_spec("flows")
    if spec is None or not spec.submodule_search_locations:
        message = "the flows folder is not installed beside wafergate: install the package again"
        raise ConfigError(message)
    file = Path(spec.submodule_search_locations[0]) / f"{name}.py"
    return load_flow_from_entrypoint(f"{file}:{name}", use_placeholder_flow=False)


@app.command()
def check(line: Annotated[Path, typer.Argument(help="The line file.")]) -> None:
    """Check a line file and print every error at once.

    Example: wafergate check line.toml
    """
    found = load_line(line)
    typer.echo(f"{line} is right: line {found.name!r}, {len(found.classes)} classes ({', '.join(found.classes)})")


@app.command()
def init(line: Annotated[Path, typer.Argument(help="The file to write.")] = Path("line.toml")) -> None:
    """Write a line file to start from, with comments.

    Example: wafergate init line.toml
    """
    from wafergate.sample.template import TEMPLATE

    try:
        with line.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError as error:
        message = f"{line} is there already and stays as it is: name another file"
        raise ConfigError(message) from error
    except OSError as error:
        message = f"{line} cannot be written ({error.strerror}): name a file in a folder of yours"
        raise ConfigError(message) from error
    typer.echo(f"wrote {line}; edit it, then: wafergate check {line}")


@app.command()
def up() -> None:
    """Start PostgreSQL, S3, Prefect, worker and dashboard here.

    Example: wafergate up
    """
    from wafergate import wiring

    state = wiring.start_services(lambda part, message: typer.echo(f"  {part}: {message}", err=True))
    if not state.started:
        typer.echo("everything runs already")
    for service in state.services:
        typer.echo(f"{service.name:<10} {service.state:<9} {service.address}")


@app.command()
def down() -> None:
    """Stop what `wafergate up` started; data stay.

    Example: wafergate down
    """
    from wafergate import wiring

    stopped = wiring.stop_services(lambda part, message: typer.echo(f"  {part}: {message}", err=True))
    typer.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def status() -> None:
    """Say of every service whether it runs and answers.

    Exit code 20 if one does not.

    Example: wafergate status
    """
    from wafergate import wiring

    services = wiring.service_status()
    for service in services:
        typer.echo(f"{service.name:<10} {service.state:<9} {service.address or ''}")
    if any(service.state in {"stopped", "failed"} for service in services):
        raise typer.Exit(ServiceError.exit_code)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema.

    `wafergate up` does it by itself.

    Example: wafergate migrate
    """
    from wafergate import wiring

    wiring.migrate_schema(wiring.settings())
    typer.echo("the schema is up to date")


@app.command()
def intake(line: Line, source: SourcePath, format: Format, limit: Limit = 0) -> None:  # noqa: A002
    """Make a validated dataset version of images and labels.

    Example: wafergate intake --line line.toml --format coco --source exports/week12
    """
    load_line(line)
    _ready()
    typer.echo(_flow("intake")(str(line), str(source), format, limit))


@app.command()
def retrain(
    line: Line,
    source: SourcePath,
    format: Format,  # noqa: A002
    limit: Limit = 0,
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights to start from.")] = None,
    actor: Actor = "",
    require_pass: Annotated[bool, typer.Option("--require-pass", help="Exit with 12 unless the gate passes.")] = False,
) -> None:
    """Run the whole thread, from images to a gated champion.

    Intake, validate, split, augment, train, judge, decide, promote.

    Example: wafergate retrain --line line.toml --format coco --source exports/week12
    """
    from wafergate.terminal import show_decision

    load_line(line)
    parts = _ready()
    start = str(weights) if weights else ""
    before = {row.id for row in parts.facts.find(_decision_type(), line=load_line(line).name)}
    decision = _flow("retrain")(str(line), str(source), format, limit, start, actor or getpass.getuser())
    show_decision(parts.facts, decision, dashboard=_dashboard())
    if decision in before:
        typer.echo("nothing new: the same data, line file and weights were judged before; no work was done twice")
    if require_pass and parts.facts.get(_decision_type(), decision).verdict != "pass":
        raise typer.Exit(12)


def _decision_type() -> Any:
    from wafergate.domain.gate import GateDecision

    return GateDecision


def _dashboard() -> str:
    from wafergate import wiring

    return next((s.address for s in wiring.service_status() if s.name == "dashboard" and s.state == "running"), "")


@app.command("inspect")
def inspect_(line: Line, source: SourcePath, format: AnyFormat = "images", limit: Limit = 0) -> None:  # noqa: A002
    """Run the line's champion over new images.

    Example: wafergate inspect --line line.toml --source lots/A1234
    """
    from wafergate.domain.inspection import InspectionRun

    load_line(line)
    parts = _ready()
    row = parts.facts.get(InspectionRun, _flow("inspect_lot")(str(line), str(source), format, limit))
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
    parts = _ready()
    row = parts.facts.get(DriftReport, _flow("watch")(str(line), str(source), format, limit))
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


@app.command()
def approve(
    decision: Annotated[str, typer.Argument(help="Id of a gate decision that passed.")],
    line: Line,
    actor: Annotated[str, typer.Option("--as", help="Who approves.", show_default=False)],
    reason: Reason,
) -> None:
    """Promote a model that passed and waits for a person.

    Example: wafergate approve decision-1a2b --line line.toml --as Kim --reason "lot A ok"
    """
    load_line(line)
    _ready()
    typer.echo(f"champion: {_flow('release')(str(line), actor, reason, decision)}")


@app.command()
def rollback(
    line: Line,
    actor: Annotated[str, typer.Option("--as", help="Who rolls back.", show_default=False)],
    reason: Reason,
    to: Annotated[str, typer.Option("--to", help="Id of an earlier champion.")] = "previous",
) -> None:
    """Go back to an earlier champion.

    Example: wafergate rollback --line line.toml --as Kim --reason "escapes in lot B"
    """
    load_line(line)
    _ready()
    typer.echo(f"champion: {_flow('release')(str(line), actor, reason, '', to)}")


@app.command()
def release(
    line: Line,
    reason: Reason,
    decision: Annotated[str, typer.Option("--decision", help="Id of a gate decision that passed.")] = "",
    to: Annotated[str, typer.Option("--to", help="Id of an earlier champion, or previous.")] = "",
    actor: Actor = "",
) -> None:
    """Promote or roll back: `approve` and `rollback` in one.

    Example: wafergate release --line line.toml --decision decision-1a2b --reason "lot A ok"
    """
    if bool(decision) == bool(to):
        message = "release needs either --decision or --to"
        raise ConfigError(message)
    load_line(line)
    _ready()
    typer.echo(f"champion: {_flow('release')(str(line), actor or getpass.getuser(), reason, decision, to)}")


@app.command()
def deploy(line: Line) -> None:
    """Register the line's flows and schedules in Prefect.

    Example: wafergate deploy --line line.toml
    """
    from importlib import import_module

    load_line(line)
    _ready()
    for name in import_module("flows.deployments").register(line):
        typer.echo(name)


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Option("--folder", help="Where the sample line goes.")] = None,
) -> None:
    """Play the product's story in two acts on a sample line.

    Example: wafergate demo
    """
    from wafergate import demo as story
    from wafergate import wiring

    story.play(folder or wiring.home() / "demo", retrain=_retrain_for_demo, say=typer.echo)
    typer.echo(f"\ndashboard: http://{_dashboard()}")


def _retrain_for_demo(line: Path, source: Path) -> str:
    from wafergate.terminal import show_decision

    parts = _ready()
    decision = _flow("retrain")(str(line), str(source), "coco", 0, "", getpass.getuser())
    show_decision(parts.facts, decision)
    return decision


@ledger_app.command("show")
def ledger_show(line: Annotated[str, typer.Option("--line", help="Name of one line.")] = "") -> None:
    """Print the ledger, oldest first.

    Example: wafergate ledger show --line pcb
    """
    from wafergate.terminal import show_ledger

    show_ledger(_ready().facts.ledger(line or None))


@ledger_app.command("verify")
def ledger_verify() -> None:
    """Check the hash chain; exit code 21 if an entry was changed.

    Example: wafergate ledger verify
    """
    from wafergate.domain.gate import broken_links

    entries = _ready().facts.ledger()
    broken = broken_links(entries)
    if broken:
        message = f"the ledger's chain is broken at entry {', '.join(map(str, broken[:5]))} of {len(entries)}"
        raise StorageError(message)
    typer.echo(f"{len(entries)} entries, the chain holds")


@quarantine_app.command("list")
def quarantine_list(line: Annotated[str, typer.Option("--line", help="Name of one line.")] = "") -> None:
    """List what did not enter, with the reason.

    Example: wafergate quarantine list --line pcb
    """
    from wafergate.domain.samples import Quarantined
    from wafergate.terminal import console, table

    facts = _ready().facts
    rows = facts.find(Quarantined, line=line) if line else facts.find(Quarantined)
    console().print(table(("line", "reason", "file", "detail"), [(r.line, r.reason, r.path, r.detail) for r in rows]))
    typer.echo(f"{len(rows)} in quarantine")


@alerts_app.command("list")
def alerts_list() -> None:
    """List every alert, newest first, sent or waiting.

    Example: wafergate alerts list
    """
    from wafergate.domain.alerts import Alert
    from wafergate.terminal import console, table

    rows = _ready().facts.find(Alert)
    cells = [(f"{r.created_at:%Y-%m-%d %H:%M}", r.state.value, r.attempts, r.title) for r in rows]
    console().print(table(("when (UTC)", "state", "tries", "alert"), cells, numbers=("tries",)))


@alerts_app.command("send")
def alerts_send(line: Line) -> None:
    """Send what waits for a line through its channels.

    Example: wafergate alerts send --line line.toml
    """
    from wafergate import wiring
    from wafergate.jobs.alerts import dispatch

    line_file, parts = load_line(line), _ready()
    sent, waiting, problem = dispatch(parts, wiring.alert_channel(line_file), line=line_file.name)
    typer.echo(f"{sent} sent, {waiting} waiting" + (f": {problem}" if problem else ""))
