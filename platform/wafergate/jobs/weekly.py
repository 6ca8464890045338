"""A line's week to one page: read off the stored rows as they stood at its end, stored, and sent by the channels."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from wafergate.domain.alerts import Alert, AlertCause
from wafergate.domain.drift import DriftReport
from wafergate.domain.gate import GateDecision, LedgerEntry, LedgerKind
from wafergate.domain.identity import identify
from wafergate.domain.inspection import InspectionDay, InspectionLot
from wafergate.domain.line_state import line_state
from wafergate.domain.training_rows import ModelVersion
from wafergate.domain.weekly import Week, WeekContent, WeeklyReport
from wafergate.errors import ConfigError
from wafergate.formats.weekly_page import weekly_summary, weekly_words, write_weekly
from wafergate.jobs.alert_subjects import judged, subjects_of
from wafergate.jobs.line_drift import drift_behind
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile
from wafergate.ports import FactStore, InspectionStore
from wafergate.stages.alerts import weekly_alert

__all__ = ["Inspected", "PrintPage", "inspected_in", "require_over", "week_of", "weekly"]

PrintPage = Callable[[bytes], bytes]
"""A self-contained HTML page to a PDF."""

_LOTS_TOLD = 10


class Inspected(NamedTuple):
    """What the champions said in a week: sums by day, oldest first, and the lots with the most defective images."""

    days: Sequence[InspectionDay]
    lots: Sequence[InspectionLot]


def inspected_in(inspections: InspectionStore, line: str, week: Week) -> Inspected:
    """Return what was inspected on the days (UTC) that ended in a week.

    A day that reaches beyond the week's end, as east of UTC one does, is told in the next: each is over when its page
    goes out, and none is told twice or not at all.
    """
    first, after = (end.astimezone(UTC).date() for end in (week.since, week.until))
    days = inspections.days(line, since=first, until=after)[::-1]
    within = inspections.lots(line, since=week.since, until=week.until)
    return Inspected(days, sorted(within, key=lambda lot: (-lot.defective / lot.images, lot.lot))[:_LOTS_TOLD])


def week_of(
    facts: FactStore, line: str, week: Week, inspected: Inspected, *, now: datetime, product: str = ""
) -> WeekContent:
    """Return what is stored of a line's week; a week that is over gives the same content whenever it is asked for.

    What grows after a week is told as it stands now: the state of its alerts, and lots that reach into the next week.

    Args:
        facts: the store, of whichever role.
        line: name of the line.
        week: the seven days.
        inspected: what `inspected_in` returns of them.
        now: the time, with its zone.
        product: what is made on the line.
    """
    end = min(now, week.until)
    ledger = [entry for entry in facts.ledger(line) if entry.created_at < end]
    promotion = _last_promotion(ledger)
    champion = judged(facts, [facts.get(GateDecision, str(promotion.details["decision"]))])[0] if promotion else None
    decisions = [row for row in facts.find(GateDecision, line=line) if week.since <= row.created_at < end]
    reports = [row for row in facts.find(DriftReport, line=line) if row.created_at < end]
    drift = drift_behind(facts, line, champion.model.dataset_id, before=end) if champion else None
    told = [entry for entry in ledger if week.holds(entry.created_at)]
    alerts = [
        alert
        for alert in facts.find(Alert, line=line)
        if week.since <= alert.created_at < end and alert.cause != AlertCause.REPORT
    ]
    return WeekContent(
        line=line,
        product=product,
        week=week,
        state=line_state(champion.decision.verdict if champion else None, drift.verdict if drift else None),
        champion=champion,
        promotion=promotion,
        decisions=judged(facts, decisions),
        drift=[row for row in reversed(reports) if week.holds(row.created_at)],
        drifted_now=drift,
        ledger=told,
        models=facts.find(ModelVersion, id=sorted({entry.subject for entry in told})),
        alerts=alerts,
        subjects=subjects_of(facts, alerts),
        days=inspected.days,
        lots=inspected.lots,
        told_at=end,
    )


def weekly(parts: Parts, line: LineFile, week: Week, *, language: str, print_page: PrintPage | None = None) -> Outcome:
    """Write the page about a week, store it, and put it into the outbox; a week's page goes out once.

    Args:
        parts: the stores and the clock.
        line: the line file.
        week: the seven days.
        language: `en` or `ko`.
        print_page: makes the PDF that goes with the message; without it the HTML page goes.

    Raises:
        ConfigError: the week is not over.
    """
    require_over(week, parts.clock())
    row_id = identify("weekly", line.name, week.since, week.until, language)
    if parts.facts.find(WeeklyReport, id=row_id):
        return Outcome(row_id, reused=True)
    now = parts.clock()
    inspected = inspected_in(parts.inspections, line.name, week)
    content = week_of(parts.facts, line.name, week, inspected, now=now, product=line.line.product)
    words = weekly_words(language, week.until.tzinfo)
    page = write_weekly(content, words)
    paper = parts.files.put(print_page(page)) if print_page else ""
    row = WeeklyReport(row_id, line.name, week.since, week.until, language, parts.files.put(page), paper, now)
    title, body = weekly_summary(content, words)
    alert = weekly_alert(row, title=title, body=body, now=now)
    return Outcome(row_id, not parts.facts.save(row, alerts=[alert]))


def require_over(week: Week, now: datetime) -> None:
    """Check that a week is over, as its page goes out once, for good.

    Raises:
        ConfigError: it is not; the message says from when on.
    """
    if now < week.until:
        message = (
            f"the week {week} is not over: its page can be sent from {week.until:%Y-%m-%d} on, once; "
            "`wafergate weekly --to week.html` writes it as it stands now"
        )
        raise ConfigError(message)


def _last_promotion(ledger: Sequence[LedgerEntry]) -> LedgerEntry | None:
    kinds = {LedgerKind.PROMOTED, LedgerKind.ROLLED_BACK}
    return next((entry for entry in reversed(ledger) if entry.kind in kinds), None)
