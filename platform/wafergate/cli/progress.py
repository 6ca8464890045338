"""A progress bar for commands that run a job without a flow."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wafergate.ports import Progress

__all__ = ["bar"]


@contextmanager
def bar() -> Iterator[Progress]:
    """Show stages as they go, one bar for each, on the terminal; where there is none, a line at each stage's end.

    A stage without a count, as a wait is, is a line at once.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plainly()
        return
    columns = (TextColumn("  {task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", visible=False)
        current = ""

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal current
            if stage != current:
                current = stage
                bars.reset(task, description=stage, total=total or None, visible=True)
            bars.update(task, completed=done, total=total or None)

        yield tell


def _plainly() -> Progress:
    told = ""

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal told
        said = f"  {stage}: {done} of {total}" if total else f"  {stage}"
        if done == total and said != told:  # a stage may tell its end more than once
            told = said
            print(said, file=sys.stderr, flush=True)

    return tell
