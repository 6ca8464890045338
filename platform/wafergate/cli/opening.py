"""Open the services and the flows for a command."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from wafergate.errors import ConfigError

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.jobs.parts import Parts

__all__ = ["dashboard", "flow", "group", "nothing_inspected", "ready"]


def group(title: str) -> typer.Typer:
    """Return an empty group of commands under one noun."""
    return typer.Typer(help=title, no_args_is_help=True, rich_markup_mode=None)


def ready() -> "Parts":
    """Check that every service answers, point Prefect at its server, and return the parts."""
    from wafergate import wiring

    values = wiring.settings()
    wiring.check_services(values)
    wiring.point_prefect(values)
    return wiring.open_parts()


def nothing_inspected(parts: "Parts", line: str) -> bool:
    """Tell whether a line has inspected no image yet, and say so."""
    empty = not parts.inspections.runs(line, limit=1)
    if empty:
        typer.echo(f"line {line} has no inspection yet: run `wafergate inspect`")
    return empty


def flow(name: str) -> Callable[..., Any]:
    """Load a flow by its file, as a Prefect worker does."""
    from importlib.util import find_spec

    from prefect.flows import load_flow_from_entrypoint

    spec = find_spec("flows")
    if spec is None or not spec.submodule_search_locations:
        message = "the flows folder is not installed beside wafergate: install the package again"
        raise ConfigError(message)
    file = Path(spec.submodule_search_locations[0]) / f"{name}.py"
    return load_flow_from_entrypoint(f"{file}:{name}", use_placeholder_flow=False)


def dashboard() -> str:
    """Return the running dashboard's address, or nothing."""
    from wafergate import wiring

    return next((s.address for s in wiring.service_status() if s.name == "dashboard" and s.state == "running"), "")
