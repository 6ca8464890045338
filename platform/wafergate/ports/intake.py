"""How images come in and are checked."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.samples import ImageRecord
from wafergate.domain.validation_rows import ValidationFinding

if TYPE_CHECKING:  # a command's help must not wait for pandas
    import pandas as pd

__all__ = ["ImageExaminer", "Source", "SuiteOutcome", "SuiteValidator"]


class Source(Protocol):
    """Where raw images and labels lie: a folder, an archive, an S3 prefix."""

    @property
    def title(self) -> str:
        """Name it for a person."""

    def names(self) -> Sequence[str]:
        """List every file as a relative path with `/`, sorted; unsafe names are left out."""

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """List what was refused: (name, why), e.g. links that point outside."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            SourceError: it is not there or cannot be read.
        """

    def open(self, name: str) -> BinaryIO:
        """Open a file that may be long, to be read from its beginning; the caller closes it.

        Raises:
            SourceError: it is not there or cannot be read.
        """


class ImageExaminer(Protocol):
    """Decodes an image once and tells everything about it."""

    def __call__(self, data: bytes, *, now: datetime, name: str = "") -> ImageRecord:
        """Return the record of an image file; `name` lets it check the suffix against the content.

        Raises:
            ImageRefusedError: it is not an image, is truncated or too large; carries the quarantine reason.
        """

    def look(self, data: bytes, *, now: datetime, name: str = "") -> tuple[ImageRecord, NDArray[np.uint8]]:
        """Return the record and, from the same decode, the pixels `(h, w, 3)`, 8 bits, BGR; raises as the call does.

        The pixels are to be read only.
        """


class SuiteOutcome(NamedTuple):
    """What the suite found, its full report (JSON) and the report as one self-contained HTML page."""

    findings: list[ValidationFinding]
    report: bytes
    docs: bytes


class SuiteValidator(Protocol):
    """Runs the validation suite over the tables of a dataset version."""

    def __call__(
        self, images: "pd.DataFrame", boxes: "pd.DataFrame", *, limits: Mapping[str, object], title: str = "Validation"
    ) -> SuiteOutcome:
        """Return what was found; `title` stands over the page.

        Raises:
            ServiceError: an expectation itself broke; that is not a finding about the data.
        """
