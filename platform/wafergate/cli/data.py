"""`wafergate data …`: dataset versions listed, shown, compared and written out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import LineName
from wafergate.cli.progress import bar

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.changes import Changes
    from wafergate.domain.samples import DatasetVersion

__all__ = ["app"]

app = group("Dataset versions: none is ever changed.")

Version = Annotated[str, typer.Argument(help="Number or id of a dataset version.")]


@app.command("list")
def data_list(line: LineName = "") -> None:
    """List the dataset versions, newest first.

    Example: wafergate data list --line pcb
    """
    from wafergate.domain.samples import DatasetVersion
    from wafergate.terminal import console, table

    facts = ready().facts
    rows = facts.find(DatasetVersion, line=line) if line else facts.find(DatasetVersion)
    cells = [
        (
            row.line,
            row.number,
            row.images,
            row.normal_images,
            sum(row.instances.values()),
            row.quarantined,
            f"{row.created_at:%Y-%m-%d %H:%M}",
            row.format,
        )
        for row in sorted(rows, key=lambda row: (row.line, -row.number))
    ]
    columns = ("line", "version", "images", "normal", "boxes", "set aside", "when (UTC)", "format")
    if not cells:
        owner = f"line {line} has no" if line else "no line has a"
        typer.echo(f"{owner} dataset version yet: run `wafergate intake`")
        return
    console().print(table(columns, cells, numbers=columns[1:6]))
    typer.echo("where from, and how many of each class: wafergate data show VERSION --line NAME")


@app.command("show")
def data_show(version: Version, line: LineName = "") -> None:
    """Show one version: where from, how many of each class.

    Example: wafergate data show 3 --line pcb
    """
    from wafergate.jobs.versions import named_version
    from wafergate.terminal import console, pairs, table

    row = named_version(ready().facts, version, line)
    rows: list[tuple[str, object]] = [
        ("version", f"{row.number} of line {row.line}"),
        ("id", row.id),
        ("read from", f"{row.source} ({row.format})"),
        ("when", f"{row.created_at:%Y-%m-%d %H:%M} UTC"),
        ("images", f"{row.images}, {row.normal_images} of them without defect"),
        ("boxes", sum(row.instances.values())),
        ("set aside", row.quarantined),
        ("licence", row.licence),
    ]
    console().print(pairs(rows))
    typer.echo()
    cells = [(name, boxes, row.image_counts.get(name, 0)) for name, boxes in sorted(row.instances.items())]
    console().print(table(("class", "boxes", "images"), cells, numbers=("boxes", "images")))


@app.command("diff")
def data_diff(
    before: Annotated[str, typer.Argument(help="Number or id of the older version.")],
    after: Annotated[str, typer.Argument(help="Number or id of the newer version.")],
    line: LineName = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Tell this many images; 0 tells all.")] = 20,
) -> None:
    """Compare two versions: images, boxes one by one, classes.

    Example: wafergate data diff 1 2 --line pcb
    """
    from wafergate.domain.changes import compare_samples
    from wafergate.domain.samples import Sample
    from wafergate.jobs.versions import named_version
    from wafergate.terminal import console

    facts = ready().facts
    old, new = named_version(facts, before, line), named_version(facts, after, line)
    changes = compare_samples(facts.find(Sample, dataset_id=old.id), facts.find(Sample, dataset_id=new.id))
    out = console()
    out.print(_class_table(old, new))
    for sentence in _sentences(old, new, changes):
        out.print(sentence, markup=False)
    shown = changes.images[:limit] if limit else changes.images
    for change in shown:
        was = f" (was {change.before})" if change.before not in {"", change.name} else ""
        told = f"; {', '.join(change.told)} changed" if change.told else ""
        out.print(f"{change.kind.value} {change.name}{was}{told}", markup=False, style="bold")
        for box in change.boxes:
            out.print(f"  {box}", markup=False)
    if len(shown) < len(changes.images):
        out.print(f"and {len(changes.images) - len(shown)} more images; --limit 0 tells them all", markup=False)


def _class_table(old: "DatasetVersion", new: "DatasetVersion") -> object:
    from wafergate.terminal import table

    names = sorted({*old.instances, *new.instances})
    counts: Sequence[tuple[str, int, int]] = [
        *((name, old.instances.get(name, 0), new.instances.get(name, 0)) for name in names),
        ("(all boxes)", sum(old.instances.values()), sum(new.instances.values())),
        ("(images)", old.images, new.images),
        ("(images without defect)", old.normal_images, new.normal_images),
    ]
    cells = [(name, was, now, f"{now - was:+d}" if now != was else "") for name, was, now in counts]
    columns = ("class", f"version {old.number}", f"version {new.number}", "change")
    return table(columns, cells, numbers=columns[1:])


def _sentences(old: "DatasetVersion", new: "DatasetVersion", changes: "Changes") -> list[str]:
    images = ", ".join(f"{count} {kind.value}" for kind, count in changes.image_counts.items() if count)
    boxes = ", ".join(f"{count} {kind.value}" for kind, count in changes.box_counts.items() if count)
    told = [f"images: {changes.unchanged} unchanged" + (f", {images}" if images else "")]
    told.append(f"boxes: {boxes or 'none changed'}")
    if old.licence != new.licence:
        told.append(f"licence: {old.licence} became {new.licence}")
    return told


@app.command("export")
def data_export(
    version: Version,
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder.", show_default=False)],
    format: Annotated[str, typer.Option("--format", help="coco, deeppcb, masks, voc or yolo.")] = "coco",  # noqa: A002
    line: LineName = "",
    labels: Annotated[str, typer.Option("--labels", help="raw as they were drawn, or class.")] = "raw",
) -> None:
    """Write images and labels to a folder, read back before it counts.

    What the format has no place for stands in not_kept.csv there.

    Example: wafergate data export 3 --line pcb --format yolo --to exports/3
    """
    from wafergate.adapters.source import open_source
    from wafergate.jobs.export import NOT_KEPT_NAME, export
    from wafergate.jobs.versions import named_version

    parts = ready()
    row = named_version(parts.facts, version, line)
    with bar() as progress:
        done = export(parts, row, format, to, reopen=open_source, labels=labels, progress=progress)
    golden = f", {done.references} golden references" if done.references else ""
    typer.echo(f"wrote {done.images} images, {done.boxes} boxes{golden} to {done.folder} as {format}")
    if done.not_kept:
        typer.echo(f"{format} has no place for {done.not_kept} things; they stand in {done.folder / NOT_KEPT_NAME}")
