"""Inspection on Dask: two workers with a thread each against one."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tests import rows
from tests.benchmarks.table import Row
from wafergate import wiring
from wafergate.domain.gate import Champion, LedgerKind
from wafergate.domain.models import Channels, Decoder
from wafergate.line import LineFile, parse_line

LINE = '[line]\nname = "dask"\nclasses = ["scratch"]\n[hardware.serve]\nruntime = "onnxruntime"\n'
SIZE = 640
IMAGES = 384
ROUNDS = 2
TARGET = 1.7


@contextmanager
def services() -> Iterator[None]:
    """Run PostgreSQL, S3 and Prefect in a folder of their own."""
    home = Path(tempfile.mkdtemp(prefix="wafergate-bench-"))
    os.environ["WAFERGATE_HOME"] = str(home)
    try:
        wiring.start_services(lambda _part, _message: None)
        wiring.point_prefect(wiring.settings())
        yield
    finally:
        wiring.stop_services(lambda _part, _message: None)
        shutil.rmtree(home, ignore_errors=True)
        del os.environ["WAFERGATE_HOME"]


def crowned(folder: Path) -> LineFile:
    """Return a line whose champion is YOLO11n at 640 px with weights drawn at random: as much work as any other."""
    from ultralytics.nn.modules.head import Detect
    from ultralytics.nn.tasks import DetectionModel

    from wafergate.adapters.onnx.export import export_module

    model = DetectionModel("yolo11n.yaml", nc=1, verbose=False).eval().fuse(verbose=False)
    for module in model.modules():
        if isinstance(module, Detect):
            module.export, module.format, module.dynamic = True, "onnx", False
    export_module(model, folder / "model.onnx", decoder=Decoder.YOLO, image_size=SIZE, classes=["scratch"])
    parts, line = wiring.open_parts(), parse_line(LINE, folder / "dask.toml")
    made = replace(
        rows.model(line.name, "a"), onnx=parts.files.put((folder / "model.onnx").read_bytes()), decoder=Decoder.YOLO,
        image_size=SIZE, channels=Channels.IMAGE, classes=("scratch",), thresholds={"scratch": 0.5},
    )  # fmt: skip
    decision = rows.decision(line.name, "a")
    before = (rows.dataset(line.name), rows.split(line.name), rows.training_set(line.name))
    for row in (*before, made, rows.evaluation(line.name, "a"), decision):
        parts.facts.save(row)
    crown = Champion(line.name, made.id, decision.id, "bench", "measured", parts.clock())
    parts.facts.promote(crown, kind=LedgerKind.PROMOTED, details={})
    return line


def draw() -> list[bytes]:
    """Return JPEG files of 640 px with flat areas and edges."""
    random = np.random.default_rng(5)
    coarse = (random.integers(0, 255, (20, 20, 3), np.uint8) for _ in range(IMAGES))
    large = (cv2.resize(cells, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST) for cells in coarse)
    return [cv2.imencode(".jpg", pixels)[1].tobytes() for pixels in large]


def seconds(line: LineFile, files: list[bytes], folder: Path, scheduler: str) -> float:
    """Inspect the files as a lot of their own on a scheduler's workers; return how long it took."""
    from flows.hands import hands_on
    from wafergate.jobs.inspect_lot import inspect_lot

    folder.mkdir(parents=True)
    for number, data in enumerate(files):
        (folder / f"{folder.name}_{number:04d}.jpg").write_bytes(data)
    source, hands = wiring.open_source(str(folder)), hands_on(line, str(folder), scheduler)
    begun = time.perf_counter()
    inspect_lot(wiring.open_parts(), line, source, "images", chunk=32, hands=hands)
    return time.perf_counter() - begun


def run() -> list[Row]:
    """Return the rows of this benchmark."""
    folder = Path(tempfile.mkdtemp(prefix="wafergate-bench-"))
    try:
        with services(), ExitStack() as stack:
            from distributed import LocalCluster

            line, files = crowned(folder), draw()
            clusters = [
                stack.enter_context(
                    LocalCluster(n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None)
                )
                for count in (1, 2)
            ]
            took: list[list[float]] = [[], []]
            for turn in range(ROUNDS + 1):
                for place, cluster in enumerate(clusters):
                    lot = folder / f"lot{turn}{place}"
                    took[place].append(seconds(line, files, lot, cluster.scheduler_address))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    one, two = (IMAGES / min(times[1:]) for times in took)  # the first time imports and opens everything
    what = "inspect YOLO11n 640 px, images/s: two Dask workers against one"
    verdict = "met" if two / one >= TARGET else "missed"
    return [Row(what, f"{two:.1f}", f"{one:.1f}", two / one, f">= {TARGET}", verdict)]
