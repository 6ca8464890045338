"""How long a line keeps what its champion said of every image."""

from collections.abc import Sequence
from datetime import date

from wafergate.domain.gate import LedgerKind
from wafergate.domain.inspection import InspectionMonth, keep_from
from wafergate.errors import ConfigError
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft

__all__ = ["oldest_kept", "retain"]


def oldest_kept(parts: Parts, line: LineFile, months: int | None = None) -> date:
    """Return the first day of the oldest month of capture that is kept.

    Args:
        parts: the parts.
        line: the line file.
        months: instead of its `[inspection] keep_months`.

    Raises:
        ConfigError: neither says how long to keep.
    """
    keep = line.inspection.keep_months if months is None else months
    if keep < 1:
        message = (
            f"line {line.name!r} keeps every inspection: required [inspection] keep_months or --months of at least 1, "
            f"found {keep}"
        )
        raise ConfigError(message)
    return keep_from(parts.clock(), keep)


def retain(parts: Parts, line: LineFile, before: date, *, actor: str, reason: str) -> list[InspectionMonth]:
    """Drop the line's months of capture before a day, with who and why in the ledger; return what was dropped.

    Sums by day and lot, runs and image files stay. A second call finds nothing to drop and writes nothing.

    Raises:
        ServiceError: the line is being read or written just now.
    """

    def told(months: Sequence[InspectionMonth]) -> LedgerDraft:
        details = {
            "before": before.isoformat(),
            "months": {f"{item.month:%Y-%m}": [item.images, item.detections] for item in months},
        }
        return LedgerDraft(line.name, LedgerKind.DROPPED, f"inspections before {before}", actor, reason, details)

    return parts.inspections.retain(line.name, before=before, ledger=told)
