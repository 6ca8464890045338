"""What a flow may be started with: checked before a run begins, and offered as choices in Prefect's pages."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from wafergate.formats import READERS
from wafergate.jobs.ingest import require_format
from wafergate.line import load_line

__all__ = ["AnyFormat", "Limit", "LinePath", "MaybeFormat"]

_FORMATS = sorted(READERS)


def _right_line(path: str) -> str:
    load_line(Path(path))
    return path


def _known_or_none(name: str) -> str:
    return require_format(name) if name else name


# What these refuse, they refuse in our own words: an error of ours passes through pydantic as it is.
LinePath = Annotated[str, AfterValidator(_right_line)]
"""A line file that is there and right."""
AnyFormat = Annotated[str, AfterValidator(require_format), WithJsonSchema({"type": "string", "enum": _FORMATS})]
"""A format there is a reader for."""
MaybeFormat = Annotated[
    str, AfterValidator(_known_or_none), WithJsonSchema({"type": "string", "enum": ["", *_FORMATS]})
]
"""The same, or none where no source is read."""
Limit = Annotated[int, Field(ge=0)]
"""How many; 0 for all."""
