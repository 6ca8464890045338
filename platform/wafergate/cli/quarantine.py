"""`wafergate quarantine …`: what did not enter, and what people decide about it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import LineName, Person, Reason
from wafergate.domain.quarantine import INSTEAD, RELEASE_MEANS, QuarantineState
from wafergate.errors import ConfigError

if TYPE_CHECKING:  # a command's help must not wait for pandas
    from wafergate.jobs.parts import Parts
    from wafergate.jobs.quarantine import Held

__all__ = ["app"]

app = group("What did not enter, and why.")

Entry = Annotated[str, typer.Argument(help="Id of an entry, or its first digits.")]
Entries = Annotated[list[str], typer.Argument(help="Ids of entries, or their first digits.")]
_DIGITS = 8


@app.command("list")
def quarantine_list(
    line: LineName = "",
    state: Annotated[str, typer.Option("--state", help="open, released, dropped or all.")] = "open",
    reason: Annotated[str, typer.Option("--reason", help="Only this reason code.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show this many, newest first; 0 shows all.")] = 0,
) -> None:
    """List what did not enter, with the reason.

    Example: wafergate quarantine list --line pcb
    """
    from wafergate.jobs.quarantine import held
    from wafergate.terminal import console, table

    if state not in {"all", *QuarantineState}:
        message = f"--state must be {', '.join(QuarantineState)} or all; found {state!r}"
        raise ConfigError(message)
    rows = [
        item
        for item in held(ready(), line=line)
        if state in {"all", item.state.value} and reason in {"", item.entry.reason.value}
    ]
    shown = rows[:limit] if limit else rows
    everywhere = state == "all"
    cells = [
        (
            _digits(item),
            item.entry.line,
            *([item.state] if everywhere else []),
            item.entry.reason,
            f"{item.entry.path}\n{item.entry.detail}",
        )
        for item in shown
    ]
    columns = ("id", "line", *(["state"] if everywhere else []), "reason", "file, and what is wrong")
    if cells:
        console().print(table(columns, cells))
    counts = Counter(item.entry.reason.value for item in rows)
    told = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    standing = "in quarantine" if state == "open" else f"entries, {state}"
    console().print(f"{len(rows)} {standing}" + (f": {told}" if told else ""), markup=False)


@app.command("show")
def quarantine_show(
    entry: Entry,
    to: Annotated[Path | None, typer.Option("--to", help="Write its bytes to this file or folder.")] = None,
) -> None:
    """Show one entry: reason, place, bytes, what was decided.

    Example: wafergate quarantine show 3f2a91c0 --to /tmp
    """
    from wafergate.jobs.quarantine import find_held
    from wafergate.terminal import console, pairs

    parts = ready()
    item = find_held(parts, entry)
    found = item.entry
    allowed = RELEASE_MEANS.get(found.reason)
    rows = [
        ("id", found.id),
        ("line", found.line),
        ("file", found.path),
        ("reason", found.reason.value),
        ("detail", found.detail),
        ("since", f"{found.created_at:%Y-%m-%d %H:%M} UTC"),
        ("bytes", parts.files.address(found.digest) if found.digest else "none kept: nothing could be read there"),
        ("state", item.state.value),
        ("release", f"{allowed} at the next intake" if allowed else f"not possible: {INSTEAD[found.reason]}"),
    ]
    rows += [
        (f"{change.created_at:%Y-%m-%d %H:%M}", f"{change.state.value} by {change.actor}: {change.reason}")
        for change in item.changes
    ]
    console().print(pairs(rows))
    if to is not None:
        typer.echo(f"wrote {_write(parts, item, to)}")


@app.command("release")
def quarantine_release(entries: Entries, actor: Person, reason: Reason) -> None:
    """Let files in at the next intake, where a person may say so.

    Example: wafergate quarantine release 3f2a91c0 --as Kim --reason "no defect on it"
    """
    _decide(entries, QuarantineState.RELEASED, actor, reason)
    typer.echo("they enter when intake reads the same bytes under the same names again")


@app.command("drop")
def quarantine_drop(entries: Entries, actor: Person, reason: Reason) -> None:
    """Close entries; the rows and the bytes stay.

    Example: wafergate quarantine drop 3f2a91c0 --as Kim --reason "test shot"
    """
    _decide(entries, QuarantineState.DROPPED, actor, reason)


def _decide(entries: list[str], state: QuarantineState, actor: str, reason: str) -> None:
    from wafergate.jobs.quarantine import decide_on, find_held

    parts = ready()
    for item in [find_held(parts, entry) for entry in dict.fromkeys(entries)]:
        decide_on(parts, item, state, actor=actor, reason=reason)
        typer.echo(f"{state.value} {_digits(item)} {item.entry.path} ({item.entry.reason.value})")


def _digits(item: "Held") -> str:
    return item.entry.id.removeprefix("quarantine-")[:_DIGITS]


def _write(parts: "Parts", item: "Held", to: Path) -> Path:
    if item.entry.digest is None:
        message = f"no bytes of {item.entry.path} were kept: nothing could be read there"
        raise ConfigError(message)
    file = to / Path(item.entry.path).name if to.is_dir() else to
    try:
        with file.open("xb") as stream:
            stream.write(parts.files.get(item.entry.digest))
    except FileExistsError as error:
        message = f"{file} is there already and stays as it is: name another file with --to"
        raise ConfigError(message) from error
    except OSError as error:
        message = f"{file} cannot be written ({error.strerror}): name a file in a folder of yours"
        raise ConfigError(message) from error
    return file
