"""What the platform adds to a training, and whether a probe times what the exported model takes by itself.

The training runs on real PostgreSQL and S3, from a stored training set to a stored model with its thresholds; the bare
one is Ultralytics' own call with the same arguments on the very images the platform would hand it, in a process of its
own as well. It runs before and after the platform's, so that whatever else the machine does meets both.
"""

import importlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.bench_dask import services
from tests.benchmarks.table import Row
from wafergate import wiring
from wafergate.adapters.catalogue import load_catalogue
from wafergate.adapters.memory import MemoryFacts
from wafergate.adapters.onnx.runtimes import open_model
from wafergate.adapters.source import FolderSource
from wafergate.domain.choice import Probe
from wafergate.domain.serving import Runtime
from wafergate.domain.training import TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import TrainingItem, TrainingSet
from wafergate.jobs.augment import augment
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.probe import probe
from wafergate.jobs.split import split
from wafergate.jobs.train import train
from wafergate.jobs.training_folder import fresh_folder, write_yolo
from wafergate.jobs.training_job import choose_start, training_job
from wafergate.jobs.validate import validate
from wafergate.line import LineFile, load_line
from wafergate.ports import Trainer

DATA = Path(__file__).parents[3] / "shared" / "data"
LINE = Path(__file__).parents[1] / "data" / "pcb.toml"
CANDIDATE, SIZE, EPOCHS, IMAGES = "yolo11n", 320, 6, 150
SHARE, SECONDS = 1.05, 15.0
"""The platform may take this much of the bare call's time, and these seconds."""
PROBED = ("yolox-nano", "yolo11n")
CALLS, WARM, PROBES = 50, 5, 5
"""A machine's speed changes by the minute: the probe and the bare calls take turns, and their ratio is the median."""


def _line(candidate: str, *, size: int = SIZE) -> LineFile:
    line = load_line(LINE)
    models = replace(
        line.models, candidate=candidate, image_size=size, epochs=EPOCHS, batch=8, mosaic=0.0, random_start=True
    )
    licences = replace(line.licences, allowed=(*line.licences.allowed, "AGPL-3.0-only"))
    return line.model_copy(
        update={
            "models": models,
            "licences": licences,
            "augment": replace(line.augment, operations=()),
            "split": replace(line.split, test_per_class=5, val_per_class=5),
        }
    )


def _training_set(parts: Parts, line: LineFile) -> str:
    dataset = ingest(parts, line, FolderSource(DATA / "deeppcb"), "deeppcb", limit=IMAGES).id
    validate(parts, line, dataset)
    return augment(parts, line, split(parts, line, dataset).id).id


def _job(parts: Parts, line: LineFile, training_set: str, folder: Path) -> TrainingJob:
    """Lay out a training's images as the platform does."""
    items = parts.facts.find(TrainingItem, training_set_id=training_set)
    write_yolo(parts, items, line.classes, fresh_folder(folder), tile=line.tile, progress=lambda *_: None)
    channels = parts.facts.get(TrainingSet, training_set).channels
    return training_job(line, choose_start(parts, line), folder, items, channels=channels)


def _bare(arguments: dict[str, Any], architecture: str, folder: Path) -> float:
    """Return the seconds of Ultralytics' own call in a new process, its imports included as they are in ours."""
    asked = folder / "arguments.json"
    asked.write_text(json.dumps(arguments))
    call = (
        "import json, sys\nfrom ultralytics import YOLO\n"
        f"YOLO('{architecture}.yaml').train(**json.load(open(sys.argv[1])))\n"
    )
    begun = time.perf_counter()
    with (folder / "bare.log").open("ab") as log:
        subprocess.run([sys.executable, "-c", call, str(asked)], check=True, cwd=folder, stdout=log, stderr=log)
    return time.perf_counter() - begun


def _overhead(parts: Parts, folder: Path) -> Row:
    backend = importlib.import_module("wafergate.adapters.ultralytics")
    line = _line(CANDIDATE)
    training_set = _training_set(parts, line)
    job = _job(parts, line, training_set, folder / "job")
    data = importlib.import_module("wafergate.adapters.training_data").write_fitted_data(job, folder / "fitted")
    arguments = backend._arguments(job, data, "cpu", folder)
    del arguments["model"]  # named by the call itself
    bare = [_bare(arguments, job.candidate.architecture, folder)]
    begun = time.perf_counter()
    train(parts, line, training_set)
    ours = time.perf_counter() - begun
    bare.append(_bare(arguments, job.candidate.architecture, folder))
    limit = SHARE * statistics.mean(bare) + SECONDS
    what = (
        f"training {CANDIDATE}, {EPOCHS} epochs of {data.train} images at {SIZE} px, s / {SHARE:g} of the bare call's "
        f"({statistics.mean(bare):.1f} s) and {SECONDS:g} s"
    )
    return Row(what, f"{ours:.1f}", f"{limit:.1f}", ours / limit, "<= 1", "met" if ours <= limit else "missed")


@dataclass(frozen=True)
class Keeping:
    """A real trainer that trains once, keeps its exported file and gives it again."""

    trainer: Trainer
    kept: Path
    given: list[TrainedArtefact] = field(default_factory=list)

    def __call__(self, job: TrainingJob, **told: Any) -> TrainedArtefact:
        if not self.given:
            artefact = self.trainer(job, **told)
            shutil.copy(artefact.onnx, self.kept)  # the probe removes its folder
            self.given.append(replace(artefact, onnx=self.kept))
        return self.given[0]


def _latencies(parts: Parts, folder: Path) -> Iterator[Row]:
    for name in PROBED:
        candidate, kept = load_catalogue()[name], folder / f"{name}.onnx"
        line = _line(name, size=640)
        line = line.model_copy(update={"models": replace(line.models, batch=1)})
        keeping = {candidate.backend: Keeping(parts.trainers[candidate.backend], kept)}
        pairs = []
        for _ in range(PROBES):
            forgetful = replace(parts, trainers=keeping, facts=MemoryFacts(clock=parts.clock))  # each measures anew
            found = forgetful.facts.get(Probe, probe(forgetful, line, candidate).id)
            pairs.append((found.latency[0].median_ms, _bare_latency(kept, found.runtime)))
        told, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(ours / alone for ours, alone in pairs)
        what = f"latency of {name} at 640 px, ms, {PROBES} times in turn: probe / bare exported model"
        yield Row(what, f"{told:.1f}", f"{bare:.1f}", ratio, "0.9..1.1", "met" if abs(ratio - 1) <= 0.1 else "missed")


def _bare_latency(kept: Path, runtime: Runtime) -> float:
    """Return the median time of the exported model's own call, milliseconds."""
    model = open_model(kept.read_bytes(), name=kept.stem, runtime=runtime)
    fed = np.random.default_rng(0).random((1, 3, 640, 640), np.float32)
    times = []
    for call in range(WARM + CALLS):
        begun = time.perf_counter()
        model.run(fed)
        if call >= WARM:
            times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


def run() -> list[Row]:
    """Return the rows of this benchmark; a set that is not there gives a row that says so."""
    if not (DATA / "deeppcb").is_dir():
        return [Row("training", "", "", None, "", "no data")]
    folder = Path(tempfile.mkdtemp(prefix="wafergate-bench-"))
    try:
        with services():
            parts = wiring.open_parts()
            return [*_latencies(parts, folder), _overhead(parts, folder)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
