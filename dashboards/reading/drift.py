"""What the page Drift shows: the newest reports of a line."""

from wafergate.domain.drift import DriftReport
from wafergate.domain.golden import GoldenRun
from wafergate.ports import FactStore

__all__ = ["load_golden", "load_reports"]

MOST_REPORTS = 40
MOST_CHECKS = 10


def load_reports(facts: FactStore, line: str) -> tuple[DriftReport, ...]:
    """Return the newest drift reports, newest first."""
    return tuple(facts.find(DriftReport, line=line, limit=MOST_REPORTS))


def load_golden(facts: FactStore, line: str) -> tuple[GoldenRun, ...]:
    """Return the newest checks of the golden parts, newest first."""
    return tuple(facts.find(GoldenRun, line=line, limit=MOST_CHECKS))
