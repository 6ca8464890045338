"""What one page tells of a line's week."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from wafergate.domain.alerts import Alert
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, LedgerEntry
from wafergate.domain.inspection import InspectionDay, InspectionLot
from wafergate.domain.line_state import LineState
from wafergate.domain.training_rows import ModelVersion

__all__ = ["JudgedModel", "Week", "WeekContent", "WeeklyReport"]


@dataclass(frozen=True, slots=True)
class Week:
    """Seven whole days: from `since` up to, and without, `until`; both with the time zone of the line."""

    since: datetime
    until: datetime

    @classmethod
    def ending(cls, last: date, zone: tzinfo) -> "Week":
        """Return the seven days of which `last` is the last; days with a change of the clock are whole as well."""
        after = last + timedelta(days=1)
        since, until = (datetime.combine(day, time(), tzinfo=zone) for day in (after - timedelta(days=7), after))
        return cls(since, until)

    @property
    def last_day(self) -> date:
        """The seventh day."""
        return self.until.date() - timedelta(days=1)

    def __str__(self) -> str:
        """Name the first and the last day."""
        return f"{self.since.date()} to {self.last_day}"

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment lies in the week."""
        return self.since <= moment < self.until


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """The page about a week, kept for good.

    Attributes:
        id: from line, week and language.
        line: the production line.
        since: begin of the week.
        until: its end, which belongs to the next.
        language: of the page.
        page: SHA-256 of the self-contained HTML page in S3.
        paper: SHA-256 of the same as PDF in S3; empty where the machine that wrote it had no Chromium.
        created_at: when it became visible.
    """

    id: str
    line: str
    since: datetime
    until: datetime
    language: str
    page: str
    paper: str
    created_at: datetime

    def week_in(self, zone: tzinfo) -> Week:
        """Return the week with its days told in a zone."""
        return Week(self.since.astimezone(zone), self.until.astimezone(zone))


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A gate decision with what it judged."""

    decision: GateDecision
    model: ModelVersion
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class WeekContent:
    """All that the page about a week tells, as it stood at the end of the week.

    Attributes:
        line: the production line.
        product: what is made on it.
        week: the seven days.
        state: of the line at the end.
        champion: what judged the line at the end; None where nothing did.
        promotion: the ledger's entry that made it champion; None where there was none.
        decisions: of the week, newest first.
        drift: reports of the week, oldest first.
        drifted_now: the report that the state goes by, see `jobs.line_drift`; None where there is none.
        ledger: entries of the week, oldest first.
        models: those the ledger of the week speaks of.
        alerts: written in the week, newest first.
        subjects: what they are about, by the id they name.
        days: what was inspected on the days (UTC) that ended in the week, oldest first.
        lots: with images of the week, the one with the largest share of defective images first.
        told_at: up to when the stores were read, which lies in a week that is not over.
    """

    line: str
    product: str
    week: Week
    state: LineState
    champion: JudgedModel | None
    promotion: LedgerEntry | None
    decisions: Sequence[JudgedModel]
    drift: Sequence[DriftReport]
    drifted_now: DriftReport | None
    ledger: Sequence[LedgerEntry]
    models: Sequence[ModelVersion]
    alerts: Sequence[Alert]
    subjects: Mapping[str, object]
    days: Sequence[InspectionDay]
    lots: Sequence[InspectionLot]
    told_at: datetime
