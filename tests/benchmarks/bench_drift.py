"""Drift on real images: detection by strength, false alarms of clean windows; and what a large report costs."""

import math
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from tests.benchmarks.table import Row
from wafergate.adapters.evidently import EvidentlyMeter
from wafergate.adapters.images import Examiner
from wafergate.adapters.onnx_detector import OnnxDetector
from wafergate.domain.drift import FEATURES, NOVELTY, DriftCause, DriftPolicy, DriftVerdict, class_feature
from wafergate.domain.models import Decoder
from wafergate.stages.advise import tell_cause
from wafergate.stages.drift import common_limit, feature_table, judge, weigh
from wafergate.stages.novelty import fit, measure

DATA = Path(__file__).parents[3] / "shared" / "data"
SIZE = 320
POOL, PLANTED = 300, 40
WINDOW, DRAWS = 30, 20
CLEAN, REFERENCES = 2000, 20
POLICY = DriftPolicy()
Pixels = NDArray[np.uint8]
"""One channel."""
Change = Callable[[Pixels, np.random.Generator], Pixels]


@dataclass(frozen=True)
class Seen:
    """Images as the camera's features and the model's embedding know them."""

    features: pd.DataFrame
    embeddings: NDArray[np.float32]

    def take(self, places: NDArray[np.int64]) -> "Seen":
        return Seen(self.features.iloc[places].reset_index(drop=True), self.embeddings[places])

    def tables(self, reference: "Seen") -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return reference and self as a report compares them, novelty by a fit on the reference."""
        known = fit(reference.embeddings, np.arange(len(reference.embeddings)))
        new = [measure(known, row[None]) for row in self.embeddings]
        return reference.features.assign(**{NOVELTY: known.trained}), self.features.assign(**{NOVELTY: new})


class KolmogorovSmirnov:
    """SciPy's two-sample test for many windows of one size: its p-value hangs on the statistic alone, so each is kept.

    Evidently calls the same function window by window, which would take hours here; the rows below check that the
    numbers are the same.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], float] = {}

    def __call__(self, reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, float]:
        return {str(name): self._of(reference[name].to_numpy(), current[name].to_numpy()) for name in reference.columns}

    def _of(self, before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
        both = np.concatenate([before, now])
        shares = [np.searchsorted(np.sort(side), both, side="right") / len(side) for side in (before, now)]
        steps = math.lcm(len(before), len(now))
        key = len(before), len(now), round(float(np.abs(shares[0] - shares[1]).max()) * steps)
        if key not in self._known:
            self._known[key] = float(ks_2samp(before, now).pvalue)
        return self._known[key]


scored = KolmogorovSmirnov()


def verdict(reference: pd.DataFrame, current: pd.DataFrame) -> DriftCause | None:
    """Judge a window as a report does; None where it is stable."""
    scores = scored(reference, current)
    features = weigh(scores, reference, current, limit=common_limit([scores], POLICY), policy=POLICY)
    said, _ = judge(features, reference_images=len(reference), current_images=len(current), policy=POLICY)
    return tell_cause(features) if said is DriftVerdict.DRIFTED else None


def look(images: Sequence[Pixels], detector: OnnxDetector) -> Seen:
    """Examine images and let the model look at them."""
    examine, now = Examiner(), datetime(2026, 1, 1, tzinfo=UTC)
    records = [examine(cv2.imencode(".png", image)[1].tobytes(), now=now) for image in images]
    rows = []
    for image in images:
        (said,) = detector([cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)], min_score=0.5)
        assert said.embedding is not None
        rows.append(said.embedding[0])
    return Seen(feature_table(records), np.stack(rows))


def backbone(folder: Path) -> OnnxDetector:
    """Export the public weights as a champion with a frozen backbone would have them."""
    from libreyolo import LibreYOLOX

    from wafergate.adapters.onnx.export import export_module

    model = LibreYOLOX(str(DATA / "weights" / "yolox-nano-coco.pt"), size="n")
    model.model.head.export = True
    path, classes = folder / "model.onnx", [str(place) for place in range(80)]
    export_module(model.model, path, decoder=Decoder.YOLOX, image_size=SIZE, classes=classes)
    return OnnxDetector(path, decoder=Decoder.YOLOX, image_size=SIZE, classes=80)


def gain(factor: float) -> Change:
    return lambda image, _rng: np.clip(image * factor, 0, 255).astype(np.uint8)


def gamma(power: float) -> Change:
    return lambda image, _rng: (255 * (image / 255.0) ** power).astype(np.uint8)


def blur(sigma: float) -> Change:
    return lambda image, _rng: np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def noise(sigma: float) -> Change:
    return lambda image, rng: np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def shift(share: float) -> Change:
    """Move the picture by a share of its width, its edge repeated."""

    def change(image: Pixels, _rng: np.random.Generator) -> Pixels:
        height, width = image.shape
        step = np.array([[1, 0, round(share * width)], [0, 1, round(share * height)]], np.float64)  # whole: no blur
        moved = cv2.warpAffine(image, step, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    return change


def new_class(share: float) -> Change:
    """Draw a ring, which is no class of either set, on a share of the images."""

    def change(image: Pixels, rng: np.random.Generator) -> Pixels:
        if rng.random() >= share:
            return image
        height, width = image.shape
        radius = min(height, width) // 8
        centre = int(rng.integers(radius, width - radius)), int(rng.integers(radius, height - radius))
        level = 255 if float(image.mean()) < 128 else 0
        return np.asarray(cv2.circle(image.copy(), centre, radius, level, max(2, radius // 5)), np.uint8)

    return change


CHANGES: dict[str, tuple[Callable[[float], Change], tuple[float, ...]]] = {
    "gain": (gain, (0.97, 0.9, 0.8)),
    "gamma": (gamma, (1.05, 1.2, 1.5)),
    "blur, px": (blur, (0.4, 0.8, 1.6)),
    "noise, levels": (noise, (1, 3, 6)),
    "shift, of the width": (shift, (0.02, 0.08, 0.2)),
    "new class, of the images": (new_class, (0.1, 0.4, 1.0)),
}


def read_set(pattern: str, count: int) -> tuple[list[Pixels], list[str]]:
    """Return images spread evenly over a set, and the group of each: its folder."""
    paths = sorted(DATA.glob(pattern))
    chosen = [paths[place * len(paths) // count] for place in range(min(count, len(paths)))]
    images = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path in chosen]
    return images, [path.parent.name for path in chosen]


def windows(count: int, draws: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield random windows of `WINDOW` out of so many images."""
    for _ in range(draws):
        yield rng.permutation(count)[:WINDOW]


def false_alarms(title: str, seen: Seen) -> Row:
    """Count drift among clean windows, each reference and its fit drawn anew twenty times."""
    rng, alarms = np.random.default_rng(11), 0
    for _ in range(REFERENCES):
        order = rng.permutation(len(seen.features))
        half = len(order) // 2
        before, clean = seen.take(order[half:]).tables(seen.take(order[:half]))
        for window in windows(len(clean), CLEAN // REFERENCES, rng):
            alarms += verdict(before, clean.iloc[window]) is not None
    per_1000 = 1000 * alarms / CLEAN
    what = f"false alarms per 1,000 of {CLEAN:,} clean windows, {title}"
    return Row(what, f"{per_1000:.2f}", "5", per_1000 / 5, "< 1", "met" if per_1000 < 5 else "missed")


def found(title: str, before: pd.DataFrame, current: pd.DataFrame) -> Row:
    """Tell the share of windows that drifted, and the cause told most often."""
    rng = np.random.default_rng(13)
    causes = [verdict(before, current.iloc[window]) for window in windows(len(current), DRAWS, rng)]
    rate = sum(cause is not None for cause in causes) / len(causes)
    told = Counter(cause.value for cause in causes if cause is not None).most_common(1)
    return Row(f"drift found: {title}", f"{rate:.2f}", "", None, "", told[0][0] if told else "shown")


def planted(title: str, images: Sequence[Pixels], seen: Seen, detector: OnnxDetector) -> Iterator[Row]:
    """Plant each change at each strength into images that the reference does not hold."""
    order = np.random.default_rng(5).permutation(len(images))
    reference, held_out = seen.take(order[PLANTED:]), order[:PLANTED]
    for name, (change, strengths) in CHANGES.items():
        for strength in strengths:
            rng = np.random.default_rng(7)
            after = look([change(strength)(images[place], rng) for place in held_out], detector)
            before, now = after.tables(reference)
            yield found(f"{title}, {name} {strength:g}", before, now)


def products(seen: Seen, groups: Sequence[str]) -> Iterator[Row]:
    """Hold each board group against all others, as a new product on a line that knows the others."""
    named = np.array(groups)
    for group in sorted(set(groups)):
        here = np.flatnonzero(named == group)
        if len(here) >= WINDOW:
            before, now = seen.take(here).tables(seen.take(np.flatnonzero(named != group)))
            yield found(f"DeepPCB, new product {group}", before, now)


def same_numbers(seen: Seen) -> Row:
    """Check the p-values above against Evidently's own on one window."""
    before, now = seen.take(np.arange(100)).tables(seen.take(np.arange(100, 300)))
    theirs, ours = EvidentlyMeter()(before, now, POLICY), scored(before, now)
    apart = max(abs(theirs[name] - ours[name]) for name in ours)
    what = "p-values of these rows / Evidently's, largest difference"
    return Row(what, f"{apart:.1g}", "0", None, "<= 1e-12", "met" if apart <= 1e-12 else "missed")


def large_report(rows: int = 100_000) -> Iterator[Row]:
    """Time a whole report, page included, over generated features; memory is the most this process ever held."""
    rng = np.random.default_rng(1)
    names = [*FEATURES, NOVELTY, "boxes", "score", "box_area", *(class_feature(str(place)) for place in range(6))]
    before = pd.DataFrame({name: rng.normal(size=1000) for name in names})
    now = pd.DataFrame({name: rng.normal(size=rows) for name in names})
    meter = EvidentlyMeter()
    meter(before, before, POLICY)  # its import is not the report's time
    start = perf_counter()
    scores = meter(before, now, POLICY)
    limit = common_limit([scores], POLICY)
    weigh(scores, before, now, limit=limit, policy=POLICY)
    meter.page(before, now, POLICY, threshold=limit)
    seconds = perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    what = f"drift report, {rows:,} rows of {len(names)} features"
    yield Row(f"{what}, s", f"{seconds:.1f}", "60", seconds / 60, "< 1", "met" if seconds < 60 else "missed")
    yield Row(f"{what}, GiB", f"{memory:.2f}", "2", memory / 2, "< 1", "met" if memory < 2 else "missed")


def run() -> list[Row]:
    """Return the rows."""
    rows = list(large_report())
    if not (DATA / "deeppcb").is_dir():
        return [*rows, Row("drift on real images", "", "", None, "", "no real images")]
    with tempfile.TemporaryDirectory() as folder:
        detector = backbone(Path(folder))
        for title, pattern in (("DeepPCB", "deeppcb/**/*_test.jpg"), ("tiles", "magnetic-tile/MT_*/Imgs/*.jpg")):
            images, groups = read_set(pattern, POOL)
            seen = look(images, detector)
            if title == "DeepPCB":
                rows += [same_numbers(seen), *products(seen, groups)]
            rows += [false_alarms(title, seen), *planted(title, images, seen, detector)]
    return rows
