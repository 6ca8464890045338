"""`wafergate review …`: labels that look grossly wrong, and the corrections that come back."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.estimate import Epochs, Folds, Weights, make_estimate
from wafergate.cli.labelling import annotations, require_empty, show_changes, write_file
from wafergate.cli.opening import group, ready
from wafergate.cli.options import Line, LineName, Person, Reason, Version
from wafergate.cli.progress import bar
from wafergate.domain.review import ReviewState, Suspicion
from wafergate.errors import ConfigError
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.jobs.parts import Parts
    from wafergate.jobs.review import Listed

__all__ = ["app"]

app = group("Labels to look at; none is ever changed but by a person.")

State = Annotated[str, typer.Option("--state", help="open, kept, corrected or all.")]
Kind = Annotated[str, typer.Option("--kind", help="Only this suspicion, e.g. duplicate.")]
_DIGITS = 8


@app.command("list")
def review_list(
    line: LineName = "",
    version: Version = "",
    state: State = "open",
    kind: Kind = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show this many, worst first; 0 shows all.")] = 30,
) -> None:
    """List the boxes of a dataset version that look grossly wrong.

    Validation finds them; nothing is changed unless a person corrects it.

    Example: wafergate review list --line pcb --kind duplicate
    """
    from wafergate.jobs.versions import named_version
    from wafergate.terminal import console, table

    parts = ready()
    found = named_version(parts.facts, version, line)
    listed = _chosen(parts, found.id, state, kind)
    shown = listed[:limit] if limit else listed
    cells = [
        (item.id.removeprefix("review-")[:_DIGITS], item.kind.value, item.label, f"{item.sample}\n{item.detail}")
        for item, _ in shown
    ]
    if cells:
        console().print(table(("id", "suspicion", "label", "image, and why"), cells))
    counts = Counter(item.kind.value for item, _ in listed)
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    more = f"; {len(listed) - len(shown)} more with --limit 0" if len(shown) < len(listed) else ""
    typer.echo(
        f"version {found.number} of line {found.line}: {len(listed)} {state if state != 'all' else 'in all'}"
        + (f" ({told})" if told else "")
        + more
    )


@app.command("doubts")
def review_doubts(
    line: Line,
    version: Version = "",
    folds: Folds = 3,
    epochs: Epochs = 0,
    weights: Weights = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="List this many of each kind, at most.")] = 30,
) -> None:
    """Put labels that models contradict on the review list.

    Models of grouped k-fold (see `wafergate estimate`) say what they see on
    images they have not learnt from. Labels that seem to be missing, to have
    the wrong class or the wrong place are listed, the worst first; those of
    a test set are not looked at. No label is changed. An estimate that is
    known is used again.

    Example: wafergate review doubts --line line.toml --folds 3 --epochs 10
    """
    from wafergate import wiring
    from wafergate.jobs.doubt import doubt
    from wafergate.terminal import console, table

    scorer = wiring.label_scorer()
    row, _ = make_estimate(line, version, folds=folds, epochs=epochs, weights=weights)
    found = doubt(ready(), scorer, row.id, limit=limit)
    cells = [
        (item.kind.value, f"{item.score:.2f}", item.label, f"{item.sample}\n{item.detail}") for item in found.suspected
    ]
    if cells:
        console().print(table(("doubt", "score", "label", "image, and why"), cells, numbers=("score",)))
    counts = Counter(item.kind.value for item in found.suspected)
    told = ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing"
    typer.echo(f"{told}; {found.new} new on the review list: wafergate review list --line {row.line}")


@app.command("keep")
def review_keep(
    items: Annotated[list[str], typer.Argument(help="Ids of items, or their first digits.")],
    actor: Person,
    reason: Reason,
) -> None:
    """Answer that labels are right as they are, now and in later versions.

    Example: wafergate review keep 3f2a91c0 --as Kim --reason "a long scratch"
    """
    from wafergate.jobs.review import find_item, keep

    parts = ready()
    for item in [find_item(parts, key) for key in dict.fromkeys(items)]:
        new = keep(parts, item, actor=actor, reason=reason)
        typer.echo(f"{'kept' if new else 'kept before'}: {item.kind} {item.label} in {item.sample}")


@app.command("export")
def review_export(
    line: Line,
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder.", show_default=False)],
    version: Version = "",
    state: State = "open",
    kind: Kind = "",
) -> None:
    """Write the listed images for a labelling tool, in COCO.

    coco/ holds images and annotations.json; pictures/ shows each suspicion;
    suspicions.csv lists them. Correct the boxes in any tool that reads and
    writes COCO, then: wafergate review import.

    Example: wafergate review export --line line.toml --to to-review
    """
    from wafergate.jobs.review import export
    from wafergate.jobs.versions import find_version

    line_file = load_line(line)
    parts = ready()
    found = find_version(parts.facts, line_file.name, version)
    listed = _chosen(parts, found.id, state, kind)
    if not listed:
        typer.echo(f"nothing to export: version {found.number} of line {found.line} has no such item")
        return
    require_empty(to)
    with bar() as progress:
        for name, data in export(parts, line_file, found.id, listed, progress=progress):
            write_file(to / name, data)
    images = len({item.sample for item, _ in listed})
    typer.echo(
        f"wrote {to}: {images} {'image' if images == 1 else 'images'}, {len(listed)} "
        f"{'suspicion' if len(listed) == 1 else 'suspicions'} of version {found.number}\n"
        f"then: wafergate review import {to} --line {line} --as … --reason …"
    )


@app.command("import")
def review_import(
    path: Annotated[Path, typer.Argument(help="The exported folder, a COCO .json, or an archive with one.")],
    line: Line,
    actor: Person,
    reason: Reason,
    version: Annotated[
        str, typer.Option("--version", help="Number or id of the version that was exported, where it is not said.")
    ] = "",
    dry: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Make a new dataset version of corrected COCO annotations.

    Shows what changes, box by box. Images that are not in the file, or are as
    they were, keep everything; an image without annotations becomes normal.

    Example: wafergate review import to-review --line line.toml --as Kim --reason "redrawn"
    """
    from wafergate.domain.samples import DatasetVersion
    from wafergate.jobs.correct import bring_back
    from wafergate.jobs.review import EXPORTED
    from wafergate.jobs.versions import find_version

    line_file = load_line(line)
    files, said = annotations(path, EXPORTED, "dataset")
    parts = ready()
    exported = find_version(parts.facts, line_file.name, version or said)
    done = bring_back(parts, line_file, files, exported.id, title=str(path), actor=actor, reason=reason, dry=dry)
    show_changes(done.changes)
    made, parent = parts.facts.get(DatasetVersion, done.id), parts.facts.get(DatasetVersion, done.parent)
    if not done.changes.images:
        typer.echo(f"nothing to correct: whatever it changes in version {exported.number} is in version {made.number}")
    elif dry:
        typer.echo(f"nothing was stored: without --dry-run this makes a new version of version {parent.number}")
    else:
        typer.echo(f"version {made.number} of line {made.line}: version {parent.number} corrected by {actor}")
    if not dry:
        _validate(parts, line, done.id)


def _validate(parts: "Parts", line: Path, dataset_id: str) -> None:
    from wafergate.jobs.validate import examine, require_valid

    done = examine(parts, load_line(line), dataset_id)
    require_valid(parts, done.id)
    waiting = len(_chosen(parts, dataset_id, "open", ""))
    typer.echo(f"validation: no error; {waiting} {'box' if waiting == 1 else 'boxes'} to look at")


def _chosen(parts: "Parts", dataset_id: str, state: str, kind: str) -> "list[Listed]":
    from wafergate.jobs import review

    if state not in {"all", *ReviewState}:
        message = f"--state must be {', '.join(ReviewState)} or all; found {state!r}"
        raise ConfigError(message)
    if kind not in {"", *Suspicion}:
        message = f"--kind must be one of {', '.join(Suspicion)}; found {kind!r}"
        raise ConfigError(message)
    return [
        (item, standing)
        for item, standing in review.review_list(parts, dataset_id)
        if state in {"all", standing.value} and kind in {"", item.kind.value}
    ]
