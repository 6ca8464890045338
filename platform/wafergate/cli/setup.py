"""`wafergate check | init | up | down | status | dashboard | migrate | deploy | demo`: a line file and its services."""

import getpass
import sys
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from wafergate.cli.opening import dashboard, flow, ready
from wafergate.cli.options import Line
from wafergate.errors import ConfigError, ServiceError
from wafergate.line import load_line, wrong_line

__all__ = ["app"]

app = typer.Typer()

_PORT = 8501  # the one people know of Streamlit


@app.command()
def check(line: Annotated[Path, typer.Argument(help="The line file.")]) -> None:
    """Check a line file and print every error at once.

    Example: wafergate check line.toml
    """
    from wafergate import wiring
    from wafergate.domain.models import choosable, named_candidate, require_backend

    found, catalogue = load_line(line), wiring.catalogue()
    backends = {known.backend for known in catalogue.values()}
    checks: list[Callable[[], object]] = [partial(choosable, catalogue, found.models)]
    checks += [partial(require_backend, candidate, backends) for candidate in found.models.candidates]
    if found.models.candidate != "auto":
        checks.append(partial(named_candidate, catalogue, found.models))
    problems = []
    for check_one in checks:
        try:
            check_one()
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise wrong_line(line, problems)
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


@app.command("dashboard")
def dashboard_(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port to listen on; else 8501.")] = None,
    without_sign_in: Annotated[
        bool, typer.Option("--without-sign-in", help="Let whoever reaches another address than loopback in.")
    ] = False,
) -> None:
    """Serve the dashboard until Ctrl-C, or say where it is served.

    `wafergate up` serves it already; a --port serves another one. On an
    address past this machine it wants sign-in (WAFERGATE_OIDC_URL and what
    belongs to it), or to be told that whoever reaches it may look.

    Example: wafergate dashboard --port 8600
    """
    from wafergate import wiring

    if not port and (running := dashboard()):
        typer.echo(f"http://{running}")
        return
    if not _is_loopback(host) and not (without_sign_in or wiring.sign_in_wanted()):
        message = (
            f"whoever reaches {host} could look: set WAFERGATE_OIDC_URL, WAFERGATE_OIDC_CLIENT_ID and "
            "WAFERGATE_OIDC_CLIENT_SECRET for sign-in, or say --without-sign-in"
        )
        raise ConfigError(message)
    chosen = port or _PORT
    typer.echo(f"dashboard: http://{host}:{chosen} (Ctrl-C ends it)")
    sys.stdout.flush()  # what follows takes the place of this process
    wiring.serve_dashboard(host=host, port=chosen)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError as error:
        message = f"--host must be an IP address of this machine or localhost, found {host!r}"
        raise ConfigError(message) from error


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
def deploy(line: Line) -> None:
    """Register the line's flows and schedules in Prefect.

    Example: wafergate deploy --line line.toml
    """
    from importlib import import_module

    load_line(line)
    ready()
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
    typer.echo(f"\ndashboard: http://{dashboard()}")


def _retrain_for_demo(line: Path, source: Path) -> str:
    from wafergate.terminal import show_decision

    parts = ready()
    decision: str = flow("retrain")(str(line), str(source), "coco", 0, "", getpass.getuser())
    show_decision(parts.facts, decision)
    return decision
