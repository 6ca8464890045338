"""Which dataset version a person means, and how its images were cut."""

from wafergate.domain.samples import DatasetVersion
from wafergate.domain.tiling import WHOLE, TilePolicy, Tiling
from wafergate.errors import ConfigError, NotFoundError
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
from wafergate.ports import FactStore

__all__ = ["find_version", "named_version", "on_version", "taught_on", "uncut"]


def find_version(facts: FactStore, line: str, named: str = "", *, whole: bool = False) -> DatasetVersion:
    """Return a line's dataset version by its number or id; the newest where nothing is named.

    Args:
        facts: the store.
        line: name of the production line.
        named: number or id.
        whole: whether the newest means the newest that is not made of tiles.

    Raises:
        NotFoundError: the line has no such version; the message names those it has.
    """
    versions = facts.find(DatasetVersion, line=line)
    if not versions:
        message = f"line {line!r} has no dataset version yet: run `wafergate intake`"
        raise NotFoundError(message)
    tiled = {row.dataset_id for row in facts.find(Tiling)} if whole else set()
    for version in versions:
        if named in {str(version.number), version.id} or (not named and version.id not in tiled):
            return version
    message = f"line {line!r} has no dataset version {named!r}; it has 1 to {versions[0].number}"
    raise NotFoundError(message)


def named_version(facts: FactStore, named: str, line: str = "") -> DatasetVersion:
    """Return a dataset version by its id, or by its number on a line; a store with one line needs no name.

    Where no version is named either, the newest is meant.

    Raises:
        ConfigError: it is a number or nothing, several lines have versions and none is named.
        NotFoundError: there is none.
    """
    if named and not line and not named.isdecimal():
        return facts.get(DatasetVersion, named)
    lines = [line] if line else sorted({version.line for version in facts.find(DatasetVersion)})
    if len(lines) > 1:
        what = f"version {named}" if named else "the newest version"
        message = f"{what} of which line? --line must be one of {', '.join(lines)}"
        raise ConfigError(message)
    if not lines:
        message = "there is no dataset version yet: run `wafergate intake`"
        raise NotFoundError(message)
    return find_version(facts, lines[0], named)


def on_version(parts: Parts, line: LineFile, dataset_id: str) -> LineFile:
    """Return the line as it trains on a dataset version and is judged with it.

    The images keep the licence they were taken in under, whatever `[intake] licence` says by now (rule M2), and what is
    made of tiles already is not cut by `[tile]` again.
    """
    licence = parts.facts.get(DatasetVersion, dataset_id).licence
    intake = line.intake.model_copy(update={"licence": licence})
    tile = WHOLE if line.tile.active and taught_on(parts, dataset_id) else line.tile
    return line.model_copy(update={"intake": intake, "tile": tile})


def taught_on(parts: Parts, dataset_id: str) -> list[TilePolicy]:
    """Return how the images of a dataset version were cut, the last cut first; nothing for whole images."""
    return [cut.policy for cut in _cuts(parts, dataset_id)]


def uncut(parts: Parts, dataset_id: str) -> str:
    """Return the version whose whole images a dataset version was cut from; itself where nothing was."""
    return next((cut.parent_id for cut in reversed(_cuts(parts, dataset_id))), dataset_id)


def _cuts(parts: Parts, dataset_id: str) -> list[Tiling]:
    cuts = []
    version: str | None = dataset_id
    while version:
        found = parts.facts.find(Tiling, dataset_id=version, limit=1)
        cuts += found
        version = found[0].parent_id if found else parts.facts.get(DatasetVersion, version).parent
    return cuts
