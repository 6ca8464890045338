"""What the stack knows of every part, whichever it is."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wafergate.adapters.embedded.ports import LOOPBACK
from wafergate.adapters.embedded.processes import Launch
from wafergate.adapters.embedded.state import ProcessRecord, StateFile

Progress = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Context:
    """What a part is started from.

    Attributes:
        home: The home folder, absolute.
        state: Ports and secrets; a part reads them and changes neither.
        environ: The environment of whoever called `up`.
        say: Progress, called with the part's name and what happens.
    """

    home: Path
    state: StateFile
    environ: Mapping[str, str]
    say: Progress

    def address(self, port: str) -> str:
        """Return ``host:port`` of a port by its name."""
        return f"{LOOPBACK}:{self.state.ports[port]}"

    def folder(self, name: str) -> Path:
        """Return a part's own folder in the home folder, made at need and closed to others."""
        path = self.home / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path


@dataclass(frozen=True, slots=True)
class Part:
    """One server: how it is started, known to answer, prepared and ended.

    Attributes:
        name: The service's name in messages, logs and environment variables.
        needs: Parts that must answer before it starts.
        ports: Names of its ports; the first is where callers find it.
        launch: Writes its files and says how it is run; called only while it does not run.
        answers: Says whether it serves right now, without waiting; a foreign error means no, and why. Gets the
            process, since a part may have to tell this process's signs of life from its forerunner's.
        prepare: Makes what it must hold (roles, bucket); called each time it answers, so it must be idempotent.
        cleanup: Ends what a killed forerunner left behind.
        stop_signal: Asks for an orderly end.
        start_seconds: How long it may take until it answers.
        stop_seconds: How long an orderly end may take before it is killed.
    """

    name: str
    needs: tuple[str, ...]
    ports: tuple[str, ...]
    launch: Callable[[Context], Launch]
    answers: Callable[[Context, ProcessRecord], bool]
    prepare: Callable[[Context], None] = lambda _context: None
    cleanup: Callable[[Context], None] = lambda _context: None
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 60.0
    stop_seconds: float = 20.0
