"""Inspection end to end (read, decode, infer, write to PostgreSQL) against each backend's own predict, in one run.

Weights are random for YOLO11n, whose speed does not depend on them, and COCO's for YOLOX-nano; thresholds are set so
that some twenty detections an image count and both sides are asked down to the same score: random weights give every
anchor nearly one score, so that half of it would be asked of all. The image files themselves go to a store in memory,
not to S3.
"""

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests import rows
from tests.benchmarks.bench_inspections import LINE, database
from tests.benchmarks.table import Row
from tests.unit.small_line import line_of, parts_in
from wafergate.adapters.onnx.export import export_module
from wafergate.adapters.onnx.runtimes import OpenModel, open_model
from wafergate.adapters.onnx_detector import serving_loaders
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections
from wafergate.adapters.source import FolderSource
from wafergate.domain.evaluation import Detections
from wafergate.domain.models import Channels, Decoder
from wafergate.domain.samples import RawSample
from wafergate.domain.serving import Runtime, ServeProfile, compare_runtimes
from wafergate.jobs.inspect_lot import CHUNK, Inspector, inspect_chunk
from wafergate.jobs.parts import Parts

DATA = Path(__file__).parents[3] / "shared" / "data"
IMAGES, SHOWN, ROUNDS = CHUNK, 24, 2
"""Ours and the bare models compute a chunk, so that what a chunk costs once weighs as it does; peers see fewer."""
RUNTIMES = (Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.OPENVINO_BF16)
"""Inspection takes the faster of the first two by itself; bfloat16 it takes only where a line file names it."""
CLASSES = tuple(f"class {number}" for number in range(80))
NUMBERS = count()
Peer = Callable[[Sequence[Path], float], list[Detections]]


@dataclass(frozen=True)
class Pair:
    """A model exported by us, and what its own backend's predict says."""

    name: str
    onnx: Path
    size: int
    decoder: Decoder
    peer: Peer


def _ultralytics(folder: Path) -> Pair:
    os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(folder)}
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO("yolo11n.yaml")
    head = model.model.model[-1]
    for branch in head.cv3:
        branch[-1].bias.data += 9  # random heads start at scores of 1e-5, below which predict looks at nothing
    saved = folder / "yolo11n.pt"
    model.save(saved)
    exported = YOLO(saved).model.fuse(verbose=False).eval()
    exported.model[-1].export, exported.model[-1].format = True, "onnx"
    export_module(exported, folder / "yolo11n.onnx", decoder=Decoder.YOLO, image_size=640, classes=list(CLASSES))
    own = YOLO(saved)

    def predict(paths: Sequence[Path], least: float) -> list[Detections]:
        told = own.predict([str(path) for path in paths], imgsz=640, conf=least, iou=0.6, device="cpu", verbose=False)
        return [_said(item.boxes) for item in told]

    return Pair("YOLO11n, 640 px", folder / "yolo11n.onnx", 640, Decoder.YOLO, predict)


def _libreyolo(folder: Path) -> Pair:
    from libreyolo import LibreYOLOX

    weights = str(DATA / "weights" / "yolox-nano-coco.pt")
    exported = LibreYOLOX(weights, size="n", device="cpu").model.eval()
    exported.head.export = True
    export_module(exported, folder / "yolox.onnx", decoder=Decoder.YOLOX, image_size=416, classes=list(CLASSES))
    own = LibreYOLOX(weights, size="n", device="cpu")

    def predict(paths: Sequence[Path], least: float) -> list[Detections]:
        return [_said(own(str(path), conf=least, iou=0.6, imgsz=416).boxes) for path in paths]

    return Pair("YOLOX-nano, 416 px", folder / "yolox.onnx", 416, Decoder.YOLOX, predict)


def _said(boxes: Any) -> Detections:
    corners, scores, classes = (np.asarray(item) for item in (boxes.xyxy, boxes.conf, boxes.cls))
    return Detections(corners.astype(np.float32).reshape(-1, 4), scores.astype(np.float32), classes.astype(np.int64))


def _threshold(pair: Pair, detector: Any, images: Sequence[Any]) -> float:
    """Return the score that some twenty detections an image reach."""
    scores = np.concatenate([item.scores for item in detector(images, min_score=1e-4)])
    return float(np.sort(scores)[-min(20 * len(images), len(scores))])


def _measure(pair: Pair, address: str, folder: Path, paths: Sequence[Path]) -> Iterator[Row]:
    images = [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]
    model = replace(
        rows.model(LINE, "a"), id=f"model-{next(NUMBERS)}-{pair.size}", classes=CLASSES, channels=Channels.IMAGE,
        image_size=pair.size, decoder=pair.decoder, thresholds=dict.fromkeys(CLASSES, 0.5), operating=(),
    )  # fmt: skip
    loaders = serving_loaders(ServeProfile())
    detectors = {runtime: loaders[runtime](model, pair.onnx) for runtime in RUNTIMES if runtime in loaders}
    least = _threshold(pair, detectors[Runtime.ONNXRUNTIME], images[:8])
    model = replace(model, thresholds=dict.fromkeys(CLASSES, least))
    bare = {
        runtime: open_model(pair.onnx.read_bytes(), name=pair.name, runtime=runtime, side_by_side=True)
        for runtime in detectors
    }
    with closing(PostgresFacts(address, clock=lambda: datetime.now(UTC))) as facts:
        facts.save(rows.dataset(LINE))
        facts.save(model)
        inspections = PostgresInspections(address, clock=lambda: datetime.now(UTC))
        parts = replace(parts_in(folder / pair.onnx.stem), facts=facts, inspections=inspections)
        best: dict[str, float] = {}
        for _ in range(ROUNDS):  # in turns, so that whatever else runs on the machine meets all of them
            best["peer"] = max(best.get("peer", 0), _rate(SHOWN, lambda: pair.peer(paths[:SHOWN], least)))
            for runtime, opened in bare.items():
                name = f"bare {runtime}"
                best[name] = max(best.get(name, 0), _bare(opened, pair.size))
                inspector = Inspector(model, detectors[runtime], least, _tell_nothing)
                best[runtime] = max(best.get(runtime, 0), _end_to_end(parts, inspector, paths, folder))
        inspections.close()
    peer = pair.peer(paths[:SHOWN], 0.98 * least)
    for runtime in bare:
        found = compare_runtimes(
            peer, detectors[runtime](images[:SHOWN], min_score=0.98 * least), [least] * len(CLASSES)
        )
        share = 1 - found.differing / max(1, found.detections)
        yield _row(f"inspect {pair.name}, {runtime} ({share:.1%} equal boxes) / own predict", best, runtime, "peer", 5)
        yield _row(f"inspect {pair.name} / bare {runtime}", best, runtime, f"bare {runtime}", 0.8)


def _row(what: str, best: dict[str, float], ours: str, peer: str, target: float) -> Row:
    ratio = best[ours] / best[peer]
    verdict = "met" if ratio >= target else "missed"
    return Row(f"{what}, images/s", f"{best[ours]:.1f}", f"{best[peer]:.1f}", ratio, f">= {target}", verdict)


def _rate(images: int, work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return images / (time.perf_counter() - begun)


def _bare(model: OpenModel, size: int) -> float:
    """Compute noise by nothing but the model, on as many threads as ours; return images a second."""
    fed = np.random.default_rng(0).random((1, 3, size, size), np.float32)
    with ThreadPoolExecutor(max(1, model.lanes)) as pool:
        return _rate(IMAGES, lambda: deque(pool.map(lambda _: model.run(fed), range(IMAGES)), maxlen=0))


def _tell_nothing(_said: Detections, *, image: str = "") -> None:
    """Stand in for novelty, which the peers do not measure."""
    del image


def _end_to_end(parts: Parts, inspector: Inspector, paths: Sequence[Path], folder: Path) -> float:
    """Inspect the files under names nobody has seen; return images a second."""
    lot = folder / f"lot{next(NUMBERS)}"
    lot.mkdir()
    for path in paths:
        (lot / f"{lot.name}-{path.name}").write_bytes(path.read_bytes())
    source = FolderSource(lot)
    line = line_of()
    line = line.model_copy(update={"line": line.line.model_copy(update={"name": LINE})})
    chunk = [RawSample(name) for name in source.names()]
    return _rate(len(chunk), lambda: inspect_chunk(parts, line, source, inspector, chunk))


def run() -> list[Row]:
    """Return the rows of this benchmark; a set that is not there gives a row that says so."""
    paths = sorted(DATA.glob("deeppcb/**/*_test.jpg"))[::3][:IMAGES]
    if not paths:
        return [Row("inspect", "", "", None, "", "no data")]
    found = []
    with tempfile.TemporaryDirectory() as made, database() as address:
        for build in (_ultralytics, _libreyolo):
            found += list(_measure(build(Path(made)), address, Path(made), paths))
    return found
