"""`wafergate split …`: which images teach, and which judge."""

from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import Line, Person, Reason
from wafergate.errors import NotFoundError
from wafergate.line import LineFile, load_line

if TYPE_CHECKING:
    from wafergate.domain.splits import Split
    from wafergate.jobs.parts import Parts

__all__ = ["VersionNamed", "app"]

app = group("Which images teach, and which judge.")
VersionNamed = Annotated[str, typer.Argument(metavar="VERSION", help="Number or id; else the newest.")]


@app.command("make")
def split_make(line: Line, version: VersionNamed = "") -> None:
    """Split a dataset version, as `wafergate retrain` does.

    Images that earlier versions used stay on their side.

    Example: wafergate split make 3 --line line.toml
    """
    from wafergate.domain.splits import Split
    from wafergate.jobs.split import split
    from wafergate.jobs.versions import find_version

    line_file, parts = load_line(line), ready()
    dataset = find_version(parts.facts, line_file.name, version)
    done = split(parts, line_file, dataset.id)
    known = " (split before)" if done.reused else ""
    typer.echo(f"line {line_file.name}, dataset version {dataset.number}, {dataset.images} images{known}")
    _show(parts, parts.facts.get(Split, done.id), line_file)


@app.command("show")
def split_show(line: Line, version: VersionNamed = "") -> None:
    """Show how a dataset version is split, and how worn its test set is.

    Example: wafergate split show 3 --line line.toml
    """
    from wafergate.domain.splits import Split
    from wafergate.jobs.versions import find_version

    line_file, parts = load_line(line), ready()
    dataset = find_version(parts.facts, line_file.name, version)
    found = parts.facts.find(Split, dataset_id=dataset.id, limit=1)
    if not found:
        message = (
            f"dataset version {dataset.number} of line {line_file.name!r} is not split yet: `wafergate plan` shows "
            "what a split would give, `wafergate split make` makes it"
        )
        raise NotFoundError(message)
    typer.echo(f"line {line_file.name}, dataset version {dataset.number}, {dataset.images} images")
    _show(parts, found[0], line_file)


@app.command("renew")
def split_renew(line: Line, actor: Person, reason: Reason, version: VersionNamed = "") -> None:
    """Retire a worn test set: its images may teach, new ones judge.

    No image of the line's test sets judges again. The new test set holds
    images that nothing was trained on or chosen with; they must have come
    in first, with `wafergate intake`. The ledger keeps who and why.

    Example: wafergate split renew --line line.toml --as Kim --reason "20 looks"
    """
    from wafergate.domain.splits import Split
    from wafergate.domain.standing import Renewal
    from wafergate.jobs.split import renew
    from wafergate.jobs.versions import find_version

    line_file, parts = load_line(line), ready()
    dataset = find_version(parts.facts, line_file.name, version)
    done = renew(parts, line_file, dataset.id, actor=actor, reason=reason)
    retired = parts.facts.find(Renewal, line=line_file.name, limit=1)[0]
    typer.echo(
        f"retired: test set {retired.test_digest[:12]}, {retired.images} images, looked at {retired.looks} times\n"
        f"new test set for dataset version {dataset.number}:"
    )
    _show(parts, parts.facts.get(Split, done.id), line_file)


def _show(parts: "Parts", row: "Split", line: LineFile) -> None:
    from wafergate.domain.splits import Side
    from wafergate.jobs.past import looks
    from wafergate.terminal import console, paragraph, table

    limit, sides = line.gate.max_looks, tuple(side.value for side in Side)
    names = [name for name in line.classes if name in row.counts["test"]]
    cells: list[tuple[object, ...]] = [(name, *(row.counts[side][name] for side in sides)) for name in names]
    cells.append(("largest / smallest", *(f"{row.evenness[s]:.2f}" if s in row.evenness else "" for s in sides)))
    cells.append(("images", *(row.images[side] for side in sides)))
    cells.append(("  without defect", *(row.normal_images[side] for side in sides)))
    proven = "the optimum, proven" if row.optimal and not row.gap else f"up to {row.gap:.1%} from the optimum"
    typer.echo(paragraph(f"{row.id}: {row.mode}, {proven}; {row.groups} groups, each on one side\n"))
    typer.echo()
    console().print(table(("class", *sides), cells, numbers=sides))
    count = looks(parts, row)
    worn = "; worn: `wafergate split renew` retires it" if limit and count >= limit else ""
    typer.echo(
        paragraph(
            f"\ntest set {row.test_digest[:12]}: looked at {count} time{'' if count == 1 else 's'}, "
            f"{f'limit {limit}' if limit else 'no limit'}{worn}\n"
            f"leak check: {row.leak.pairs:,} pairs looked at, {row.leak.cross_edges} cross"
        )
    )
    for warning in row.warnings:
        typer.echo(paragraph(f"note: {warning}"))
