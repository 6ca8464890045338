"""The demo's two acts: first a class too rare to prove its recall, then the labelled images it lacked."""

from pathlib import Path

from wafergate.sample.generate import Batch, Progress, SampleSummary, write_sample

RARE_CLASS = "bridge"

ACT_ONE = Batch(images={"particle": 120, "scratch": 120, "bridge": 12, "void": 120}, normal=72, lots=16)
ARRIVALS = Batch(images={"particle": 10, "scratch": 10, "bridge": 112, "void": 10}, normal=12, lots=12, first_lot=17)


def write_act_one(folder: Path, seed: int, *, on_progress: Progress | None = None) -> SampleSummary:
    """Write a line where `RARE_CLASS` has a dozen images; see `write_sample` for files and errors."""
    return write_sample(folder, seed=seed, batches=(ACT_ONE,), on_progress=on_progress)


def write_act_two(folder: Path, seed: int, *, on_progress: Progress | None = None) -> SampleSummary:
    """Write act one's files unchanged plus new lots, mostly of `RARE_CLASS`; see `write_sample`."""
    return write_sample(folder, seed=seed, batches=(ACT_ONE, ARRIVALS), on_progress=on_progress)
