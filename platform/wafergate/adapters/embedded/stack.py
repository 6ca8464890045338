"""Bring the embedded parts up and down, each in its own time, whatever state it finds them in."""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from wafergate.adapters.embedded import dashboard as dashboard_part
from wafergate.adapters.embedded import health, postgres, prefect, processes, s3
from wafergate.adapters.embedded.home import check_space, log_file, make_home, storage_trouble
from wafergate.adapters.embedded.parts import Context, Part, Progress
from wafergate.adapters.embedded.ports import LOOPBACK, RELEASE_SECONDS, Claims, choose, require_free, wanted
from wafergate.adapters.embedded.state import STATE_NAME, ServiceStatus, StateFile, exclusive
from wafergate.errors import ServiceError

SERVERS = (postgres.PART, s3.PART, prefect.SERVER, prefect.PART_WORKER)  # each after those it needs
STOP_ORDER = (("dashboard", "worker"), ("prefect",), ("s3", "postgres"))
LOG_BYTES = 16 * 1024**2
# The variable that says a part is elsewhere, with the setting the embedded part would offer for it.
ELSEWHERE = {
    "postgres": ("WAFERGATE_DATABASE_URL", "database_url"),
    "s3": ("WAFERGATE_S3_ENDPOINT", "s3_endpoint"),
    "prefect": ("PREFECT_API_URL", "prefect_api_url"),
}


@dataclass(frozen=True, slots=True)
class StackState:
    """What `up` leaves behind.

    Attributes:
        home: The home folder, absolute.
        services: Every part.
        started: Names of those that this call started; empty if all ran already.
        settings: The values offered to `wafergate.settings`, secrets included.
    """

    home: Path
    services: tuple[ServiceStatus, ...]
    started: tuple[str, ...]
    settings: Mapping[str, str]


def up(
    home: Path, *, progress: Progress, environ: Mapping[str, str] | None = None, dashboard: Path | None = None
) -> StackState:
    """Start every embedded part that does not run, and return when all of them answer.

    Args:
        home: The folder that keeps everything embedded; made at need.
        progress: Called with a part's name and what happens to it, from one thread at a time.
        environ: The environment; the process's own by default. A part whose address it gives is not started.
        dashboard: The Streamlit app to serve; None leaves the dashboard out.

    Raises:
        ServiceError: A part cannot be started; the parts that could be go on running.
        ConfigError: A ``WAFERGATE_PORT_…`` variable is not a port number.
    """
    environ = os.environ if environ is None else environ
    home = home.resolve()
    try:
        make_home(home)
        with exclusive(home, lambda: progress("up", "waiting for another `wafergate up` or `down` to end")):
            return _Starter(home, progress, environ, dashboard).run()
    except OSError as error:
        raise ServiceError(storage_trouble(home, error)) from error


def down(home: Path, *, progress: Progress = lambda _part, _message: None) -> tuple[str, ...]:
    """Stop the processes that `up` started in this folder, last started first.

    Args:
        home: The home folder.
        progress: Called with a part's name and what happens to it.

    Returns:
        Names of the parts that ran; empty if none did.

    Raises:
        ServiceError: The folder cannot be read, or a process of ours belongs to another user now.
    """
    home = home.resolve()
    if not (home / STATE_NAME).exists():
        return ()
    try:
        with exclusive(home, lambda: progress("down", "waiting for another `wafergate up` or `down` to end")):
            return _stop_all(home, progress)
    except OSError as error:
        raise ServiceError(storage_trouble(home, error)) from error


def status(home: Path, *, environ: Mapping[str, str] | None = None) -> list[ServiceStatus]:
    """Say of every part whether it runs and answers; changes nothing and waits for nobody.

    Args:
        home: The home folder.
        environ: The environment; the process's own by default.
    """
    environ = os.environ if environ is None else environ
    home = home.resolve()
    context = Context(home, StateFile.load(home), environ, lambda _part, _message: None)
    outside = external(context.state, environ)
    parts: list[Part] = [*SERVERS, dashboard_part.part(Path())]
    return [_status_of(context, part, outside) for part in parts]


def external(state: StateFile, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the parts that the environment places elsewhere, each with the variable that says so.

    An address equal to the embedded part's own (copied into a shell, or handed to a worker by Prefect) is not
    elsewhere.
    """
    found = {}
    for part, (variable, setting) in ELSEWHERE.items():
        value = environ.get(variable, "").strip()
        if value and value != state.settings.get(setting):
            found[part] = variable
    if "prefect" in found:
        found["worker"] = found["prefect"]
    if "postgres" in found and "prefect" not in found:
        del found["postgres"]  # Prefect's own facts still need it
    return found


class _Starter:
    """One run of `up`, under the lock."""

    def __init__(self, home: Path, progress: Progress, environ: Mapping[str, str], dashboard: Path | None) -> None:
        self._guard = threading.Lock()  # one writer of the state file, one speaker at a time
        self._progress = progress
        self._context = Context(home, StateFile.load(home), environ, self._say)
        self._state = self._context.state
        self._outside = external(self._state, environ)
        self._parts: Sequence[Part] = [part for part in SERVERS if part.name not in self._outside]
        if dashboard is not None:
            self._parts = [*self._parts, *self._dashboard(dashboard)]
        self._started: list[str] = []

    def run(self) -> StackState:
        """Bring up what is missing, each part as soon as those it needs answer."""
        with Claims() as claims:
            return self._run(claims)

    def _run(self, claims: Claims) -> StackState:
        for name, variable in self._outside.items():
            self._say(name, f"not started: {variable} says it is elsewhere")
        if "postgres" not in self._outside and self._context.environ.get("WAFERGATE_DATABASE_URL"):
            self._say("postgres", "kept for Prefect; the application's database is where WAFERGATE_DATABASE_URL says")
        alive = {part.name for part in self._parts if processes.find(self._state.processes.get(part.name))}
        self._settle_ports(alive, claims)
        self._settle_secrets()
        check_space(self._context.home)
        tasks: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(max_workers=len(self._parts) or 1, thread_name_prefix="up") as pool:
            for part in self._parts:  # listed so that what a part needs comes before it
                needs = [tasks[name] for name in part.needs if name in tasks]
                tasks[part.name] = pool.submit(self._bring_up, part, needs)
        for task in tasks.values():
            task.result()
        services = tuple(_status_of(self._context, part, self._outside) for part in self._parts)
        return StackState(self._context.home, services, tuple(self._started), dict(self._state.settings))

    def _bring_up(self, part: Part, needs: Iterable["Future[None]"]) -> None:
        for need in needs:
            error = need.exception()
            if error is not None:
                raise error  # the same error again; `run` reports it once
        record = self._state.processes.get(part.name)
        process = processes.find(record)
        if process is not None and record is not None:
            if health.recovers(self._context, part, record):
                self._prepare(part)
                self._say(part.name, f"already running{self._where(part)}")
                return
            self._say(part.name, "runs and does not answer: starting it again")
            processes.stop(process, how=part.stop_signal, seconds=part.stop_seconds)
        elif part.name == "postgres" and postgres.serves(self._context):
            raise ServiceError(
                f"postgres serves on {self._context.address('postgres')} as a process that {STATE_NAME} does not know: "
                "run `wafergate down`, then `wafergate up`"
            )
        part.cleanup(self._context)
        for name in part.ports:
            # only what a record of ours names may still be letting go; a stranger's port is told at once
            require_free(name, self._state.ports[name], seconds=RELEASE_SECONDS if record is not None else 0.0)
        self._say(part.name, "starting")
        log = log_file(self._context.home, part.name)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".old.log"))
        launch = part.launch(self._context)
        with self._guard:  # recorded at once, or a killed `up` would leave behind a process nobody knows
            record = processes.spawn(launch, log, str(self._context.home))
            self._state.processes[part.name] = record
            self._state.save()
            self._started.append(part.name)
        health.wait(self._context, part, record, log)
        self._prepare(part)
        self._say(part.name, f"running{self._where(part)}")

    def _prepare(self, part: Part) -> None:
        try:
            part.prepare(self._context)
        except health.FOREIGN as error:
            raise ServiceError(
                f"{part.name} answers and cannot be prepared ({error}): see {log_file(self._context.home, part.name)}"
            ) from error

    def _settle_ports(self, alive: set[str], claims: Claims) -> None:
        ports = self._state.ports
        for part in self._parts:
            for name in part.ports:
                number = wanted(name, self._context.environ)
                if number is not None and part.name in alive and ports[name] != number:
                    raise ServiceError(
                        f"{part.name} runs on port {ports[name]} while WAFERGATE_PORT_{name.upper()} asks for "
                        f"{number}: `wafergate down` first"
                    )
                kept = number or ports.get(name)
                if kept:
                    claims.take(kept)  # not to be chosen by others; if one has it, `require_free` tells
                ports[name] = kept or choose(name, ports.values(), claims)

    def _settle_secrets(self) -> None:
        """Make every secret and save them before any part starts: data under a lost key would be lost."""
        context = self._context
        names = {part.name for part in self._parts}
        if "postgres" in names:
            if postgres.SUPERUSER not in self._state.secrets and (context.home / "postgres" / "data").exists():
                raise ServiceError(
                    f"{context.home} holds a database but {STATE_NAME} with its passwords is gone: restore that file, "
                    "or move the folder away and run `wafergate up` to start empty"
                )
            self._state.settings.update(postgres.offered(context))
            for role in (postgres.SUPERUSER, postgres.PREFECT):
                self._state.secret(role)
        if "s3" in names:
            self._state.settings.update(s3.offered(context))
            s3.signing_keys(context)
        if "prefect" in names:
            self._state.settings.update(prefect.offered(context))
        if "dashboard" in names:
            self._state.secret(dashboard_part.COOKIE)
            self._state.settings["dashboard_url"] = f"http://{context.address('dashboard')}"
        self._state.save()

    def _dashboard(self, app: Path) -> list[Part]:
        if not app.is_file():
            raise ServiceError(f"dashboard: {app} is not a file: install wafergate again")
        if not dashboard_part.installed():
            self._say("dashboard", "not started: Streamlit is missing, install wafergate[dashboard]")
            return []
        return [dashboard_part.part(app)]

    def _where(self, part: Part) -> str:
        return f" on {self._context.address(part.ports[0])}" if part.ports else ""

    def _say(self, part: str, message: str) -> None:
        with self._guard:
            self._progress(part, message)


def _stop_all(home: Path, progress: Progress) -> tuple[str, ...]:
    state = StateFile.load(home)
    context = Context(home, state, {}, progress)
    parts = {part.name: part for part in (*SERVERS, dashboard_part.part(Path()))}
    stopped: list[str] = []

    def stop(name: str) -> None:
        part, process = parts[name], processes.find(state.processes.get(name))
        if process is not None:
            processes.stop(process, how=part.stop_signal, seconds=part.stop_seconds)
            stopped.append(name)
            progress(name, "stopped")
        part.cleanup(context)

    try:
        for group in STOP_ORDER:
            with ThreadPoolExecutor(max_workers=len(group)) as pool:
                list(pool.map(stop, group))
        processes.finish(processes.marked(str(home)))  # flow runs that outlived a killed worker
    except psutil.AccessDenied as error:
        raise ServiceError(
            f"process {error.pid} of {home} belongs to another user: run `wafergate down` as that user"
        ) from error
    state.processes.clear()
    state.save()
    return tuple(stopped)


def _status_of(context: Context, part: Part, outside: Mapping[str, str]) -> ServiceStatus:
    log = log_file(context.home, part.name)
    if part.name in outside:
        address = "" if part.name == "worker" else _without_password(context.environ[outside[part.name]])
        return ServiceStatus(part.name, "external", address, None, log)
    number = context.state.ports.get(part.ports[0]) if part.ports else None
    address = f"{LOOPBACK}:{number}" if number else ""
    record = context.state.processes.get(part.name)
    process = processes.find(record)
    if process is None or record is None:
        return ServiceStatus(part.name, "stopped", address, None, log)
    state = "failed" if health.trouble(context, part, record) else "running"
    return ServiceStatus(part.name, state, address, process.pid, log)


def _without_password(address: str) -> str:
    scheme, separator, rest = address.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
