"""Where facts and files are kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from wafergate.domain.alerts import Alert
from wafergate.domain.gate import Champion, LedgerEntry, LedgerKind
from wafergate.domain.inspection import (
    InspectedImage,
    InspectionDay,
    InspectionLot,
    InspectionMonth,
    InspectionRun,
    LotRun,
    SeenBefore,
)

__all__ = ["FactStore", "FileReader", "FileStore", "InspectionStore", "LedgerDraft"]

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class LedgerDraft:
    """A ledger entry before it is numbered and chained."""

    line: str
    kind: LedgerKind
    subject: str
    actor: str
    reason: str
    details: Mapping[str, object]


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

        Raises:
            StorageError: one of the parts is there already, or twice among them; nothing is written.
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

    def count(self, kind: type[object], by: str, /, **equal: object) -> dict[str, int]:
        """Count the rows whose columns equal the values given, by the text that one column holds, e.g. `line`."""

    def champion(self, line: str) -> Champion | None:
        """Return the model that judges the line now, if any."""

    def promote(self, champion: Champion, *, kind: LedgerKind, details: Mapping[str, object]) -> LedgerEntry:
        """Make a model the line's only champion and tell it in the ledger, in one transaction.

        Raises:
            PromotionError: its gate decision is not there, is of another model or is not a pass; or, unless it is a
                rollback, the model was not passed since or was never compared with the champion of now.
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

    def save(self, run: InspectionRun, images: Iterable[InspectedImage]) -> int:
        """Make a run visible with its images, their detections and the sums by day and lot, in one transaction.

        Images that its model has inspected before, as two inspections at once make them, are left out, and the run's
        own counts are those of what is left.

        Returns:
            How many images were written: 0 where all were inspected before or a run with this id was already there;
            then there is no new run. Images that were in that one, and were dropped since, count as seen by it.
        """

    def seen(self, line: str, model_id: str | None, names: Sequence[str]) -> SeenBefore:
        """Return the images of these names that a model inspected, also those that were dropped since.

        Args:
            line: the production line.
            model_id: the model; None for whichever model it was.
            names: as in `InspectedImage.name`.
        """

    def images(
        self,
        *,
        line: str,
        run_id: str | None = None,
        lot: str | None = None,
        station: str | None = None,
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
            station: only those of this station; an empty one for those that name none.
            defect_class: only those with a detection of this class at or above its threshold, or `ANY_CLASS`.
            since: only those captured then or later.
            until: only those captured before.
            limit: at most this many.
        """

    def seen_last(
        self,
        *,
        line: str,
        lot: str | None = None,
        station: str | None = None,
        defect_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[InspectedImage]:
        """Return a line's images as `images` does, but each name and file once: as the newest run saw it.

        The newest run is the newest of those that saw the image within what is asked for. What it found is what
        counts: an image with a defect in an older run alone is not one of `defect_class`. `limit` counts images.

        Args:
            line: the production line.
            lot: only those of this lot.
            station: only those of this station; an empty one for those that name none.
            defect_class: of these, only those where the newest run found this class, or `ANY_CLASS`.
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

    def lots(
        self, line: str, limit: int | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[InspectionLot]:
        """Return a line's sums by lot and model, the one with the newest image first.

        Args:
            line: the production line.
            limit: at most this many.
            since: only lots whose last image was captured then or later.
            until: only lots whose first image was captured before.
        """

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

    def remove(self, digests: Iterable[str]) -> None:
        """Remove files for good; one that is not there is passed over."""

    def address(self, digest: str) -> str:
        """Name the place of a file for a person, e.g. `s3://bucket/blobs/ab/cdef…`."""

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Return the size in bytes of each that is stored, asking for many at once."""

    def link(self, digest: str, *, content_type: str) -> str:
        """Return an address where a browser opens the file, valid for seven days."""
