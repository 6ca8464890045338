"""One table for every benchmark: what, ours, peer or limit, ratio, target, verdict."""

import importlib
import pkgutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Row", "collect", "render"]

_HEADINGS = ("what", "ours", "peer", "ratio", "target", "verdict")
_WIDTHS = (30, 10, 10, 6, 9, 8)  # with five separating spaces, 78 of 80 columns


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured, e.g. `examine, tiles, images/s`.
        ours: our figure with its unit where `what` does not say it.
        peer: the figure of the peer or the limit, measured in the same run.
        ratio: ours against the peer's, in the sense of the target; None where there is none.
        target: e.g. `>= 0.5`.
        verdict: `met`, `missed`, or why nothing was measured.
    """

    what: str
    ours: str
    peer: str
    ratio: float | None
    target: str
    verdict: str


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    if row.ratio is not None and row.ratio >= 100:
        ratio = f"{row.ratio:.0f}"  # never with an exponent
    return row.what, row.ours, row.peer, ratio, row.target, row.verdict


def _wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) <= width:
            lines[-1] = joined
            continue
        pieces = [word[start : start + width] for start in range(0, len(word), width)]
        lines = [*lines, *pieces] if lines[-1] else pieces
    return lines


def _lines(cells: Sequence[str]) -> Iterator[str]:
    columns = [_wrap(cell, width) for cell, width in zip(cells, _WIDTHS, strict=True)]
    for number in range(max(len(column) for column in columns)):
        parts = [column[number] if number < len(column) else "" for column in columns]
        yield " ".join(part.ljust(width) for part, width in zip(parts, _WIDTHS, strict=True)).rstrip()


def render(rows: Iterable[Row]) -> str:
    """Return the rows as a table of at most 80 columns; long cells go on in further lines."""
    rule = " ".join("-" * width for width in _WIDTHS)
    lines = [*_lines(_HEADINGS), rule]
    for row in rows:
        lines.extend(_lines(_cells(row)))
    return "\n".join(lines)


def collect(only: Sequence[str] = ()) -> Iterator[tuple[str, list[Row], float]]:
    """Run the `run()` of each `bench_*.py` beside this file, in the order of their names.

    Args:
        only: names without `bench_`, e.g. `examine`; empty for all.

    Yields:
        Name, rows, and seconds it took.

    Raises:
        SystemExit: a name in `only` has no module.
    """
    found = [item.name for item in pkgutil.iter_modules([str(Path(__file__).parent)]) if item.name.startswith("bench_")]
    names = {name.removeprefix("bench_"): name for name in sorted(found)}
    unknown = sorted(set(only) - set(names))
    if unknown:
        message = f"there is no benchmark {', '.join(unknown)}; there are {', '.join(names)}"
        raise SystemExit(message)
    for short, name in names.items():
        if only and short not in only:
            continue
        start = time.perf_counter()
        rows: list[Row] = importlib.import_module(f"tests.benchmarks.{name}").run()
        yield short, rows, time.perf_counter() - start
