"""Weight files that trainings start from."""

from dataclasses import dataclass
from datetime import datetime

__all__ = ["WeightFile"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file in the store, with its licence and who brought it.

    Attributes:
        id: from candidate and digest.
        candidate: the model it is for, as in the catalogue.
        digest: SHA-256 of the file; its address in S3.
        name: of the file as it was brought.
        bytes: its size.
        licence: SPDX identifier, as its source states it.
        source: where it comes from and where that licence is written.
        added_by: who brought it.
        created_at: when.
    """

    id: str
    candidate: str
    digest: str
    name: str
    bytes: int
    licence: str
    source: str
    added_by: str
    created_at: datetime
