"""`wafergate ledger …`: the story of every decision."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import LineName
from wafergate.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from wafergate.jobs.ask import Answer

__all__ = ["app"]

app = group("The append-only story of every decision.")


@app.command("show")
def ledger_show(
    line: LineName = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="The newest so many; 0 prints all.")] = 0,
) -> None:
    """Print the ledger, oldest first: who did what to which model, when and why.

    Example: wafergate ledger show --line pcb
    """
    from wafergate.terminal import show_ledger

    facts = ready().facts
    show_ledger(facts, facts.ledger(line or None)[-limit:])


@app.command("verify")
def ledger_verify() -> None:
    """Check the hash chain; exit code 21 if an entry was changed.

    Example: wafergate ledger verify
    """
    from wafergate.jobs.ask import verify

    entries, problems = verify(ready())
    if problems:
        message = f"the ledger of {entries} entries does not hold: {'; '.join(problems)}"
        raise StorageError(message)
    typer.echo(f"{entries} entries, the chain holds and every champion is the one it tells of")


@app.command("ask")
def ledger_ask(
    line: LineName,
    lot: Annotated[str, typer.Option("--lot", help="The lot, as in its images' metadata.", show_default=False)],
    at: Annotated[str, typer.Option("--at", help="ISO 8601, UTC unless it has an offset; now if absent.")] = "",
) -> None:
    """Say which model judged a lot, with which thresholds, released by whom, on what evidence.

    Example: wafergate ledger ask --line pcb --lot L042 --at 2026-03-02T14:30
    """
    from wafergate.jobs.ask import ask

    parts = ready()
    _show(ask(parts, line=line, lot=lot, at=_moment(at) if at else parts.clock()))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"--at must be a time such as 2026-03-02T14:30 or 2026-03-02T14:30+09:00, found {text!r}"
        raise ConfigError(message) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _show(answer: "Answer") -> None:
    from wafergate.formats.verdicts import rule_bound
    from wafergate.formats.words import Words
    from wafergate.terminal import console, pairs

    words = Words("en")
    model, decision, evaluation = answer.model, answer.decision, answer.evaluation
    release, change = answer.release, answer.change
    until = _time(answer.until) if answer.until else "now"
    rows = [
        ("asked", f"lot {answer.lot} on line {answer.line} at {_time(answer.at)}"),
        ("judged by", f"model {model.number} ({model.candidate.name}), {model.id}"),
        ("by record of", _source(answer)),
        ("champion", f"{_time(change.created_at)} to {until}"),
        ("released by", f"{release.actor}, {_time(release.created_at)}, ledger entry {release.seq}: {release.reason}"),
    ]
    if change.seq != release.seq:
        rows.append(
            ("brought back", f"by {change.actor}, {_time(change.created_at)}, entry {change.seq}: {change.reason}")
        )
    rows += [
        ("thresholds", ", ".join(f"{name} {value:.3f}" for name, value in model.thresholds.items())),
        ("verdict", f"{decision.id}: {decision.summary}"),
        ("evidence", f"{evaluation.id}: {evaluation.images} test images, look {evaluation.look} at this test set"),
    ]
    for rule in decision.rules:
        if rule.rule == "recall":
            proven = f"at least {rule_bound(rule, words)}, limit {words.limit(rule.limit)}"
            rows.append(("", f"{rule.subject}: {rule.evidence}, {proven}"))
    rows += [
        ("data", f"dataset version {answer.dataset.number}, {answer.dataset.id}, split {model.split_id}"),
        ("files", f"model {model.onnx[:16]}…, predictions {evaluation.predictions[:16]}… (SHA-256)"),
    ]
    console().print(pairs(rows))


def _source(answer: "Answer") -> str:
    if not answer.runs:
        later = f"; it was first inspected {_time(answer.later[-1].run.created_at)}" if answer.later else ""
        return f"the ledger alone: no inspection of this lot is stored up to that time{later}"
    first, *others = answer.runs
    said = (
        f"inspection {first.run.id}, {_time(first.run.created_at)}: {first.images} images of this lot, "
        f"{first.defective} with defects"
    )
    return said + (f"; inspected {len(others)} times before, last {_time(others[0].run.created_at)}" if others else "")
