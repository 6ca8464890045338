"""What the page Drift shows: the newest reports of a line."""

from wafergate.domain.drift import DriftReport
from wafergate.domain.golden import GoldenRun
from wafergate.ports import FactStore, FileReader

__all__ = ["MOST_REPORTS", "load_golden", "load_page_link", "load_picture", "load_reports"]

MOST_REPORTS = 40
MOST_CHECKS = 10


def load_reports(facts: FactStore, line: str) -> tuple[DriftReport, ...]:
    """Return the newest drift reports, newest first."""
    return tuple(facts.find(DriftReport, line=line, limit=MOST_REPORTS))


def load_page_link(files: FileReader, digest: str) -> str:
    """Return an address where a browser opens a stored page."""
    return files.link(digest, content_type="text/html; charset=utf-8")


def load_golden(facts: FactStore, line: str) -> tuple[GoldenRun, ...]:
    """Return the newest checks of the golden parts, newest first."""
    return tuple(facts.find(GoldenRun, line=line, limit=MOST_CHECKS))


def load_picture(files: FileReader, digest: str) -> bytes:
    """Return a stored picture."""
    return files.get(digest)
