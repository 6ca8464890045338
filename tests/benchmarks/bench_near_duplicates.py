"""Near codes against brute force, a limit of time and of memory; the same part planted again in real images."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.table import Row
from wafergate.domain.codes import close_pairs
from wafergate.domain.near_duplicates import LikenessPolicy
from wafergate.stages.near_duplicates import candidates, codes_of, compare, shrink

DATA = Path(__file__).parents[3] / "shared" / "data"
POLICY = LikenessPolicy()
EVERY = 26  # even places only: what the check forgives was chosen on odd ones
Grey = NDArray[np.uint8]
Pair = tuple[Grey, Grey]

_MILLION = """
import resource, sys, time
from tests.benchmarks.bench_near_duplicates import planted
from wafergate.domain.codes import close_pairs
codes = planted(int(sys.argv[1]))
start = time.perf_counter()
pairs = sum(len(chunk) for chunk in close_pairs(codes))
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, pairs)
"""


def planted(count: int, seed: int = 0) -> NDArray[np.uint64]:
    """Return random codes, a tenth of them again with up to four bits turned over."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, count, dtype=np.uint64)
    again = count // 10
    codes[-again:] = codes[:again]
    for _ in range(4):
        codes[-again:] ^= np.uint64(1) << rng.integers(0, 64, again, dtype=np.uint64)
    return codes


def _found(codes: NDArray[np.uint64]) -> tuple[set[tuple[int, int]], float]:
    start = time.perf_counter()
    pairs = [(int(a), int(b)) for chunk in close_pairs(codes) for a, b in chunk]
    return set(pairs), time.perf_counter() - start


def _by_force(codes: list[int]) -> tuple[set[tuple[int, int]], float]:
    """Compare all with all, as imagededup's BruteForce does, without its threads and its overhead."""
    start = time.perf_counter()
    near = {(a, b) for a, b in combinations(range(len(codes)), 2) if (codes[a] ^ codes[b]).bit_count() <= POLICY.radius}
    return near, time.perf_counter() - start


def _searches() -> Iterator[Row]:
    few, many = planted(3_000), planted(100_000)
    forced, seconds = _by_force(few.tolist())
    same = _found(few)[0] == forced
    yield Row("near codes, pairs as brute force, 3,000 codes", "same" if same else "other", f"{len(forced)} pairs",
              None, "same", "met" if same else "missed")  # fmt: skip
    scaled = seconds * (len(many) / len(few)) ** 2
    own = _found(many)[1]
    ratio = scaled / own
    yield Row("near codes, 100,000 / plain brute force (3,000, scaled by the square), s", f"{own:.2f}",
              f"{scaled:.0f}", ratio, ">= 300", "met" if ratio >= 300 else "missed")  # fmt: skip
    command = [sys.executable, "-c", _MILLION, "1000000"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    took, memory = map(float, done.stdout.split()[:2])
    yield Row("near codes, 1,000,000 / limit, s", f"{took:.1f}", "60", took / 60, "<= 1",
              "met" if took <= 60 else "missed")  # fmt: skip
    yield Row("near codes, 1,000,000: peak memory / limit, MiB", f"{memory:.0f}", "1024", memory / 1024, "<= 1",
              "met" if memory <= 1024 else "missed")  # fmt: skip


def _curve(image: Grey, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Grey:
    table = np.clip(change(np.arange(256) / 255) * 255, 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def _jpeg(image: Grey, quality: int) -> Grey:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [1, quality])[1], 0), np.uint8)


def _moved(image: Grey, pixels: int) -> Pair:
    margin = 5
    height, width = image.shape
    there = image[margin + pixels : height - margin + pixels, margin : width - margin]
    return image[margin:-margin, margin:-margin], there


def _again(image: Grey) -> Iterator[Pair]:
    """Yield the ways in which a part is seen again, always in the same order."""
    for gain in (0.7, 1.3):
        yield image, _curve(image, lambda level, by=gain: level * by)
    for gamma in (0.7, 1.4):
        yield image, _curve(image, lambda level, by=gamma: level**by)
    yield image, _jpeg(image, 50)
    for scale in (0.5, 1.25):
        yield image, np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    for pixels in range(1, 6):
        yield _moved(image, pixels)


def _found_again(images: Sequence[Grey]) -> list[bool]:
    """Tell of each image seen again whether its pair is found, one way at a time: all that were seen so in one search.

    One search over many images, as a job makes it; a search for each pair would spend itself on its empty tables.
    """
    found = []
    for pairs in zip(*map(_again, images), strict=True):
        copies = [shrink(view) for pair in pairs for view in pair]
        near = set(map(tuple, candidates(np.stack([codes_of(copy) for copy in copies]), POLICY).tolist()))
        found += [(at, at + 1) in near and _is_same(copies[at], copies[at + 1]) for at in range(0, len(copies), 2)]
    return found


def _is_same(one: Grey, other: Grey) -> bool:
    correlation, difference = compare(one, other)
    return correlation >= POLICY.correlation and difference <= POLICY.difference


def _real(title: str, pattern: str) -> Iterator[Row]:
    paths = sorted(DATA.glob(pattern))
    if not paths:
        yield Row(f"near-duplicates, {title}", "", "", None, "", "no data")
        return
    images = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path in paths]
    found = _found_again(images[::EVERY])
    rate = float(np.mean(found))
    yield Row(f"near-duplicates planted in {title}, found / planted", str(sum(found)), str(len(found)), rate,
              ">= 0.99", "met" if rate >= 0.99 else "missed")  # fmt: skip
    copies = [shrink(image) for image in images]
    near = candidates(np.stack([codes_of(copy) for copy in copies]), POLICY).tolist()
    joined = sum(_is_same(copies[a], copies[b]) for a, b in near)
    yield Row(f"{title}: pairs joined / near by hash, {len(images)} images", str(joined), str(len(near)),
              joined / max(len(near), 1), "", "shown")  # fmt: skip


def run() -> list[Row]:
    """Return the rows of this benchmark; a set that is not there gives a row that says so."""
    rows = list(_searches())
    cv2.setNumThreads(1)  # small copies: threads cost more than they bring
    for title, pattern in (("boards", "deeppcb/**/*_test.jpg"), ("tiles", "magnetic-tile/**/*.jpg")):
        rows += _real(title, pattern)
    return rows
