"""What the jobs need from the outside world, as small Protocols; wiring.py chooses who fills them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wafergate.domain.alerts import Alert
from wafergate.domain.doubts import LabelScores
from wafergate.domain.drift import DriftPolicy
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.gate import Champion, LedgerEntry, LedgerKind
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.inspection import (
    InspectedImage,
    InspectionDay,
    InspectionLot,
    InspectionMonth,
    InspectionRun,
    LotRun,
)
from wafergate.domain.runs import PlannedFlow, RunOfFlow
from wafergate.domain.samples import ImageRecord, ValidationFinding
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import ModelVersion

__all__ = [
    "AlertChannel",
    "Attachment",
    "Clock",
    "Detector",
    "DetectorLoader",
    "DriftMeter",
    "FactStore",
    "FileReader",
    "FileStore",
    "ImageExaminer",
    "InspectionStore",
    "LabelScorer",
    "LedgerDraft",
    "Progress",
    "Retrainings",
    "RunReader",
    "Source",
    "SuiteOutcome",
    "SuiteValidator",
    "Trainer",
]

Row = TypeVar("Row")
Clock = Callable[[], datetime]
Progress = Callable[[str, int, int], None]
"""Told `(stage, done, total)` as work goes on; total 0 while it is not known."""


@dataclass(frozen=True, slots=True)
class LedgerDraft:
    """A ledger entry before it is numbered and chained."""

    line: str
    kind: LedgerKind
    subject: str
    actor: str
    reason: str
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with an alert: its name, whose suffix tells its kind (`.png`, `.pdf`, `.html`), and bytes."""

    name: str
    data: bytes


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


class ImageExaminer(Protocol):
    """Decodes an image once and tells everything about it."""

    def __call__(self, data: bytes, *, now: datetime, name: str = "") -> ImageRecord:
        """Return the record of an image file; `name` lets it check the suffix against the content.

        Raises:
            ImageRefusedError: it is not an image, is truncated or too large; carries the quarantine reason.
        """

    def look(self, data: bytes, *, now: datetime, name: str = "") -> tuple[ImageRecord, NDArray[np.uint8]]:
        """Return the record and, from the same decode, the pixels `(h, w, 3)`, 8 bits, BGR; raises as the call does."""


class FactStore(Protocol):
    """Rows of the domain's value objects; a row is immutable once it is visible."""

    def save(
        self,
        row: object,
        parts: Iterable[object] = (),
        *,
        ledger: Sequence[LedgerDraft] = (),
        alerts: Sequence[Alert] = (),
    ) -> bool:
        """Make a row visible with its parts, ledger entries and alerts in one transaction.

        A dataset or model version given with number 0 gets the line's next number.

        Returns:
            False when a row with this id was already there; then nothing is written.
        """

    def save_all(self, rows: Iterable[object]) -> int:
        """Save rows of one kind at once, leaving those already there; return how many were new."""

    def get(self, kind: type[Row], row_id: str) -> Row:
        """Return a row by its id.

        Raises:
            NotFoundError: there is none.
        """

    def find(self, kind: type[Row], /, *, limit: int | None = None, **equal: object) -> list[Row]:
        """Return the rows whose columns equal the values given, newest first; parts in order of position."""

    def champion(self, line: str) -> Champion | None:
        """Return the model that judges the line now, if any."""

    def promote(self, champion: Champion, *, kind: LedgerKind, details: Mapping[str, object]) -> LedgerEntry:
        """Make a model the line's only champion and tell it in the ledger, in one transaction.

        Raises:
            PromotionError: its gate decision is not there, is of another model or is not a pass.
        """

    def exclusive(self, name: str, *, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold a name that only one process anywhere holds at a time; it is let go of at the latest when that one ends.

        Args:
            name: what is held, e.g. a machine's training.
            waiting: told once when another holds it; then waits for as long as that takes.
        """

    def ledger(self, line: str | None = None) -> list[LedgerEntry]:
        """Return the ledger, oldest first."""

    def check_ledger(self) -> tuple[int, list[int]]:
        """Return how many ledger entries there are and at which the chain does not hold, as they are stored.

        What cannot be read as an entry any more counts as broken, and so does a byte that changes no value.
        """

    def waiting_alerts(self) -> list[Alert]:
        """Return the alerts no channel has taken yet, oldest first."""

    def mark_alert(self, alert: Alert, *, was: Alert | None = None, ledger: Sequence[LedgerDraft] = ()) -> bool:
        """Store how an alert stands, with ledger entries in the same transaction; what it says stays as it is.

        Args:
            alert: as it is to stand.
            was: write only while the stored one still has this one's state and number of tries.
            ledger: written with it.

        Returns:
            False when somebody else was faster, or there is no such alert; then nothing is written.
        """


class InspectionStore(Protocol):
    """What the champion said of every image, by the million; periods are half-open, `since <= … < until`."""

    def save(self, run: InspectionRun, images: Iterable[InspectedImage]) -> bool:
        """Make a run visible with its images, their detections and the sums by day and lot, in one transaction.

        Returns:
            False when a run with this id was already there; then nothing is written.
        """

    def seen(self, line: str, model_id: str, names: Sequence[str]) -> dict[tuple[str, str], str]:
        """Return the images of these names that a model inspected: name and SHA-256 to the (newest) run."""

    def images(
        self,
        *,
        line: str,
        run_id: str | None = None,
        lot: str | None = None,
        defect_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[InspectedImage]:
        """Return a line's images by time of capture, newest first; those of one time by run and position.

        Args:
            line: the production line.
            run_id: only those of this run.
            lot: only those of this lot.
            defect_class: only those with a detection of this class at or above its threshold.
            since: only those captured then or later.
            until: only those captured before.
            limit: at most this many.
        """

    def doubtful(
        self, *, line: str, thresholds: Mapping[str, float], since: datetime, limit: int
    ) -> list[InspectedImage]:
        """Return the images with a detection, weak or not, whose score lies nearest its class's threshold.

        The nearest comes first; classes without a threshold are not looked at.
        """

    def novel(self, *, line: str, since: datetime, limit: int) -> list[InspectedImage]:
        """Return the images that differ most from training, the farthest first; those not measured are left out."""

    def runs(self, line: str, limit: int | None = None) -> list[InspectionRun]:
        """Return a line's runs, newest first."""

    def days(self, line: str, since: date | None = None, until: date | None = None) -> list[InspectionDay]:
        """Return a line's sums by day, newest first, then by model, station and product."""

    def lots(self, line: str, limit: int | None = None) -> list[InspectionLot]:
        """Return a line's sums by lot and model, the one with the newest image first."""

    def lot_runs(self, line: str, lot: str) -> list[LotRun]:
        """Return the runs that saw a lot, newest first, also those whose images were dropped since."""

    def months(self, line: str, *, before: date | None = None) -> list[InspectionMonth]:
        """Count what is stored of each month of capture, oldest first; those that began before a day."""

    def reroll(self, line: str) -> dict[date, int]:
        """Count the sums again, month by month; return how many sums of each were wrong and are right now.

        The sums of a month that `retain` dropped stay as they are: there is nothing left to count.
        """

    def retain(
        self, line: str, *, before: date, ledger: Callable[[Sequence[InspectionMonth]], LedgerDraft]
    ) -> list[InspectionMonth]:
        """Drop the images and detections of the months that began before a day; runs and sums stay.

        Args:
            line: whose months.
            before: the first day of a month.
            ledger: makes the entry, from what is dropped, that is written in the same transaction.

        Returns:
            What was dropped; where nothing is so old, nothing is written.

        Raises:
            ServiceError: the line is being read or written for longer than is waited; nothing was dropped.
        """


class FileReader(Protocol):
    """Files that can be looked at; nothing can be put through it. A `FileStore` without its writing half."""

    def get(self, digest: str) -> bytes:
        """See `FileStore.get`."""

    def link(self, digest: str, *, content_type: str) -> str:
        """See `FileStore.link`."""


class FileStore(Protocol):
    """Files addressed by the SHA-256 of their bytes."""

    def check(self) -> None:
        """Ask the store once.

        Raises:
            ServiceError: it does not answer, refuses the key or lacks the bucket.
        """

    def put(self, data: bytes) -> str:
        """Store bytes, if they are not there yet, and return their SHA-256."""

    def put_all(self, items: Iterable[bytes]) -> list[str]:
        """Store many at once, streaming; return their SHA-256 in order."""

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        Raises:
            NotFoundError: nothing is stored under the digest.
            StorageError: what is stored has another digest.
        """

    def fetch(self, digest: str) -> Path:
        """Return a local, read-only copy from the cache."""

    def has(self, digest: str) -> bool:
        """Tell whether it is stored."""

    def address(self, digest: str) -> str:
        """Name the place of a file for a person, e.g. `s3://bucket/blobs/ab/cdef…`."""

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Return the size in bytes of each that is stored, asking for many at once."""

    def link(self, digest: str, *, content_type: str) -> str:
        """Return an address where a browser opens the file, valid for seven days."""


class SuiteOutcome(NamedTuple):
    """What the suite found, its full report (JSON) and the report as one self-contained HTML page."""

    findings: list[ValidationFinding]
    report: bytes
    docs: bytes


class SuiteValidator(Protocol):
    """Runs the validation suite over the tables of a dataset version."""

    def __call__(
        self, images: pd.DataFrame, boxes: pd.DataFrame, *, limits: Mapping[str, object], title: str = "Validation"
    ) -> SuiteOutcome:
        """Return what was found; `title` stands over the page.

        Raises:
            ServiceError: an expectation itself broke; that is not a finding about the data.
        """


class Trainer(Protocol):
    """Trains one candidate and exports it."""

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        """Train, telling each epoch as it ends and, where asked, its checkpoint; its files live until the next one.

        Raises:
            ConfigError: the architecture is unknown or the weights do not fit it.
            OutOfMemoryError: memory ran out; the last checkpoint told can be gone on from with a smaller micro-batch.
            HardwareError: the device asked for is not there.
            TrainingError: training or export failed.
        """


class Detector(Protocol):
    """An exported model ready to run."""

    def __call__(self, images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        """Detect in images `(h, w, 3)` uint8 with the model's channels; one result each, in their pixels."""


class DetectorLoader(Protocol):
    """Opens a model's exported file."""

    def __call__(self, model: ModelVersion, onnx: Path) -> Detector:
        """Return the detector.

        Raises:
            TrainingError: the file is not a model this loader can run.
        """


class DriftMeter(Protocol):
    """Measures how far each feature lies between a reference and now."""

    def __call__(self, reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy) -> Mapping[str, float]:
        """Return each column's distance, or its p-value where the method is a test."""

    def page(self, reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy, *, threshold: float) -> bytes:
        """Return the same as a self-contained HTML page, its drift called by one threshold for every feature."""


class LabelScorer(Protocol):
    """Scores how well labels agree with predictions of models that had not learnt from them."""

    def __call__(
        self, truth: Sequence[Truth], detections: Sequence[Detections], *, classes: int, least: float
    ) -> list[LabelScores]:
        """Return the scores of every image.

        Args:
            truth: labelled boxes of every image.
            detections: of the same images in the same order, their scores probabilities.
            classes: how many classes there are.
            least: probability below which a prediction contradicts nothing.
        """


class AlertChannel(Protocol):
    """Carries a message to people."""

    def __call__(
        self, title: str, body: str, attachments: Sequence[Attachment] = (), *, taken: Sequence[str] = ()
    ) -> None:
        """Send to every address but those in `taken`, which have it already.

        Raises:
            AlertError: not every address took it; the message names kinds of channels, never an address, and `taken`
                lists those that now have it.
        """


class Retrainings(Protocol):
    """The retraining runs of the orchestrator."""

    def running(self, line: str) -> Sequence[str]:
        """Name the runs of a line that have begun or are due, and have not ended.

        Raises:
            ConfigError: the line's `retrain` is not deployed.
            ServiceError: the orchestrator does not answer.
        """

    def start(self, decision: GovernorDecision) -> str:
        """Start a retraining on the decision's dataset version and return its run's id; the same decision starts one.

        Raises:
            ServiceError: the orchestrator does not take it.
        """


class RunReader(Protocol):
    """What the orchestrator knows of a line's runs; nothing can be started through it."""

    def flows(self) -> list[str]:
        """Return the names of all flows, sorted.

        Raises:
            ServiceError: it does not answer or refuses.
        """

    def runs(self, line: str, *, flows: Sequence[str], known: Collection[str] = (), limit: int) -> list[RunOfFlow]:
        """Return the runs of a line that have begun or should have, newest first.

        Args:
            line: name of the line.
            flows: names of the flows to look at.
            known: ids of runs of the line that a person started without a deployment.
            limit: at most so many.

        Raises:
            ServiceError: as for `flows`.
        """

    def planned(self, line: str) -> list[PlannedFlow]:
        """Return the deployments of a line, what runs next first.

        Raises:
            ServiceError: as for `flows`.
        """
