"""The splitter at size: a generated set with a long tail and lots, against a random split of the same groups."""

import time

import numpy as np

from tests.benchmarks.table import Row
from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.domain.splits import Assignment, Side, SplitPolicy
from wafergate.stages.leaks import check_leaks, item_of_sample
from wafergate.stages.split import split

IMAGES, GROUPS, CLASSES = 150_000, 60_000, 20
LIMIT_S = 10.0


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


def random_evenness(samples: list[Sample], groups: list[str], names: list[str], share: float) -> float:
    """Median evenness of the test set over five random splits by group that put the same share into test."""
    order = {name: place for place, name in enumerate(names)}
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        chosen = {group for group in sorted(set(groups)) if rng.random() < share}
        counts = np.zeros(len(names))
        for sample, group in zip(samples, groups, strict=True):
            if group in chosen:
                for name in sample.classes:
                    counts[order[name]] += 1
        found.append(counts.max() / max(counts.min(), 1))
    return float(np.median(found))


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
    """Measure seconds, proof and evenness of one split, and the leak check over its result."""
    samples, groups, names = long_tail(0)
    start = time.perf_counter()
    found = split(samples, groups, names, SplitPolicy())
    seconds = time.perf_counter() - start
    evenness = found.evenness[Side.TEST]
    peer = random_evenness(samples, groups, names, found.images[Side.TEST] / len(samples))
    leak_seconds, crossing = _leak_seconds(samples, found)
    proven = "proven" if found.optimal and not found.gap else f"gap {found.gap:.1%}"
    met = found.optimal and seconds < LIMIT_S
    return [
        Row(
            f"split, 150,000 images, 60,000 groups, 20 classes ({proven}), s",
            f"{seconds:.2f}",
            f"{LIMIT_S:g}",
            seconds / LIMIT_S,
            "< 1",
            "met" if met else "missed",
        ),
        Row(
            "evenness of test, against random groups",
            f"{evenness:.2f}",
            f"{peer:.1f}",
            peer / evenness,
            "1 (ours)",
            "met" if evenness == 1 else "missed",
        ),
        Row(
            f"leak check of that split, {crossing} edges, s",
            f"{leak_seconds:.2f}",
            f"{LIMIT_S:g}",
            leak_seconds / LIMIT_S,
            "< 1",
            "met" if leak_seconds < LIMIT_S and not crossing else "missed",
        ),
    ]
