"""The command line as people run it: a process, its exit code and what it says on both streams."""

import atexit
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

__all__ = ["CONSOLE_SILENT", "ForkedCommands", "Said", "run_fresh", "start_fresh"]

CONSOLE_SILENT = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
"""What the command line sets for itself; Prefect reads it when it is imported, so a forked command must inherit it."""

LIMIT_S = 600.0


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What it says went wrong; fails unless it says so exactly once, without a traceback and as its last word."""
        assert "Traceback" not in self.err + self.out, self.err
        assert self.err.count("wafergate: ") == 1, self.err
        return self.err[self.err.index("wafergate: ") :].removeprefix("wafergate: ").rstrip()


def run_fresh(*arguments: str, cwd: Path | None = None, **environment: str) -> Said:
    """Run a command in a fresh interpreter, imports included."""
    done = subprocess.run(
        [sys.executable, "-m", "wafergate", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def start_fresh(*arguments: str, log: Path) -> "subprocess.Popen[bytes]":
    """Start a command in a process group of its own and come back at once."""
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "wafergate", *arguments]
        return subprocess.Popen(command, env=dict(os.environ), stdout=sink, stderr=sink, start_new_session=True)


class ForkedCommands:
    """Runs commands in processes forked from one that has everything imported: a real process in a tenth of the time.

    Make it when the environment names the services: Prefect reads its settings when it is imported.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.flows.preloaded"])
        self._runs = 0

    def __call__(self, *arguments: str, cwd: Path | None = None, **environment: str) -> Said:
        """Run a command with variables added to this process's environment."""
        self._runs += 1
        out, err = (self._folder / f"{self._runs}.{name}" for name in ("out", "err"))
        process: ForkServerProcess = self._context.Process(
            target=_command, args=(arguments, os.environ | environment, cwd, out, err)
        )
        process.start()
        process.join(LIMIT_S)
        if process.exitcode is None:
            process.kill()
            message = f"wafergate {' '.join(arguments)} did not end within {LIMIT_S:.0f} s: {err.read_text()[-2000:]}"
            raise TimeoutError(message)
        return Said(process.exitcode, out.read_text(), err.read_text())


def _command(
    arguments: tuple[str, ...], environment: Mapping[str, str], cwd: Path | None, out: Path, err: Path
) -> None:
    for descriptor, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd or Path.cwd())
    sys.argv = ["wafergate", *arguments]
    from wafergate.cli import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # a forked process skips them, and Prefect sends its last log lines there
