"""What the page Drift shows: the newest reports of a line."""

from wafergate.domain.drift import DriftReport
from wafergate.ports import FactStore, FileReader

__all__ = ["MOST_REPORTS", "load_page_link", "load_reports"]

MOST_REPORTS = 40


def load_reports(facts: FactStore, line: str) -> tuple[DriftReport, ...]:
    """Return the newest drift reports, newest first."""
    return tuple(facts.find(DriftReport, line=line, limit=MOST_REPORTS))


def load_page_link(files: FileReader, digest: str) -> str:
    """Return an address where a browser opens a stored page."""
    return files.link(digest, content_type="text/html; charset=utf-8")
