"""`wafergate taxonomy …`: which label is which defect class, and whether the customer agreed."""

import getpass
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import Actor, Line
from wafergate.errors import ConfigError, NotFoundError
from wafergate.line import LineFile, load_line

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.domain.taxonomy import Taxonomy
    from wafergate.jobs.parts import Parts

__all__ = ["app", "tell_effects", "tell_standing"]

app = group("Which label is which defect class, and whether the customer agreed.")

_CONFUSIONS = 5


@app.command()
def show(line: Line) -> None:
    """Show the line file's mapping and who agreed to it.

    Example: wafergate taxonomy show --line line.toml
    """
    file, parts = load_line(line), ready()
    tell_effects(parts, file, file.taxonomy)
    tell_standing(parts, file)


@app.command()
def propose(
    line: Line,
    mapping: Annotated[
        Path | None, typer.Option("--from", help="TOML with a [taxonomy] map; without it, the line file's.")
    ] = None,
    actor: Annotated[str, typer.Option("--as", help="Who proposes it; kept with the version.")] = "",
) -> None:
    """Keep a mapping as a version, and show what it would do to the newest data.

    Nothing changes until the line file states it; it promotes nothing until signed.

    Example: wafergate taxonomy propose --line line.toml --from merged.toml
    """
    from wafergate.domain.taxonomy import TaxonomyVersion
    from wafergate.jobs import taxonomy as job

    file = load_line(line)
    wanted = _read(mapping) if mapping else file.taxonomy
    parts = ready()
    done = job.propose(parts, file.name, wanted, actor=actor or getpass.getuser())
    tell_effects(parts, file, wanted)
    number = parts.facts.get(TaxonomyVersion, done.id).number
    known = " (known)" if done.reused else ""
    typer.echo(f"taxonomy {number}{known}; once the customer agrees:")
    typer.echo(f"  wafergate taxonomy sign {number} --line {line} --by WHO --reference WHERE")


@app.command()
def sign(
    line: Line,
    signed_by: Annotated[str, typer.Option("--by", help="Who agreed at the customer.", show_default=False)],
    reference: Annotated[str, typer.Option("--reference", help="Mail, minutes, ticket.", show_default=False)],
    version: Annotated[int, typer.Argument(min=0, help="Number of a proposal; 0 is the line file's mapping.")] = 0,
    on: Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day; today.")] = None,
    actor: Actor = "",
) -> None:
    """Enter that the customer agreed; later gates read it, and the ledger tells it.

    Example: wafergate taxonomy sign --line line.toml --by Lee --reference "mail of 3 May"
    """
    from wafergate.domain.taxonomy import TaxonomyVersion
    from wafergate.jobs import taxonomy as job
    from wafergate.terminal import paragraph

    file, who = load_line(line), actor or getpass.getuser()
    parts = ready()
    if version:
        found = parts.facts.find(TaxonomyVersion, line=file.name, number=version)
        if not found:
            message = f"line {file.name!r} has no taxonomy {version}: `wafergate taxonomy show` lists them"
            raise NotFoundError(message)
        row_id = found[0].id
    else:
        row_id = job.propose(parts, file.name, file.taxonomy, actor=who).id
    day = (on or datetime.now(UTC)).date()
    done = job.sign(parts, row_id, signed_by=signed_by, signed_on=day, reference=reference, actor=who)
    number = parts.facts.get(TaxonomyVersion, row_id).number
    known = "was entered before" if done.reused else "is entered; `wafergate retrain` asks the gate again"
    typer.echo(paragraph(f"taxonomy {number}: the agreement of {signed_by} on {day} {known}"))


def tell_effects(parts: "Parts", line: LineFile, taxonomy: "Taxonomy") -> None:
    """Print what a mapping does to the counts of the newest dataset version, and what the newest model confuses."""
    from wafergate.domain.samples import DatasetVersion, Sample
    from wafergate.jobs.taxonomy import confusions, effects
    from wafergate.terminal import console, table

    reasons = {item.raw: item.rationale for item in taxonomy.map}
    newest = next(iter(parts.facts.find(DatasetVersion, line=line.name, limit=1)), None)
    if newest is None:
        rows: list[tuple[object, ...]] = [(item.raw, item.defect_class, item.rationale) for item in taxonomy.map]
        if rows:
            console().print(table(("label", "class", "rationale"), rows))
        typer.echo(f"line {line.name} has no dataset version to count in yet")
        return
    found = effects(parts.facts.find(Sample, dataset_id=newest.id), line.classes, taxonomy)
    rows = [
        (item.raw, item.boxes, item.images, item.now, item.then or "none: stops intake", reasons.get(item.raw, ""))
        for item in found
    ]
    columns = ("label", "boxes", "images", "class now", "class then", "rationale")
    console().print(table(columns, rows, numbers=columns[1:3]))
    typer.echo()
    before, after = Counter[str](), Counter[str]()
    for item in found:
        before[item.now] += item.boxes
        after[item.then or "(none)"] += item.boxes
    names = sorted({*line.classes, *before, *after})
    changed = before != after
    if changed:
        moved = {name: after[name] - before[name] for name in names}
        counts = [(name, before[name], after[name], f"{moved[name]:+d}" if moved[name] else "") for name in names]
        console().print(
            table(("class", "boxes now", "then", "change"), counts, numbers=("boxes now", "then", "change"))
        )
    same = "" if changed else "; no class's count changes"
    typer.echo(f"counted in dataset version {newest.number} of line {line.name}{same}")
    for truth, said, count in confusions(parts, line.name)[:_CONFUSIONS]:
        typer.echo(f"the newest model took {count} {truth} for {said}")


def tell_standing(parts: "Parts", line: LineFile) -> None:
    """Print every version of the line's taxonomy with its signatures, and what holds for the line file's mapping."""
    from wafergate.domain.taxonomy import Signature, TaxonomyVersion
    from wafergate.terminal import console, table

    rows, mine = [], False
    for version in parts.facts.find(TaxonomyVersion, line=line.name):
        signed = parts.facts.find(Signature, taxonomy_id=version.id)
        here = version.map == line.taxonomy.changes
        mine = mine or (here and bool(signed))
        told = "; ".join(f"{row.signed_by}, {row.signed_on}, {row.reference}" for row in signed) or "not signed"
        mapping = ", ".join(f"{item.raw} → {item.defect_class}" for item in version.map)
        rows.append((version.number, mapping, told, "in use" if here else ""))
    if rows:
        typer.echo()
        console().print(table(("taxonomy", "mapping", "signed", ""), rows, numbers=("taxonomy",)))
    if not line.taxonomy.changes:
        typer.echo("the line file merges and renames nothing: there is nothing to agree on")
    elif line.taxonomy.signed:
        typer.echo(f"the line file states the agreement of {line.taxonomy.signed_by} on {line.taxonomy.signed_on}")
    elif mine:
        typer.echo("the line file's mapping is signed")
    else:
        typer.echo("nobody signed the line file's mapping: it trains, and no model of it is promoted")


def _read(path: Path) -> "Taxonomy":
    """Return the [taxonomy] of a TOML file, its map alone.

    Raises:
        ConfigError: the file is not there, is not TOML, or its map has errors.
    """
    import tomllib

    from pydantic import TypeAdapter, ValidationError

    from wafergate.domain.taxonomy import Taxonomy

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("taxonomy", {})
        return TypeAdapter(Taxonomy).validate_python({"map": table.get("map", ())})
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not TOML: {error}"
        raise ConfigError(message) from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        message = f"[taxonomy] of {path} has errors: {problems}"
        raise ConfigError(message) from error
