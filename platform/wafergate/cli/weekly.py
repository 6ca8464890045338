"""`wafergate weekly`: the page about a line's week."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from wafergate.cli.opening import flow, ready
from wafergate.cli.options import Line
from wafergate.errors import ConfigError, StorageError

__all__ = ["app"]

app = typer.Typer()


@app.command()
def weekly(
    line: Line,
    to: Annotated[Path, typer.Option("--to", help="File to write: .html, or .pdf through Chromium.")] = Path(
        "weekly.html"
    ),
    language: Annotated[str, typer.Option("--language", help="en or ko; else as the line file says.")] = "",
    until: Annotated[str, typer.Option("--until", help="Last of the seven days, YYYY-MM-DD; else today.")] = "",
    send: Annotated[
        bool,
        typer.Option(
            "--send", help="Send it by the alert channels instead, once, when the week is over; else until yesterday."
        ),
    ] = False,
) -> None:
    """Write the page about a line's week: state, classes, drift, decisions, alerts.

    Seven whole days in the line's time zone, read off the store as it stood at their end. One self-contained file
    that prints on A4.

    Example: wafergate weekly --line line.toml --until 2026-03-15 --to week.pdf
    """
    from wafergate.domain.weekly import Week, WeeklyReport
    from wafergate.formats.weekly_page import weekly_words, write_weekly
    from wafergate.jobs.weekly import inspected_in, require_over, week_of
    from wafergate.line import load_line

    loaded, last = load_line(line), _day(until)
    spoken, zone = _language(language or loaded.schedule.language), loaded.schedule.zone
    if send:
        if last:
            require_over(Week.ending(last, zone), datetime.now(UTC))
        parts = ready()
        row = parts.facts.get(WeeklyReport, flow("weekly")(str(line), language=spoken, until=last))
        typer.echo(f"{row.id}: {loaded.name}, {row.week_in(zone)}; `wafergate alerts list` tells whether it was sent")
        return
    _check_suffix(to)
    week = Week.ending(last or datetime.now(zone).date(), zone)
    parts = ready()
    inspected = inspected_in(parts.inspections, loaded.name, week)
    product = loaded.line.product
    content = week_of(parts.facts, loaded.name, week, inspected, now=datetime.now(UTC), product=product)
    page = write_weekly(content, weekly_words(spoken, zone))
    _write(to, page if to.suffix.lower() == ".html" else _printed(page))
    typer.echo(f"{to}: {loaded.name}, {week}, {content.state.value}")


def _check_suffix(target: Path) -> None:
    if target.suffix.lower() not in {".html", ".pdf"}:
        message = f"--to must end in .html or .pdf, found {target.name!r}"
        raise ConfigError(message)


def _language(asked: str) -> str:
    from wafergate.formats.words import LANGUAGES

    if asked not in LANGUAGES:
        message = f"--language must be one of {', '.join(LANGUAGES)}, found {asked!r}"
        raise ConfigError(message)
    return asked


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        message = f"--until must be a day such as 2026-03-15, found {text!r}"
        raise ConfigError(message) from error


def _printed(page: bytes) -> bytes:
    from wafergate.adapters.chromium import print_page

    return print_page(page)


def _write(target: Path, content: bytes) -> None:
    try:
        target.write_bytes(content)
    except OSError as error:
        message = f"{target} cannot be written: {error.strerror}"
        raise StorageError(message) from error
