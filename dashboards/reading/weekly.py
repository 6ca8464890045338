"""What the page Weekly report shows: the same content as the flow of that name writes."""

from datetime import UTC, datetime

from wafergate.domain.weekly import Week, WeekContent
from wafergate.jobs.weekly import Inspected, inspected_in, week_of
from wafergate.ports import FactStore, InspectionStore

__all__ = ["load_inspected", "load_week"]


def load_inspected(inspections: InspectionStore, line: str, week: Week) -> Inspected:
    """Return what was inspected in a week."""
    return inspected_in(inspections, line, week)


def load_week(facts: FactStore, line: str, week: Week, inspected: Inspected) -> WeekContent:
    """Return what is stored of a line's week."""
    return week_of(facts, line, week, inspected, now=datetime.now(UTC))
