"""Augmented images per second on one core, operation by operation, against albumentations."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.table import Row
from wafergate.domain.operations import parse_operations
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.pixels import apply_operations

DATA = Path(__file__).parents[3] / "shared" / "data"
REAL = {"boards": "deeppcb/**/*_test.jpg", "tiles": "magnetic-tile/MT_Blowhole/**/*.jpg"}
ROUNDS = 7
ROUND_SECONDS = 0.03
Pixels = NDArray[np.uint8]
Work = Callable[[Pixels], object]


def _peers(width: int, height: int) -> dict[str, tuple[Sequence[str], Any]]:
    """Return by operation our texts, used in turn, and the peer's transform that does the same with the same numbers.

    A composite has no peer. The elastic change is the nearest one: theirs displaces by smoothed noise.
    """
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # on import it would ask a server for its newest version
    import albumentations as peer

    x, y, low, high = width // 8, height // 8, 7 * width // 8, 7 * height // 8
    mirror = {"border_mode": cv2.BORDER_REFLECT, "p": 1}
    light = partial(peer.RandomBrightnessContrast, p=1)
    # a share of columns moved per row is the tangent of their angle
    slant = float(np.degrees(np.arctan(0.1)))
    return {
        "flip_horizontal": (["flip_horizontal"], peer.HorizontalFlip(p=1)),
        "flip_vertical": (["flip_vertical"], peer.VerticalFlip(p=1)),
        "turns": (["turn_90", "turn_180", "turn_270", ""], peer.RandomRotate90(p=1)),
        "crop": ([f"crop:{x},{y},{low},{high}"], peer.Crop(x, y, low, high, p=1)),
        "shift": (["shift:20,-10"], peer.Affine(translate_px={"x": 20, "y": -10}, interpolation=0, **mirror)),
        "brightness": (["brightness:12"], light(brightness_limit=(12 / 255,) * 2, contrast_limit=(0, 0))),
        "contrast": (["contrast:1.2"], peer.ColorJitter((1, 1), (1.2, 1.2), (1, 1), (0, 0), p=1)),
        "gamma": (["gamma:1.15"], peer.RandomGamma((115, 115), p=1)),
        "blur": (["blur:0.7"], peer.GaussianBlur(blur_limit=0, sigma_limit=(0.7, 0.7), p=1)),
        "noise": (["noise:3.5,7"], peer.GaussNoise((3.5 / 255,) * 2, per_channel=False, p=1)),
        "uneven_light": (
            ["uneven_light:0.15,30"],
            peer.Illumination(mode="linear", intensity_range=(0.15, 0.15), angle_range=(30, 30), p=1),
        ),
        "rotate": (["rotate:5"], peer.Affine(rotate=5, **mirror)),
        "shear": (["shear:0.1"], peer.Affine(shear={"x": slant, "y": 0}, **mirror)),
        "elastic": (["elastic:4,120,1,2"], peer.ElasticTransform(alpha=4, sigma=20, p=1)),
    }


def _ours(texts: Sequence[str]) -> Work:
    every = [parse_operations([text] if text else []) for text in texts]
    calls = 0

    def work(image: Pixels) -> object:
        nonlocal calls
        calls += 1
        return apply_operations(every[calls % len(every)], image)

    return work


def _seconds(one: Work, other: Work, image: Pixels) -> tuple[float, float]:
    """Return the processor time of one image each, the least of rounds in turn: a busy machine slows both alike."""
    calls = []
    for work in (one, other):
        start = time.process_time()
        for _ in range(4):
            work(image)
        # whole fours, so that turns by 0, 90, 180 and 270 degrees come equally often
        calls.append(4 * max(1, round(ROUND_SECONDS / max(time.process_time() - start, 1e-6))))
    least = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for place, work in enumerate((one, other)):
            start = time.process_time()
            for _ in range(calls[place]):
                work(image)
            least[place] = min(least[place], (time.process_time() - start) / calls[place])
    return least[0], least[1]


def _rows(title: str, image: Pixels) -> Iterator[Row]:
    height, width = image.shape[:2]
    sums = [0.0, 0.0]
    for name, (texts, transform) in _peers(width, height).items():
        own, theirs = _seconds(_ours(texts), lambda image, of=transform: of(image=image)["image"], image)
        sums = [sums[0] + own, sums[1] + theirs]
        yield _row(f"augment, {title}, {name}, images/s", 1 / own, 1 / theirs)
    count = len(_peers(width, height))
    yield _row(f"augment, {title}, one of each, images/s", count / sums[0], count / sums[1])


def _row(what: str, own: float, theirs: float) -> Row:
    ratio = own / theirs
    return Row(what, f"{own:.0f}", f"{theirs:.0f}", ratio, ">= 1", "met" if ratio >= 1 else "missed")


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep every library of this process, numpy's included, on one core."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        cv2.setNumThreads(before)


def _images() -> Iterator[tuple[str, Pixels]]:
    for title, pattern in REAL.items():
        path = next(iter(sorted(DATA.glob(pattern))), None)
        if path:
            yield title, np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)
    with TemporaryDirectory() as folder:
        write_sample(Path(folder), seed=0, batches=[Batch(images={}, normal=1, lots=1)])
        path = next(path for path in Path(folder).rglob("*.png") if "golden" not in path.stem)
        yield "sample", np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)


def run() -> list[Row]:
    """Return the rows of this benchmark: the real sets that are there, and the generated sample."""
    with _one_core():
        return [row for title, image in _images() for row in _rows(f"{title} {image.shape[1]} px", image)]
