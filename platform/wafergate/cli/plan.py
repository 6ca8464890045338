"""`wafergate plan`: what the gate could decide, before anything is trained."""

from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Line
from wafergate.cli.split import VersionNamed
from wafergate.domain.words import counted
from wafergate.errors import ConfigError, SplitError
from wafergate.line import LineFile, load_line

if TYPE_CHECKING:
    from wafergate.domain.splits import ClassPower
    from wafergate.jobs.plan import Plan

__all__ = ["app"]

app = typer.Typer()


@app.command()
def plan(
    line: Line,
    version: VersionNamed = "",
    per_class: Annotated[
        int | None, typer.Option("--per-class", min=1, help="Test instances of each class; needs no data.")
    ] = None,
) -> None:
    """Say what a perfect model could prove, and what to collect.

    Of a dataset version: on its split, or on the one it would get. Before
    there are any data: on a test set of --per-class instances each, and
    under 'in all' what must be labelled for it.

    Example: wafergate plan 3 --line line.toml

    Example: wafergate plan --line line.toml --per-class 20
    """
    from wafergate.jobs.plan import plan_per_class, plan_version
    from wafergate.jobs.versions import find_version
    from wafergate.terminal import paragraph

    line_file = load_line(line)
    if per_class and version:
        message = "plan needs either a version or --per-class, found both"
        raise ConfigError(message)
    if per_class:
        typer.echo(f"line {line_file.name}, a test set of {per_class} instances of every class\n")
        _show(plan_per_class(line_file, per_class), line_file)
        if per_class > line_file.split.test_per_class:
            aims = f"[split] test_per_class is {line_file.split.test_per_class}, and a split aims at no more"
            typer.echo(paragraph(f"{aims}: set it to {per_class} or more"))
        return
    parts = ready()
    dataset = find_version(parts.facts, line_file.name, version)
    found = plan_version(parts, line_file, dataset)
    how = f"split {found.split.mode}" if found.split else "cannot be split"
    typer.echo(f"line {line_file.name}, dataset version {dataset.number}, {dataset.images} images, {how}\n")
    _show(found, line_file)
    if found.shortage:
        raise SplitError(found.shortage)


def _decides(item: "ClassPower") -> str:
    lacks = [str(item.more_test)] if item.more_test else []
    lacks += [counted(item.more_groups, "group")] if item.more_groups else []
    return "can decide" if item.decidable else f"lacks {', '.join(lacks)}"


def _show(found: "Plan", line: LineFile) -> None:
    from wafergate.formats.words import Words
    from wafergate.terminal import console, paragraph, table

    words = Words("en")
    cells = [
        (
            item.defect_class,
            item.instances,
            item.test_instances,
            words.at_least(item.best_provable),
            words.limit(item.limit),
            _decides(item),
            f"{item.collect} more" if item.collect else "-",
        )
        for item in found.classes
    ]
    columns = ("class", "in all", "in test", "proves", "limit", "gate", "collect")
    console().print(table(columns, cells, numbers=("in all", "in test", "proves", "limit", "collect")))
    told = [f"\nproves: the recall that finding every test instance would prove at {line.gate.confidence:.0%}"]
    if found.normals and found.normals.limit < 1:
        lacks = "" if found.normals.decidable else f": {found.normals.more_test} more would decide"
        told.append(
            f"{found.normals.images} test images without defect, none alarmed, would prove an overkill of at most "
            f"{words.at_most(found.normals.best_provable)}, limit {words.limit(found.normals.limit)}{lacks}"
        )
    if any(item.more_test and not item.collect and not item.test_per_class for item in found.classes):
        told.append("an even test goes by its scarcest class: what lacks and collects nothing waits for the others")
    told.append(found.verdict)
    for text in told:
        typer.echo(paragraph(text))
