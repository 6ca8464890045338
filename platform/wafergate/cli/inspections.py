"""`wafergate inspections …`: what the champion said of every image, found again, counted again, let go."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, nothing_inspected, ready
from wafergate.cli.options import Line, LineName, Person, Reason
from wafergate.errors import ConfigError
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.inspection import InspectedImage, InspectionMonth
    from wafergate.jobs.parts import Parts

__all__ = ["app"]

app = group("What the champion said of every image.")


class Order(StrEnum):
    """In which order images are listed."""

    NEWEST = "newest"
    DOUBTFUL = "doubtful"
    NOVEL = "novel"


@app.command("list")
def inspections_list(
    line: LineName,
    order: Annotated[
        Order, typer.Option("--order", help="doubtful: score nearest its threshold; novel: unlike training.")
    ] = Order.NEWEST,
    defect_class: Annotated[str, typer.Option("--class", help="Only with this defect class; newest only.")] = "",
    lot: Annotated[str, typer.Option("--lot", help="Only of this lot; newest only.")] = "",
    days: Annotated[int, typer.Option("--days", min=1, help="Only captured in the last so many days.")] = 30,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show this many.")] = 20,
) -> None:
    """List inspected images: the newest, the most doubtful or the most novel.

    Example: wafergate inspections list --line pcb --class scratch
    """
    from wafergate.terminal import console, table

    if order is not Order.NEWEST and (defect_class or lot):
        message = f"--class and --lot go with --order newest, found --order {order.value}"
        raise ConfigError(message)
    parts = ready()
    if nothing_inspected(parts, line):
        return
    images = _listed(parts, line, order, defect_class, lot, days, limit)
    cells = [
        (f"{item.captured_at:%Y-%m-%d %H:%M}", item.lot or "-", item.name, _said(item), _novelty(item))
        for item in images
    ]
    if cells:
        console().print(table(("captured (UTC)", "lot", "image", "found", "novelty"), cells, numbers=("novelty",)))
    if len(cells) == limit:
        typer.echo(f"the {order.value} {limit} images of line {line} in {days} days; more with --limit")
    else:
        typer.echo(f"{len(cells)} images of line {line} in {days} days, {order.value} first")


def _listed(
    parts: "Parts", line: str, order: Order, defect_class: str, lot: str, days: int, limit: int
) -> "list[InspectedImage]":
    from wafergate.jobs.promote import champion_model

    since, store = parts.clock() - timedelta(days=days), parts.inspections
    if order is Order.DOUBTFUL:
        thresholds = champion_model(parts, line).thresholds
        return store.doubtful(line=line, thresholds=thresholds, since=since, limit=limit)
    if order is Order.NOVEL:
        return store.novel(line=line, since=since, limit=limit)
    return store.images(line=line, lot=lot or None, defect_class=defect_class or None, since=since, limit=limit)


def _said(item: "InspectedImage") -> str:
    """Return each class with its highest score; in brackets what stayed below the threshold."""
    found = [f"{name} {score:.2f}" for name, score in _best(item.detections)]
    return ", ".join([*found, *(f"({name} {score:.2f})" for name, score in _best(item.weak))]) or "-"


def _best(boxes: Sequence[tuple[str, float, float, float, float, float]]) -> list[tuple[str, float]]:
    best: dict[str, float] = {}
    for name, score, *_ in boxes:
        best[name] = max(score, best.get(name, score))
    return sorted(best.items(), key=lambda item: -item[1])


def _novelty(item: "InspectedImage") -> str:
    return "-" if item.novelty is None else f"{item.novelty:.3g}"


@app.command("months")
def inspections_months(line: LineName) -> None:
    """Count what is stored of each month.

    Example: wafergate inspections months --line pcb
    """
    parts = ready()
    if nothing_inspected(parts, line):
        return
    _show(months := parts.inspections.months(line))
    typer.echo(f"{sum(item.images for item in months):,} inspected images of line {line} in {len(months)} months")


def _show(months: "Sequence[InspectionMonth]") -> None:
    from wafergate.terminal import console, table

    cells = [(f"{item.month:%Y-%m}", f"{item.images:,}", f"{item.detections:,}") for item in months]
    if cells:
        console().print(table(("captured", "images", "detections"), cells, numbers=("images", "detections")))


@app.command("roll")
def inspections_roll(line: LineName) -> None:
    """Count the sums by day and lot again.

    Every inspection keeps them exact; this proves it, or mends what a hand changed.

    Example: wafergate inspections roll --line pcb
    """
    changed = ready().inspections.reroll(line)
    wrong = ", ".join(f"{month:%Y-%m} {count}" for month, count in changed.items() if count)
    typer.echo(f"{len(changed)} months of line {line} counted again: " + (f"mended {wrong}" if wrong else "all right"))


@app.command("retain")
def inspections_retain(
    line: Line,
    actor: Person,
    reason: Reason,
    months: Annotated[
        int | None, typer.Option("--months", min=1, help="Keep so many months; else [inspection] keep_months.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be dropped.")] = False,
) -> None:
    """Drop images and detections of old months; sums, runs and files stay.

    Example: wafergate inspections retain --line line.toml --months 24
    --as kim --reason "policy 2026-3"
    """
    from wafergate.jobs.retention import oldest_kept, retain

    line_file = load_line(line)
    parts = ready()
    before = oldest_kept(parts, line_file, months)
    if dry_run:
        found = parts.inspections.months(line_file.name, before=before)
    else:
        found = retain(parts, line_file, before, actor=actor, reason=reason)
    _show(found)
    images, detections = sum(item.images for item in found), sum(item.detections for item in found)
    done = "would be dropped" if dry_run else "dropped"
    typer.echo(f"{done}: images {images:,}, detections {detections:,}, captured before {before}")
