"""`wafergate hardware | latency | choice`: what this machine is, how fast a model answers on it, which fits it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Line, LineName
from wafergate.errors import ConfigError, NotFoundError, ServiceError
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.adapters.machine import Gpu, Machine
    from wafergate.domain.latency import ServingFigures
    from wafergate.domain.training_rows import ModelVersion
    from wafergate.line import LineFile
    from wafergate.ports import FactStore

__all__ = ["app"]

app = typer.Typer()


@app.command()
def hardware(line: Annotated[Path | None, typer.Option("--line", help="Show its limits beside.")] = None) -> None:
    """Show what this machine has, and what a line declares beside it.

    What a model takes to answer is what was measured last, of the champion
    or else of the newest model; `wafergate latency` measures it here.

    Example: wafergate hardware --line line.toml
    """
    from wafergate.adapters.machine import find_machine
    from wafergate.terminal import console, pairs, table

    found = find_machine()
    cards = ", ".join(f"{gpu.name} ({_memory(gpu)})" for gpu in found.gpus)
    rows: list[tuple[str, object]] = [
        ("processor", f"{found.processor}, {found.cores} cores"),
        ("memory", f"{found.memory_mib:,.0f} MiB"),
        ("cards", cards or "none with CUDA"),
    ]
    console().print(pairs(rows))
    if line is not None:
        checked = load_line(line)
        console().print()
        console().print(table(("[hardware]", "declared", "found"), _declared(checked, found)))


def _declared(line: "LineFile", found: "Machine") -> list[tuple[str, str, str]]:
    """Return a row for each key of the two profiles: what the line file says, and what there is."""
    from wafergate.adapters.onnx.runtimes import loads_cuda
    from wafergate.domain.latency import latency_limits

    train, serve = line.hardware.train, line.hardware.serve
    card = next((gpu for gpu in found.gpus if train.device != "cpu"), None)
    try:
        model, figures = _newest_figures(line)
        missing = "not measured" if model else "no model yet"
    except (ConfigError, ServiceError):  # the machine can be shown without them
        model, figures, missing = None, None, "unknown: the services do not answer"
    times = latency_limits(figures.latency if figures else (), serve)
    size = f"{model.size_mib:.1f} MiB" if model else missing
    trains, serves = ("CUDA" if has else "processor" for has in (found.gpus, found.gpus and loads_cuda()))
    return [
        ("train.device", train.device, trains),
        ("train.memory_mib", _limit(train.memory_mib, "MiB"), _memory(card or found)),
        ("train.threads", f"{train.threads}" if train.threads else "all", f"{found.cores} cores"),
        ("serve.device", serve.device, serves),
        ("serve.threads", f"{serve.threads}" if serve.threads else "all", f"{found.cores} cores"),
        ("serve.runtime", serve.runtime, figures.runtime if figures else missing),
        *(
            (f"serve.{key}", _limit(limit, "ms"), missing if value is None else f"{value:.1f} ms")
            for key, _, value, limit in times
        ),
        ("serve.size_mib", _limit(serve.size_mib, "MiB"), size),
        ("measured on", "", figures.machine if figures else "-"),
    ]


def _memory(of: "Gpu | Machine") -> str:
    return f"{of.memory_mib:,.0f} MiB" if of.memory_mib else "memory not told"


def _limit(value: float, unit: str) -> str:
    return f"at most {value:g} {unit}" if value else "no limit"


def _newest_figures(line: "LineFile") -> tuple["ModelVersion | None", "ServingFigures | None"]:
    """Return the line's champion, or its newest model, and what it was measured to take.

    Raises:
        ConfigError: no services are set up.
        ServiceError: they do not answer.
    """
    from wafergate.domain.latency import ServingFigures

    facts = ready().facts
    model = _serving_model(facts, line.name)
    figures = facts.find(ServingFigures, model_id=model.id) if model else []
    return model, next((row for row in figures if row.speaks_for(line.hardware.serve)), None)


def _serving_model(facts: "FactStore", line: str) -> "ModelVersion | None":
    from wafergate.domain.training_rows import ModelVersion

    champion = facts.champion(line)
    if champion is not None:
        return facts.get(ModelVersion, champion.model_id)
    return next(iter(facts.find(ModelVersion, line=line, limit=1)), None)


@app.command()
def latency(
    line: Line,
    model: Annotated[str, typer.Option("--model", help="Number or id of a model; else the champion.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Measure anew: the machine was busy.")] = False,
) -> None:
    """Time a model on this machine, in the runtime that serves it here.

    One image at a time, then two: from decoded pixels to boxes. The gate
    judges by what was measured last, so run it on the machine that serves.

    Example: wafergate latency --line line.toml
    """
    from wafergate.cli.progress import bar
    from wafergate.domain.latency import P99_CALLS, ServingFigures, latency_limits
    from wafergate.jobs.latency import measure_latency
    from wafergate.jobs.reproduce import find_model
    from wafergate.terminal import console, pairs, table

    checked = load_line(line)
    parts = ready()
    chosen = find_model(parts.facts, model, checked.name) if model else _serving_model(parts.facts, checked.name)
    if chosen is None:
        message = f"line {checked.name!r} has no model to time: run `wafergate retrain`"
        raise NotFoundError(message)
    with bar() as progress:
        done = measure_latency(parts, checked, chosen.id, again=again, progress=progress)
    row = parts.facts.get(ServingFigures, done.id)
    told = f"version {chosen.number}, {chosen.candidate.name}, {chosen.image_size} px"
    console().print(pairs([("model", told), ("machine", row.machine), ("runtime", row.runtime)]))
    console().print()
    cells = [
        (
            f"{item.batch}",
            *("-" if value is None else f"{value:.1f}" for value in (item.median_ms, item.p95_ms, item.p99_ms)),
            f"{item.calls or '-'}",
        )
        for item in row.latency
    ]
    columns = ("images at once", "median ms", "p95 ms", "p99 ms", "timed")
    console().print(table(columns, cells, numbers=columns))
    if done.reused:
        typer.echo(f"measured on {row.created_at:%Y-%m-%d %H:%M} UTC; --again measures anew")
    for key, what, value, limit in latency_limits(row.latency, checked.hardware.serve):
        if limit and value is None:
            typer.echo(f"{what}: {P99_CALLS} timed answers are needed for {key} in [hardware.serve]")
        if limit and value is not None:
            verdict = "within" if value <= limit else "ABOVE"
            typer.echo(f"{what}: {value:.1f} ms, {verdict} {key} = {limit:g} in [hardware.serve]")


@app.command()
def choice(line: LineName) -> None:
    """Show the newest choice of a model: what dropped every other.

    Example: wafergate choice --line pcb
    """
    from wafergate.domain.choice import ModelChoice
    from wafergate.terminal import console, paragraph, table

    rows = ready().facts.find(ModelChoice, line=line, limit=1)
    if not rows:
        message = f"no candidate was chosen for line {line!r} yet: set candidate = 'auto' in [models], then retrain"
        raise NotFoundError(message)
    row = rows[0]

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    cells = [
        (
            one.candidate,
            number(one.memory_mib, ".0f"),
            number(one.latency_ms, ".1f"),
            number(one.size_mib, ".1f"),
            number(one.rungs[-1].lowest_recall if one.rungs else None, ".2f"),
            one.dropped_by or "chosen",
        )
        for one in row.standings
    ]
    columns = ("candidate", "train MiB", "ms", "MiB", "lowest recall", "outcome")
    console().print(table(columns, cells, numbers=columns[1:5]))
    for one in row.standings:
        if one.reason:
            typer.echo(paragraph(f"{one.candidate}: {one.reason}", indent=2))
