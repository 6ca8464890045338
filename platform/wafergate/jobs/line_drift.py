"""The drift report that a line's state goes by, for every page that tells the state."""

from datetime import datetime

from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.ports import FactStore

__all__ = ["drift_behind"]

_SAYS = [verdict.value for verdict in DriftVerdict if verdict is not DriftVerdict.NOT_ENOUGH]


def drift_behind(facts: FactStore, line: str, dataset_id: str, *, before: datetime | None = None) -> DriftReport | None:
    """Return the newest report on the champion's own data that could say; None where there is none.

    A window of too few images says nothing, so it leaves what an earlier one said as it is.

    Args:
        facts: the store, of whichever role.
        line: name of the line.
        dataset_id: the dataset version its champion was trained on.
        before: only reports made earlier, with time zone.
    """
    limit = None if before else 1
    found = facts.find(DriftReport, line=line, dataset_id=dataset_id, verdict=_SAYS, limit=limit)
    return next((row for row in found if before is None or row.created_at < before), None)
