"""A line's name to a line that something is stored of."""

from wafergate.domain.alerts import Alert
from wafergate.domain.inspection import InspectionRun
from wafergate.domain.runs import FlowRun, LineFileVersion
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.taxonomy import TaxonomyVersion
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError
from wafergate.ports import FactStore

__all__ = ["require_line"]

_KINDS = (LineFileVersion, FlowRun, DatasetVersion, TaxonomyVersion, ModelVersion, InspectionRun, Alert)
"""What a line begins with, one or another of it."""


def require_line(facts: FactStore, name: str) -> None:
    """Check that something is stored of a line.

    Raises:
        NotFoundError: nothing is; the message names the lines there are.
    """
    if any(facts.find(kind, line=name, limit=1) for kind in _KINDS):
        return
    names = sorted({*facts.count(LineFileVersion, "line"), *facts.count(DatasetVersion, "line")})
    there = f"the lines there are: {', '.join(names)}" if names else "there is none yet: `wafergate intake` begins one"
    message = f"nothing is stored of a line {name!r}; {there}"
    raise NotFoundError(message)
