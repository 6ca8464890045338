"""`wafergate audit …`: inspected images that people look at, and what their truth says of the model."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.labelling import annotations, require_empty, show_changes, write_file
from wafergate.cli.opening import group, nothing_inspected, ready
from wafergate.cli.options import Line, LineName, Person, Reason
from wafergate.cli.progress import bar
from wafergate.domain.production import Stratum
from wafergate.errors import ConfigError, NotFoundError
from wafergate.line import LineFile, load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.evaluation import Rate
    from wafergate.domain.production import ProductionFigures
    from wafergate.jobs.audit import Brought, Queued
    from wafergate.jobs.parts import Parts

__all__ = ["app"]

app = group("Inspected images that people look at: the truth of production.")

State = Annotated[str, typer.Option("--state", help="open, reviewed or all.")]
Which = Annotated[str, typer.Option("--stratum", help="Only audit, near or far.")]
_STATES = ("open", "reviewed", "all")


def _day(value: str) -> str:
    if value:
        try:
            datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError as error:
            message = f"must be a day such as 2026-03-01, found {value!r}"
            raise typer.BadParameter(message) from error
    return value


@app.command("list")
def audit_list(
    line: LineName,
    state: State = "open",
    stratum: Which = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show this many; 0 shows all.")] = 30,
) -> None:
    """List the inspected images that wait for a person, and why.

    Every inspection puts three kinds here: a random audit (audit), scores
    near a threshold (near), images unlike training (far). [review] of the
    line file says how many.

    Example: wafergate audit list --line pcb --stratum audit
    """
    from wafergate.terminal import console, table

    parts = ready()
    if nothing_inspected(parts, line):
        return
    listed = _chosen(parts, line, state, stratum)
    shown = listed[:limit] if limit else listed
    cells = [
        (item.stratum.value, item.metadata.get("lot", ""), f"{item.name}\n{item.detail}", truth.actor if truth else "")
        for item, truth in shown
    ]
    if cells:
        console().print(table(("stratum", "lot", "image, and why", "reviewed by"), cells))
    counts = Counter(item.stratum.value for item, _ in listed)
    told = f" ({', '.join(f'{name} {count}' for name, count in counts.items())})" if counts else ""
    more = f"; {len(listed) - len(shown)} more with --limit 0" if len(shown) < len(listed) else ""
    typer.echo(f"line {line}: {len(listed)} inspected images {'in all' if state == 'all' else state}{told}{more}")


@app.command("export")
def audit_export(
    line: Line,
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder.", show_default=False)],
    state: State = "open",
    stratum: Which = "",
    blind: Annotated[bool, typer.Option("--blind", help="Leave the model's boxes out: nobody is led by them.")] = False,
) -> None:
    """Write the queue's images for a labelling tool, in COCO.

    coco/ holds images and annotations.json with the model's boxes as
    proposals; images.csv tells why each image is there. Make the boxes true
    in any tool that reads and writes COCO, then: wafergate audit import.

    Example: wafergate audit export --line line.toml --to to-label
    """
    from wafergate.jobs.audit import export_queue

    line_file = load_line(line)
    parts = ready()
    listed = _chosen(parts, line_file.name, state, stratum)
    if not listed:
        typer.echo(f"nothing to export: the review queue of line {line_file.name} has no such image")
        return
    require_empty(to)
    with bar() as progress:
        for name, data in export_queue(parts, line_file, listed, boxes=not blind, progress=progress):
            write_file(to / name, data)
    images = len({item.image for item, _ in listed})
    boxes = "no boxes" if blind else "the model's boxes as proposals"
    typer.echo(
        f"wrote {to}: {images} {'image' if images == 1 else 'images'}, {boxes}\n"
        f"then: wafergate audit import {to} --line {line} --as … --reason …"
    )


@app.command("import")
def audit_import(
    path: Annotated[Path, typer.Argument(help="The exported folder, a COCO .json, or an archive with one.")],
    line: Line,
    actor: Person,
    reason: Reason,
    export: Annotated[
        str, typer.Option("--export", help="Id of the export, where the folder does not say it; else the newest.")
    ] = "",
    adopt: Annotated[
        bool, typer.Option("--adopt/--no-adopt", help="Also make a dataset version with these images.")
    ] = True,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Take over what people saw on exported images, as the truth.

    Every image in the file counts as looked at: its boxes are all of its
    defects; without any it shows none. Recall and precision in production
    follow from the random audit, and the next dataset version holds the images.

    Example: wafergate audit import to-label --line line.toml --as Kim --reason "week 12"
    """
    from wafergate.jobs.audit import EXPORTED, bring_truth, find_export

    line_file = load_line(line)
    files, said = annotations(path, EXPORTED, "export")
    parts = ready()
    found = find_export(parts, line_file.name, export or said)
    done = bring_truth(parts, line_file, files, found, title=str(path), actor=actor, reason=reason, dry=dry)
    show_changes(done.changes)
    _say_brought(done, actor, dry=dry)
    if dry:
        return
    for model_id in done.models:
        _figures_if_any(parts, line_file, model_id)
    if adopt and done.looked:
        _adopt(parts, line, line_file, actor, reason)


@app.command("figures")
def audit_figures(
    line: Line,
    model: Annotated[str, typer.Option("--model", help="Number or id of a model; else the champion.")] = "",
    since: Annotated[str, typer.Option("--since", callback=_day, help="Inspections from this day (UTC) on.")] = "",
    until: Annotated[str, typer.Option("--until", callback=_day, help="Inspections before this day (UTC).")] = "",
) -> None:
    """Show recall and precision in production, class by class.

    From randomly audited images alone: near and far images are the hard
    ones and would make every model look worse than it is.

    Example: wafergate audit figures --line line.toml --since 2026-03-01
    """
    from wafergate.domain.production import ProductionFigures
    from wafergate.jobs.production_figures import production_figures

    line_file = load_line(line)
    parts = ready()
    done = production_figures(
        parts, line_file, _model(parts, line_file.name, model), since=_moment(since), until=_moment(until)
    )
    _show(parts.facts.get(ProductionFigures, done.id))


@app.command("adopt")
def audit_adopt(line: Line, actor: Person, reason: Reason) -> None:
    """Make a dataset version that holds every reviewed image as well.

    What follows a lot that judged a model never teaches: the next split sees
    to it. Twice adds nothing.

    Example: wafergate audit adopt --line line.toml --as Kim --reason "week 12"
    """
    _adopt(ready(), line, load_line(line), actor, reason)


def _chosen(parts: "Parts", line: str, state: str, stratum: str) -> "list[Queued]":
    from wafergate.jobs.audit import audit_queue

    if state not in _STATES:
        message = f"--state must be {', '.join(_STATES[:-1])} or {_STATES[-1]}; found {state!r}"
        raise ConfigError(message)
    if stratum not in {"", *Stratum}:
        message = f"--stratum must be one of {', '.join(Stratum)}; found {stratum!r}"
        raise ConfigError(message)
    return [
        (item, truth)
        for item, truth in audit_queue(parts, line)
        if state in {"all", "reviewed" if truth else "open"} and stratum in {"", item.stratum.value}
    ]


def _say_brought(done: "Brought", actor: str, *, dry: bool) -> None:
    waiting = f"; {done.missing} of the export did not come back and stay in the queue" if done.missing else ""
    if not done.new:
        typer.echo(f"nothing new: the truth of these {done.looked} images is known{waiting}")
    elif dry:
        typer.echo(f"nothing was stored: without --dry-run {done.new} of {done.looked} images get a truth{waiting}")
    else:
        typer.echo(f"{done.new} of {done.looked} images have a truth, seen by {actor}{waiting}")


def _figures_if_any(parts: "Parts", line: LineFile, model_id: str) -> None:
    from wafergate.domain.production import ProductionFigures
    from wafergate.jobs.production_figures import production_figures

    try:
        done = production_figures(parts, line, model_id)
    except NotFoundError as error:
        typer.echo(str(error))
    else:
        _show(parts.facts.get(ProductionFigures, done.id))


def _adopt(parts: "Parts", path: Path, line: LineFile, actor: str, reason: str) -> None:
    from wafergate.domain.samples import DatasetVersion
    from wafergate.jobs.adopt import adopt
    from wafergate.jobs.validate import examine, require_valid

    done = adopt(parts, line, actor=actor, reason=reason)
    made, parent = parts.facts.get(DatasetVersion, done.id), parts.facts.get(DatasetVersion, done.parent)
    if done.added:
        typer.echo(
            f"version {made.number} of line {line.name}: version {parent.number} and {done.added} reviewed "
            f"{'image' if done.added == 1 else 'images'}\n"
            f"then: wafergate retrain --line {path} --version {made.number}"
        )
        require_valid(parts, examine(parts, line, made.id).id)
    elif not done.known and not done.left_out:
        typer.echo(f"no inspected image of line {line.name} was reviewed: wafergate audit export, then audit import")
    else:
        typer.echo(
            f"nothing to add: version {made.number} of line {line.name} holds {done.known} reviewed images, no other "
            "can be used"
        )
    if done.differing:
        typer.echo(
            f"{done.differing} of them have other boxes there than reviewers saw since; `wafergate review import` "
            "corrects a version's labels"
        )
    for name, why in done.left_out[:3]:
        typer.echo(f"left out: {name}: {why}")
    if len(done.left_out) > 3:
        typer.echo(f"… and {len(done.left_out) - 3} more")


def _model(parts: "Parts", line: str, named: str) -> str:
    from wafergate.domain.training_rows import ModelVersion
    from wafergate.jobs.promote import champion_model

    if not named:
        return champion_model(parts, line).id
    models = parts.facts.find(ModelVersion, line=line)
    found = [model.id for model in models if named in {str(model.number), model.id}]
    if not found:
        message = f"line {line!r} has no model {named!r}; it has {f'1 to {models[0].number}' if models else 'none'}"
        raise NotFoundError(message)
    return found[0]


def _moment(day: str) -> datetime | None:
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) if day else None


def _show(row: "ProductionFigures") -> None:
    from wafergate.terminal import console, paragraph, table

    cells = [
        (
            item.defect_class,
            item.recall.trials,
            item.recall.hits,
            *_shares(item.recall),
            item.precision.trials - item.precision.hits,
            *_shares(item.precision),
        )
        for item in row.classes
    ]
    columns = ("class", "defects", "found", "recall", "bounds", "false", "precision", " bounds")
    console().print(table(columns, cells, numbers=columns[1:]))
    waiting = f" {row.waiting} audited images wait; their inspections do not count until all are seen." * bool(
        row.waiting
    )
    cut = f" {row.uncovered} images are not spoken for: the day's limit cut their audit." * bool(row.uncovered)
    runs = f"{row.runs} inspection{'' if row.runs == 1 else 's'}"
    escapes, overkill = (f"{rate.hits} of {rate.trials}" for rate in (row.escapes, row.overkill))
    typer.echo(
        paragraph(
            f"in production, by {row.images} randomly audited of {row.inspected} images ({runs}, "
            f"{row.since:%Y-%m-%d} to {row.until:%Y-%m-%d}), each bound at {row.confidence:.0%}: {escapes} defective "
            f"images escaped, {overkill} normal images were called defective.{waiting}{cut}"
        )
    )


def _shares(rate: "Rate") -> tuple[str, str]:
    value = "–" if rate.value is None else f"{rate.value:.3f}"
    return value, f"{rate.lower:.2f}-{rate.upper:.2f}"
