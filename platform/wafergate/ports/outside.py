"""People, the orchestrator and the network."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wafergate.domain.governor import GovernorDecision
from wafergate.domain.runs import PlannedFlow, RunOfFlow

__all__ = ["AlertChannel", "Attachment", "Download", "Retrainings", "RunReader"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with an alert: its name, whose suffix tells its kind (`.png`, `.pdf`, `.html`), and bytes."""

    name: str
    data: bytes


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


class Download(Protocol):
    """Fetches a file from the network."""

    def __call__(self, url: str, target: Path, *, progress: Callable[[str, int, int], None]) -> None:
        """Write what lies at an address to a file, whole or not at all.

        Raises:
            ConfigError: the address is of a kind that is not fetched.
            ServiceError: the server cannot be reached or has no such file.
            StorageError: the file cannot be written.
        """
