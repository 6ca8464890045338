"""What the embedded stack remembers between calls: ports, secrets, processes, and the settings it offers."""

import contextlib
import dataclasses
import fcntl
import json
import os
import secrets as random_secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wafergate.errors import ServiceError

STATE_NAME = "services.json"
LOCK_NAME = "services.lock"
LOCK_SECONDS = 300.0
SECRET_BYTES = 24
VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One embedded part as a caller sees it.

    Attributes:
        name: postgres, s3, prefect, worker or dashboard.
        state: ``running``, ``stopped``, ``failed`` (the process lives and does not answer), or ``external``.
        address: ``host:port`` or URL where it answers; empty where it has none.
        pid: Process id, or None unless our process lives.
        log: Its log file.
    """

    name: str
    state: str
    address: str
    pid: int | None
    log: Path


@dataclasses.dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process we started; when it was made tells it from a later process with the same id.

    Attributes:
        pid: Its id.
        create_time: Seconds since 1970 by the clock of that moment.
        born: The boot and the tick of it in which the process was made, which no correction of the clock moves; empty
            where the system does not tell, and in files of before.
    """

    pid: int
    create_time: float
    born: str = ""


@dataclasses.dataclass(slots=True)
class StateFile:
    """The content of ``services.json``; written whole, readable by its owner only."""

    path: Path
    ports: dict[str, int] = dataclasses.field(default_factory=dict)
    secrets: dict[str, str] = dataclasses.field(default_factory=dict)
    processes: dict[str, ProcessRecord] = dataclasses.field(default_factory=dict)
    settings: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, home: Path) -> "StateFile":
        """Read the state of a home folder; an absent file is an empty state.

        Raises:
            ServiceError: The file cannot be read or is not ours.
        """
        path = home / STATE_NAME
        try:
            raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if raw["version"] != VERSION:
                raise ServiceError(
                    f"{path} has version {raw['version']}, this wafergate reads {VERSION}: use the one that wrote it"
                )
            processes = {name: ProcessRecord(**record) for name, record in raw["processes"].items()}
            return cls(path, raw["ports"], raw["secrets"], processes, raw["settings"])
        except FileNotFoundError:
            return cls(path)
        except PermissionError as error:
            raise ServiceError(
                f"{path} belongs to another user: run as that user, or set WAFERGATE_HOME to a folder of yours"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(
                f"{path} is not a state file of wafergate ({error!r}): restore it from a backup, "
                "or move the whole folder away and run `wafergate up` to start empty"
            ) from error

    def save(self) -> None:
        """Replace the file in one step, so that a reader or a crash never meets half of it."""
        content = {
            "version": VERSION,
            "ports": self.ports,
            "secrets": self.secrets,
            "processes": {name: dataclasses.asdict(record) for name, record in self.processes.items()},
            "settings": self.settings,
        }
        write_private(self.path, json.dumps(content, indent=2) + "\n")

    def secret(self, name: str) -> str:
        """Return the secret of this name, made at random the first time (192 bits, URL-safe)."""
        if name not in self.secrets:
            self.secrets[name] = random_secrets.token_urlsafe(SECRET_BYTES)
        return self.secrets[name]


def write_private(path: Path, content: str) -> None:
    """Write a text file that only its owner reads (mode 0600), whole or not at all."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextlib.contextmanager
def exclusive(home: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the home folder's lock; the kernel frees it when its holder ends, however it ends.

    Args:
        home: An existing home folder.
        waiting: Called once if another process holds the lock.

    Raises:
        ServiceError: Another process held it for longer than 300 s.
    """
    with (home / LOCK_NAME).open("a", encoding="utf-8") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"another `wafergate up` or `down` has held {file.name} for {LOCK_SECONDS:.0f} s: "
                        "wait for it or end it, then try again"
                    ) from error
            if not told:
                waiting()
                told = True
            time.sleep(0.1)
        yield
