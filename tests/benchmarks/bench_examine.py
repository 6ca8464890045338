"""Examining real images against bare decode + SHA-256 and cleanvision's issue scan."""

import contextlib
import hashlib
import importlib
import importlib.util
import io
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from tests.benchmarks.table import Row
from wafergate.adapters.images import Examiner

DATA = Path(__file__).parents[3] / "shared" / "data"
THREADS = 2
TARGET = 0.5
ROUNDS, CHUNKS = 24, 6
Item = TypeVar("Item")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _bare(data: bytes) -> None:
    hashlib.sha256(data).hexdigest()
    cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)


def _seconds(work: Callable[[Item], object], files: Sequence[Item], pool: ThreadPoolExecutor) -> float:
    start = time.perf_counter()
    for _ in pool.map(work, files):
        pass
    return time.perf_counter() - start


def _against_bare(title: str, paths: Sequence[Path]) -> Row:
    """Compare in short alternating rounds, so that whatever else runs on the machine meets both; medians count."""
    files = [path.read_bytes() for path in paths]
    examine = Examiner()
    pairs = []
    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(ROUNDS):
            chunk = files[number % CHUNKS :: CHUNKS]
            bare = _seconds(_bare, chunk, pool) / len(chunk)
            pairs.append((bare, _seconds(lambda data: examine(data, now=NOW), chunk, pool) / len(chunk)))
    peer, ours = (1 / statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(bare / own for bare, own in pairs)
    verdict = "met" if ratio >= TARGET else "missed"
    what = f"examine {title} / bare decode + SHA-256, images/s"
    return Row(what, f"{ours:.0f}", f"{peer:.0f}", ratio, f">= {TARGET}", verdict)


def _against_cleanvision(paths: Sequence[Path]) -> Row:
    what = "examine tiles / cleanvision, images/s, from disk"
    if importlib.util.find_spec("cleanvision") is None:
        return Row(f"{what} (pip install cleanvision)", "", "", None, ">= 8", "no peer")
    imagelab = importlib.import_module("cleanvision").Imagelab  # a peer that is not among our dependencies

    examine = Examiner()

    def from_disk(path: Path) -> object:
        return examine(path.read_bytes(), now=NOW, name=path.name)

    with ThreadPoolExecutor(THREADS) as pool:
        ours = len(paths) / statistics.median(_seconds(from_disk, paths, pool) for _ in range(5))
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        imagelab(filepaths=[str(path) for path in paths]).find_issues(n_jobs=THREADS, verbose=False)
    peer = len(paths) / (time.perf_counter() - start)
    return Row(what, f"{ours:.0f}", f"{peer:.0f}", ours / peer, ">= 8", "met" if ours / peer >= 8 else "missed")


def run() -> list[Row]:
    """Return the rows of this benchmark; a set that is not there gives a row that says so."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the pool has the cores; OpenCV's own threads would only fight it, on both sides
    rows = []
    try:
        for title, pattern in (
            ("tiles", "magnetic-tile/**/*.jpg"),
            ("boards", "deeppcb/**/*_test.jpg"),
        ):
            paths = sorted(DATA.glob(pattern))
            rows.append(_against_bare(title, paths) if paths else Row(f"examine {title}", "", "", None, "", "no data"))
        tiles = sorted(DATA.glob("magnetic-tile/**/*.jpg"))
        if tiles:
            rows.append(_against_cleanvision(tiles))
    finally:
        cv2.setNumThreads(threads)
    return rows
