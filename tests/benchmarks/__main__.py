"""Run the benchmarks and print one table: `python -m tests.benchmarks [NAME …]`."""

import sys

from tests.benchmarks.table import Row, collect, render


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them, telling each as it ends."""
    rows: list[Row] = []
    for name, found, seconds in collect(names):
        print(f"{name}: {len(found)} rows in {seconds:.1f} s", file=sys.stderr, flush=True)  # noqa: T201
        rows.extend(found)
    print(render(rows))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
