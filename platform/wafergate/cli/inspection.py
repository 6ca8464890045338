"""`wafergate inspect | lot show`: the champion over new images, and what it found in a lot."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import flow, group, ready
from wafergate.cli.options import AnyFormat, Limit, Line, LineName, SourcePath
from wafergate.domain.words import counted
from wafergate.errors import ConfigError
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.inspection import InspectedImage
    from wafergate.jobs.inspect_lot import Inspected
    from wafergate.jobs.parts import Parts
    from wafergate.jobs.results import LotSummary

__all__ = ["app", "lot"]

app = typer.Typer()
lot = group("Lots as the champion saw them.")

_LOTS = 10


@app.command("inspect")
def inspect_(  # noqa: PLR0917 - the options of one command
    line: Line,
    place: Annotated[str, typer.Argument(metavar="SOURCE", help="The same as --source.")] = "",
    source: SourcePath = "",
    format: AnyFormat = "images",  # noqa: A002
    limit: Limit = 0,
    coco: Annotated[Path | None, typer.Option("--coco", help="Write detections to this COCO file.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write detections to this table.")] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Write annotated pictures here, defective ones first.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Write this many pictures at most.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes in; Ctrl-C ends it.")] = False,
    seconds: Annotated[float, typer.Option("--for", min=0, help="End --follow after so many seconds.")] = 0,
) -> None:
    """Run the line's champion over new images.

    Images that the same champion saw before are not inspected again; files
    asked for are written all the same. With --follow a file is taken as soon
    as it has stopped growing, and once: a new champion leaves what came
    before it. Where the place holds a metadata.csv, an image waits for its
    row.

    Example: wafergate inspect --line line.toml lots/A1234 --csv found.csv
    """
    name = load_line(line).name
    if bool(place) == bool(source):
        found = f"{place!r} and {source!r}" if place else "none"
        message = f"inspect needs one source: a folder, .zip, .tar or s3://bucket/prefix; found {found}"
        raise ConfigError(message)
    source = source or place
    if (seconds and not follow) or (follow and limit):
        message = "--for goes with --follow, and --limit does not"
        raise ConfigError(message)
    parts = ready()
    if follow:
        done = flow("follow")(str(line), source, format, seconds)
    else:
        done = flow("inspect_lot")(str(line), source, format, limit)
    _tell(parts, name, done, coco, csv, pictures, most)


def _tell(
    parts: "Parts",
    line: str,
    done: "Inspected",
    coco: Path | None,
    csv: Path | None,
    pictures: Path | None,
    most: int,
) -> None:
    from wafergate.jobs import results

    images = results.images_of_runs(parts, line, done)
    if coco is not None:
        results.write_coco(parts, images, coco)
        typer.echo(f"detections as COCO: {coco}")
    if csv is not None:
        results.write_csv(images, csv)
        typer.echo(f"detections as a table: {csv}")
    if pictures is not None:
        count = results.write_pictures(parts, images, pictures, most=most)
        typer.echo(f"{count} of {len(images)} annotated pictures: {pictures}")
    lots = sorted({image.lot for image in images if image.lot})
    if len(lots) == 1:
        _show(results.show_lot(parts, line=line, lot=lots[0]))
    elif lots:
        _list_lots(images, lots)
    typer.echo(_sentence(images, done))


def _list_lots(images: "list[InspectedImage]", lots: list[str]) -> None:
    """Show a row for each lot, those with the largest share of defective images first."""
    from wafergate.terminal import console, table

    seen = Counter(image.lot for image in images)
    defective = Counter(image.lot for image in images if image.detections)
    worst = sorted(lots, key=lambda lot: (-defective[lot] / seen[lot], lot))
    cells = [(lot, seen[lot], defective[lot], f"{defective[lot] / seen[lot]:.0%}") for lot in worst[:_LOTS]]
    columns = ("lot", "images", "defective", "share")
    console().print(table(columns, cells, numbers=columns[1:]))
    if len(worst) > _LOTS:
        typer.echo(f"and {counted(len(worst) - _LOTS, 'lot')} more: wafergate inspections list, lot show LOT")


def _sentence(images: "list[InspectedImage]", done: "Inspected") -> str:
    from wafergate.terminal import paragraph

    counts = Counter(name for image in images for name, *_ in image.detections)
    found = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing"
    before, gone = max(len(done.images) - done.new, 0), len(done.images) - len(images)
    again = f" ({before} of them before{f', {gone} no longer stored' if gone else ''})" if before else ""
    defective = sum(bool(image.detections) for image in images)
    return paragraph(
        f"{len(done.images)} images inspected{again}, {defective} with defects, {done.refused} quarantined: {found}"
        + (f"; {done.waiting} wait for their row in metadata.csv" if done.waiting else "")
    )


@lot.command("show")
def lot_show(key: Annotated[str, typer.Argument(metavar="LOT", help="The lot.")], line: LineName) -> None:
    """Show what was found in a lot, each image as it was seen last.

    Example: wafergate lot show A1234 --line pcb
    """
    from wafergate.jobs.results import show_lot

    _show(show_lot(ready(), line=line, lot=key))


def _show(summary: "LotSummary") -> None:
    from wafergate.terminal import console, pairs, table

    rate, out = summary.defective, console()
    numbers = f"model{'s' * (len(summary.models) > 1)} {', '.join(map(str, summary.models))}"
    out.print(
        pairs(
            [
                ("lot", f"{summary.lot} of line {summary.line}"),
                ("inspected", f"{summary.run.created_at:%Y-%m-%d %H:%M} UTC by {numbers}"),
                (
                    "defective",
                    f"{rate.hits} of {rate.trials} images, {rate.value or 0:.1%} "
                    f"(95 % bounds {rate.lower:.1%} and {rate.upper:.1%})",
                ),
                ("to review", f"{summary.review} images: wafergate audit list"),
            ]
        )
    )
    cells = [(name, count, summary.showing[name]) for name, count in summary.instances.items()]
    out.print(table(("defect class", "defects", "images"), cells, numbers=("defects", "images")))
