"""What a flow tells while it works: the terminal, Prefect's log and a progress artifact."""

import re
import sys
import textwrap
import time
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Teller", "artifact_key", "say"]

_ARTIFACT_EVERY_S = 2.0
_LINE_EVERY_S = 10.0
_TRIED_AGAIN_AFTER_S = 60.0


def say(text: str) -> None:
    """Tell one finished step, in the terminal and in the run's log."""
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    lines = textwrap.wrap(text.strip(), 78, initial_indent=indent, subsequent_indent=indent + "  ")
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 - the terminal of whoever started the flow
    get_run_logger().info(text)


def artifact_key(stage: str) -> str:
    """Return the key of a stage's artifact: Prefect takes small Latin letters, digits and dashes."""
    return re.sub("[^a-z0-9]", "-", stage.lower())


class Teller:
    """A `Progress` port: one bar in a terminal, a line now and then elsewhere, an artifact in Prefect."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (TextColumn("  {task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._stage = ""
        self._task = self._bar.add_task("", visible=False)
        self._artifact: UUID | None = None
        self._artifact_at = 0.0
        self._line_at = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell that `done` of `total` is reached in a stage; total 0 while it is not known.

        A stage that is told without a count, as a wait is, is told at once: it may be long, and is not told again.
        """
        now, finished = time.monotonic(), bool(total) and done >= total
        if stage != self._stage:
            self._stage, self._artifact, self._artifact_at, self._line_at = stage, None, now, now
            self._bar.reset(self._task, description=stage, total=total or None, visible=True)
            if not (self._console.is_terminal or done or total):
                self._console.print(f"  {stage}", highlight=False)
        self._bar.update(self._task, completed=done, total=total or None, description=f"{stage}{note}")
        if not self._console.is_terminal and (now - self._line_at >= _LINE_EVERY_S or finished):
            self._line_at = now
            self._console.print(f"  {stage}: {done}" + (f" of {total}" if total else "") + note, highlight=False)
        if total and (now - self._artifact_at >= _ARTIFACT_EVERY_S or (finished and self._artifact is not None)):
            self._artifact_at = now
            try:
                self._tell_prefect(100.0 * done / total)
            except Exception as error:  # noqa: BLE001 - no training ends for a bar that cannot be drawn
                self._artifact_at = time.monotonic() + _TRIED_AGAIN_AFTER_S
                told = " ".join(str(error).split())[:200]
                self._console.print(f"  Prefect does not take the progress: {told}", highlight=False, markup=False)

    def _tell_prefect(self, percent: float) -> None:
        if self._artifact is None:
            made = create_progress_artifact(percent, key=artifact_key(self._stage), description=self._stage)
            self._artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self._artifact, percent)
