"""Inspection on Dask: two workers on a core each against one on one.

Each worker is held to its core: left alone, one worker decodes and saves on the core that the second would have.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests import rows
from tests.benchmarks.table import Row
from wafergate import wiring
from wafergate.domain.gate import Champion, LedgerKind
from wafergate.domain.models import Channels, Decoder
from wafergate.line import LineFile, parse_line

DATA = Path(__file__).parents[3] / "shared" / "data"
LINE = '[line]\nname = "dask"\nclasses = ["scratch"]\n[hardware.serve]\nruntime = "onnxruntime"\n'
SIZE = 640
IMAGES, WARM = 1000, 64
"""A lot of four chunks, two for each worker, so that what a lot costs once weighs little; and what a worker sees
before, to import and open everything."""
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


def seconds(line: LineFile, files: list[bytes], folder: Path, scheduler: str) -> float:
    """Inspect the files as a lot of their own on a scheduler's workers; return how long it took."""
    from flows.hands import hands_on
    from wafergate.jobs.inspect_lot import CHUNK, inspect_lot

    folder.mkdir(parents=True)
    for number, data in enumerate(files):
        (folder / f"{folder.name}_{number:04d}.jpg").write_bytes(data)
    source, hands = wiring.open_source(str(folder)), hands_on(line, str(folder), scheduler)
    begun = time.perf_counter()
    inspect_lot(wiring.open_parts(), line, source, "images", chunk=min(CHUNK, len(files) // 2), hands=hands)
    return time.perf_counter() - begun


def hold_to_cores(scheduler: str) -> None:
    """Give every worker of a scheduler, and all of its threads, a core of its own."""
    from distributed import Client

    with Client(scheduler) as client:
        for core, worker in enumerate(client.scheduler_info(n_workers=-1)["workers"]):
            client.run(_hold, sorted(os.sched_getaffinity(0))[core], workers=[worker])


def _hold(core: int) -> None:
    for thread in Path("/proc/self/task").iterdir():  # those that run already; later ones inherit it
        os.sched_setaffinity(int(thread.name), {core})


def run() -> list[Row]:
    """Return the rows of this benchmark; a set that is not there gives a row that says so."""
    files = [path.read_bytes() for path in sorted(DATA.glob("deeppcb/**/*_test.jpg"))[:IMAGES]]
    if len(files) < IMAGES:
        return [Row("dask", "", "", None, "", "no data")]
    folder = Path(tempfile.mkdtemp(prefix="wafergate-bench-"))
    try:
        with services(), ExitStack() as stack:
            from distributed import LocalCluster

            line = crowned(folder)
            clusters = [
                stack.enter_context(
                    LocalCluster(n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None)
                )
                for count in (1, 2)
            ]
            took = []
            for place, cluster in enumerate(clusters):
                hold_to_cores(cluster.scheduler_address)
                seconds(line, files[:WARM], folder / f"warm{place}", cluster.scheduler_address)
                took.append(seconds(line, files, folder / f"lot{place}", cluster.scheduler_address))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    one, two = (IMAGES / spent for spent in took)
    what = "inspect YOLO11n 640 px, images/s: two Dask workers against one"
    verdict = "met" if two / one >= TARGET else "missed"
    return [Row(what, f"{two:.1f}", f"{one:.1f}", two / one, f">= {TARGET}", verdict)]
