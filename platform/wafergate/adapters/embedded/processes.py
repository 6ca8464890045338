"""Start, recognise and end the processes of the embedded stack."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from wafergate.adapters.embedded.state import ProcessRecord
from wafergate.errors import ServiceError

MARK = "WAFERGATE_PART_OF"
SAME_PROCESS_SECONDS = 2.0  # psutil derives creation times from the boot time, which clock corrections move a little
TERM_SECONDS = 5.0

# Our own children stay zombies until polled; without the handle a killed part would look alive here.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Launch:
    """How one part is started.

    Attributes:
        command: Program and arguments.
        environment: Its whole environment.
        folder: Its working folder.
        user: User id to run as, with the group id; None keeps ours.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    user: tuple[int, int] | None = None


def spawn(launch: Launch, log: Path, mark: str) -> ProcessRecord:
    """Start a process of its own session, so that a Ctrl-C in the terminal does not reach it.

    Args:
        launch: What to run.
        log: File that its output is appended to; made with mode 0600.
        mark: Put into its environment and its descendants', by which `marked` finds them.

    Raises:
        ServiceError: The program cannot be executed.
    """
    uid, gid = launch.user if launch.user is not None else (None, None)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            list(launch.command),
            env={**launch.environment, MARK: mark},
            cwd=launch.folder,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            user=uid,
            group=gid,
            extra_groups=None if launch.user is None else [],
        )
    except OSError as error:
        raise ServiceError(
            f"{launch.command[0]} cannot be started in {launch.folder} ({error.strerror}): "
            "install wafergate again, or give the user it runs as access to both"
        ) from error
    finally:
        os.close(handle)
    _children[child.pid] = child
    try:
        return ProcessRecord(child.pid, psutil.Process(child.pid).create_time(), born(child.pid))
    except psutil.NoSuchProcess:
        return ProcessRecord(child.pid, 0.0)  # gone already; the health check reads its log


def born(pid: int) -> str:
    """Return the boot and the tick of it in which a process was made; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name, second and in brackets, may hold anything; the start is field 22 of proc(5), the state after it 3.
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return ""
    return f"{boot} {after_name.split()[22 - 3]}"


def find(record: ProcessRecord | None) -> psutil.Process | None:
    """Return the living process behind a record, or None if it ended or its id belongs to another by now."""
    if record is None:
        return None
    child = _children.get(record.pid)
    if child is not None and child.poll() is not None:
        _children.pop(record.pid, None)
    try:
        process = psutil.Process(record.pid)
        if record.born:
            same = born(record.pid) == record.born
        else:
            same = abs(process.create_time() - record.create_time) < SAME_PROCESS_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def listens(process: psutil.Process, port: int) -> bool:
    """Say whether a process or a descendant of it listens on a TCP port; yes where the system does not tell."""
    try:
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for one in (process, *process.children(recursive=True))
            for connection in one.net_connections(kind="tcp")
        )
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def marked(mark: str) -> list[psutil.Process]:
    """Return the living processes that carry a mark; ourselves and those of other users left out."""
    found = []
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid in ours:
            continue
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or not ours to read
    return found


def stop(process: psutil.Process, *, how: signal.Signals, seconds: float) -> None:
    """End a process and its descendants: ask, wait, then kill what is left.

    Args:
        process: The leader, as `find` returned it.
        how: The signal that asks it to end in an orderly way.
        seconds: How long it may take over that.
    """
    try:
        family = [process, *process.children(recursive=True)]
        process.send_signal(how)
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs([process], timeout=seconds)
    finish([*alive, *family[1:]])
    find(ProcessRecord(process.pid, 0.0))  # reaps our own child


def finish(processes: Sequence[psutil.Process]) -> None:
    """Terminate processes, and kill those that have not ended after 5 s."""
    alive = [process for process in processes if process.is_running()]
    for act in (psutil.Process.terminate, psutil.Process.kill):
        for process in alive:
            try:
                act(process)
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(alive, timeout=TERM_SECONDS)
        if not alive:
            return


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, for an error message; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
