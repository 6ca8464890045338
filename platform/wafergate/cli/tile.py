"""`wafergate tile`: a dataset version cut into tiles."""

from dataclasses import replace
from typing import Annotated

import typer

from wafergate.cli.opening import ready
from wafergate.cli.options import Line, Version
from wafergate.cli.progress import bar
from wafergate.domain.tiling import TilePolicy
from wafergate.errors import ConfigError
from wafergate.line import load_line

__all__ = ["app"]

app = typer.Typer()


@app.command()
def tile(
    line: Line,
    version: Version = "",
    rows: Annotated[
        int, typer.Option("--rows", min=0, max=64, help="Tiles from top to bottom.", show_default=False)
    ] = 0,
    columns: Annotated[
        int, typer.Option("--columns", min=0, max=64, help="Tiles from left to right.", show_default=False)
    ] = 0,
    overlap: Annotated[float, typer.Option("--overlap", help="Pixels, or a share below 1.", show_default=False)] = -1,
    min_visible: Annotated[
        float, typer.Option("--min-visible", help="Smallest share of a box to keep.", show_default=False)
    ] = -1,
) -> None:
    """Cut a dataset version into tiles: a new version, with lineage.

    A line whose file has [tile] needs none: `wafergate retrain` cuts what it
    trains on and judges whole images. A version of tiles is judged by tiles.

    What is not given is taken from [tile] in the line file. A box that a
    tile's edge cuts is clipped where enough of it is left, else dropped;
    both are counted. The version that is cut stays as it is. Without
    --version the newest one is cut that is not made of tiles itself.

    Example: wafergate tile --line line.toml --version 3 --rows 2 --columns 2
    """
    from wafergate.jobs.tile import tile as cut
    from wafergate.jobs.versions import find_version

    line_file = load_line(line)
    given = {"rows": rows or None, "columns": columns or None, "overlap": overlap, "min_visible": min_visible}
    policy = _policy(line_file.tile, {key: value for key, value in given.items() if value is not None and value != -1})
    parts = ready()
    parent = find_version(parts.facts, line_file.name, version, whole=True)
    with bar() as progress:
        done = cut(parts, line_file, parent.id, policy=policy, progress=progress)
    _show(done.id, parent.id, policy, reused=done.reused)


def _policy(policy: TilePolicy, given: dict[str, float]) -> TilePolicy:
    try:
        changed = replace(policy, **given)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if changed.overlap < 0 or not 0 < changed.min_visible <= 1:
        message = (
            "--overlap must be 0 or more and --min-visible above 0 and up to 1, found "
            f"{changed.overlap:g} and {changed.min_visible:g}"
        )
        raise ConfigError(message)
    return changed


def _show(dataset_id: str, parent_id: str, policy: TilePolicy, *, reused: bool) -> None:
    from wafergate.domain.samples import DatasetVersion
    from wafergate.domain.tiling import Tiling
    from wafergate.terminal import console, table

    facts = ready().facts
    version, parent = facts.get(DatasetVersion, dataset_id), facts.get(DatasetVersion, parent_id)
    (row,) = [item for item in facts.find(Tiling, dataset_id=dataset_id, parent_id=parent_id) if item.policy == policy]
    known = " (known)" if reused else ""
    typer.echo(
        f"version {version.number}{known}: {row.tiles} tiles of the {row.images} images of version {parent.number}"
    )
    names = ("class", "boxes", "whole", "clipped", "dropped", "lost")
    cells = [(c.defect_class, c.boxes, c.whole, c.clipped, c.dropped, c.lost) for c in row.classes]
    console().print(table(names, cells, numbers=names[1:]))
    typer.echo(
        f"dropped: parts of less than {policy.min_visible:.0%} of their box; lost: boxes that no tile carries\n"
        f"{row.left_out} tiles left out: they show such parts only, and would pass for normal images"
    )
    if policy.overlap:
        typer.echo("tiles overlap: of those that share pixels a split lets one judge, and leaves the others unused")
