"""The splitter on both real sets and at size, against iterative stratification and random groups."""

import importlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.table import Row
from wafergate.adapters.source import open_source
from wafergate.domain.geometry import Box
from wafergate.domain.identity import digest_of
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.domain.splits import Assignment, Side, SplitPolicy
from wafergate.jobs.ingest import read_source
from wafergate.line import load_line
from wafergate.stages.group import assign_groups
from wafergate.stages.leaks import check_leaks, item_of_sample
from wafergate.stages.split import split

IMAGES, GROUPS, CLASSES = 150_000, 60_000, 20
LIMIT_S = 10.0
SEEDS = 5
DATA = Path(__file__).parents[3] / "shared" / "data"
LINES = Path(__file__).parents[1] / "data"
REAL = (("magnetic tiles", "tiles.toml", "magnetic-tile", "masks"), ("DeepPCB", "pcb.toml", "deeppcb", "deeppcb"))
Counts = NDArray[np.int64]
Chooser = Callable[[Counts, float, int], Counts]
"""Chooses group indices for a test of a given share, from `(groups, classes)` counts and a seed."""


def long_tail(seed: int) -> tuple[list[Sample], list[str], list[str]]:
    """Generate samples, groups and classes; each class has 0.8 of the one before, and a lot repeats its own defect."""
    rng = np.random.default_rng(seed)
    names = [f"class{n:02d}" for n in range(CLASSES)]
    labels = [LabelledBox(name, name, Box(0, 0, 8, 8)) for name in names]
    weights = 0.8 ** np.arange(CLASSES)
    weights /= weights.sum()
    group = rng.integers(0, GROUPS, IMAGES)
    defects = np.where(rng.random(IMAGES) < 0.5, 1 + rng.poisson(0.4, IMAGES), 0)
    owner = np.repeat(group, defects)
    typical = rng.choice(CLASSES, GROUPS, p=weights)[owner]
    drawn = np.where(rng.random(len(owner)) < 0.5, typical, rng.choice(CLASSES, len(owner), p=weights))
    edges = np.concatenate([[0], np.cumsum(defects)])
    samples = [
        Sample("d", n, f"i{n}", f"{n:064x}", None, 64, 64, tuple(labels[c] for c in drawn[a:b].tolist()), {})
        for n, (a, b) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    ]
    return samples, [f"lot{number:05d}" for number in group.tolist()], names


def by_chance(held: Counts, share: float, seed: int) -> Counts:
    """Put each group into test with the probability of the share."""
    return np.flatnonzero(np.random.default_rng(seed).random(len(held)) < share)


def by_stratification(held: Counts, share: float, seed: int) -> Counts:
    """Let iterative stratification (Sechidis et al. 2011) choose groups by the classes they hold."""
    splitter = importlib.import_module("iterstrat.ml_stratifiers").MultilabelStratifiedShuffleSplit
    chosen = splitter(n_splits=1, test_size=share, random_state=seed).split(held, held > 0)
    return np.asarray(next(chosen)[1], np.int64)


def peer_evenness(
    samples: Sequence[Sample], found: Assignment, names: Sequence[str], choose: Chooser, seeds: int
) -> tuple[float, float]:
    """Median evenness of the test sets a peer chooses at our share of images, and seconds for one."""
    column = {name: place for place, name in enumerate(names)}
    groups = {name: place for place, name in enumerate(sorted(set(found.groups)))}
    held = np.zeros((len(groups), len(names)), np.int64)
    for sample, group in zip(samples, found.groups, strict=True):
        for name in sample.classes:
            held[groups[group], column[name]] += 1
    share = found.images[Side.TEST] / len(samples)
    start = time.perf_counter()
    tests = [held[choose(held, share, seed)].sum(axis=0) for seed in range(seeds)]
    seconds = (time.perf_counter() - start) / seeds
    return float(np.median([counts.max() / max(counts.min(), 1) for counts in tests])), seconds


def _evenness_rows(title: str, samples: Sequence[Sample], found: Assignment, names: Sequence[str]) -> list[Row]:
    ours = found.evenness[Side.TEST]
    rows = []
    for peer, module, choose in (
        ("iterative-stratification", "iterstrat", by_stratification),
        ("random groups", "numpy", by_chance),
    ):
        what = f"test evenness (largest / smallest class), {title}, against {peer}"
        if importlib.util.find_spec(module) is None:
            rows.append(Row(what, f"{ours:.2f}", "", None, "1 (ours)", "not installed"))
            continue
        # one seed is enough where a single call takes long
        theirs, _ = peer_evenness(samples, found, names, choose, SEEDS if len(samples) < IMAGES else 1)
        met = "met" if ours == 1 else "missed"
        rows.append(Row(what, f"{ours:.2f}", f"{theirs:.2f}", theirs / ours, "1 (ours)", met))
    return rows


def _real(title: str, file: str, folder: str, reader: str) -> list[Row]:
    if not (DATA / folder).is_dir():
        return [Row(f"test evenness, {title}", "", "", None, "1 (ours)", "no data")]
    line = load_line(LINES / file)
    raw, _ = read_source(line, open_source(DATA / folder), reader)
    labels = line.taxonomy.resolve((box.label for item in raw for box in item.boxes), line.classes)
    samples = [
        Sample(
            "d",
            place,
            item.name,
            digest_of(item.name),
            None,
            64,
            64,
            tuple(LabelledBox(box.label, labels[box.label], box.box) for box in item.boxes),
            dict(item.metadata),
        )
        for place, item in enumerate(raw)
    ]
    start = time.perf_counter()
    found = split(samples, assign_groups(samples, line.split), line.classes, line.split)
    seconds = time.perf_counter() - start
    proven = "proven" if found.optimal and not found.gap else f"gap {found.gap:.1%}"
    level = min(found.counts[Side.TEST].values())
    met = "met" if found.optimal and seconds < LIMIT_S else "missed"
    what = (
        f"split {title}, {len(samples)} images, {len(set(found.groups))} groups ({proven}, {level} of every class), s"
    )
    time_row = Row(what, f"{seconds:.2f}", f"{LIMIT_S:g}", round(seconds / LIMIT_S, 3), "< 1", met)
    return [time_row, *_evenness_rows(title, samples, found, line.classes)]


def _leak_seconds(samples: list[Sample], found: Assignment) -> tuple[float, int]:
    sides: dict[Side, list[Sample]] = {side: [] for side in Side}
    group_of = {}
    for sample, group, side in zip(samples, found.groups, found.sides, strict=True):
        sides[side].append(sample)
        group_of[sample.name] = group
    items = [
        [item_of_sample(s, group_of[s.name]) for s in sides[side]] for side in (Side.TRAIN, Side.VALIDATION, Side.TEST)
    ]
    start = time.perf_counter()
    proof = check_leaks(*items)
    return time.perf_counter() - start, proof.cross_edges


def run() -> list[Row]:
    """Measure seconds, proof and evenness of both real sets and of one at size, and the leak check over its result."""
    real = [row for case in REAL for row in _real(*case)]
    samples, groups, names = long_tail(0)
    start = time.perf_counter()
    found = split(samples, groups, names, SplitPolicy())
    seconds = time.perf_counter() - start
    leak_seconds, crossing = _leak_seconds(samples, found)
    proven = "proven" if found.optimal and not found.gap else f"gap {found.gap:.1%}"
    met = found.optimal and seconds < LIMIT_S
    return [
        *real,
        Row(
            f"split, 150,000 images, 60,000 groups, 20 classes ({proven}), s",
            f"{seconds:.2f}",
            f"{LIMIT_S:g}",
            seconds / LIMIT_S,
            "< 1",
            "met" if met else "missed",
        ),
        *_evenness_rows("150,000 images", samples, found, names),
        Row(
            f"leak check of that split, {crossing} edges, s",
            f"{leak_seconds:.2f}",
            f"{LIMIT_S:g}",
            leak_seconds / LIMIT_S,
            "< 1",
            "met" if leak_seconds < LIMIT_S and not crossing else "missed",
        ),
    ]
