"""`[tile]` in the line file: training cuts, the test judges whole images, and inspection sees what was judged."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import ContrastTrainer, Thread, line_of, open_contrast, parts_in, run_thread
from tests.unit.test_tile import sample_of
from wafergate.domain.evaluation import Detections, Evaluation
from wafergate.domain.geometry import Box
from wafergate.domain.models import Channels
from wafergate.domain.near_duplicates import LikenessPolicy
from wafergate.domain.novelty import ModelReference
from wafergate.domain.samples import LabelledBox, QuarantineReason, RawSample, Sample
from wafergate.domain.serving import Runtime
from wafergate.domain.splits import Side, Split, SplitMember
from wafergate.domain.tiling import TilePolicy, tile_side, tile_windows
from wafergate.domain.training_rows import ModelVersion, TrainingItem
from wafergate.errors import SourceError
from wafergate.formats.predictions import read_predictions
from wafergate.jobs.augment import augment, check_training_set, samples_on
from wafergate.jobs.decide import decide
from wafergate.jobs.drift_window import Window, read_window
from wafergate.jobs.ingest import ingest
from wafergate.jobs.inspect_lot import inspect_lot
from wafergate.jobs.latency import measure_latency
from wafergate.jobs.novelty import refer
from wafergate.jobs.parts import Parts, silent
from wafergate.jobs.promote import promote
from wafergate.jobs.seeing import Viewer
from wafergate.jobs.split import split
from wafergate.jobs.tile import tile
from wafergate.jobs.train import train
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.tile import plan_tiles, taught_tiles

pytestmark = pytest.mark.unit

HALVES = TilePolicy(1, 2)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[tuple[int, int], TilePolicy, tuple[LabelledBox, ...]]:
    """Draw an image's size, how it is cut, and boxes inside it."""
    size = draw(st.integers(40, 120)), draw(st.integers(40, 120))
    overlap = draw(st.sampled_from([0.0, 0.2, 6.0]))
    policy = TilePolicy(draw(st.integers(1, 3)), draw(st.integers(1, 3)), overlap, draw(st.sampled_from([0.25, 0.5])))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(st.integers(0, size[0] - 2)), draw(st.integers(0, size[1] - 2))
        box = Box(x, y, draw(st.integers(x + 1, size[0])), draw(st.integers(y + 1, size[1])))
        boxes.append(LabelledBox("void", "void", box))
    return size, policy, tuple(boxes)


@given(scenes())
def test_an_original_teaches_by_the_very_tiles_that_a_version_of_tiles_would_hold(scene: Any) -> None:
    size, policy, boxes = scene
    planned = plan_tiles(sample_of(*size, *boxes), policy).tiles
    assert [(t.window, t.boxes) for t in taught_tiles(boxes, size, policy)] == [(t.window, t.boxes) for t in planned]


@given(scenes(), st.sampled_from([(), ("turn_90",), ("turn_270", "flip_vertical"), ("turn_180",)]))
def test_every_defect_an_augmented_image_was_made_for_is_whole_on_a_tile(scene: Any, turns: tuple[str, ...]) -> None:
    size, policy, boxes = scene
    assume(policy.active)
    made = ("gamma:1.1", *turns)
    quarter = bool({"turn_90", "turn_270"} & set(turns))
    width, height = tile_side(replace(policy, rows=policy.columns, columns=policy.rows) if quarter else policy, size)
    tiles = taught_tiles(boxes, size, policy, operations=made, seed="a")
    for cut in tiles:
        window = cut.window
        assert (window.x2 - window.x1, window.y2 - window.y1) == (width, height)
        assert 0 <= window.x1 <= window.x2 <= size[0]
        assert 0 <= window.y1 <= window.y2 <= size[1]
        assert cut.boxes, "a tile without its defect would pass for a normal image"
    for label in boxes:
        box = label.box
        if box.x2 - box.x1 <= width and box.y2 - box.y1 <= height:
            whole = [
                Box(
                    own.box.x1 + t.window.x1,
                    own.box.y1 + t.window.y1,
                    own.box.x2 + t.window.x1,
                    own.box.y2 + t.window.y1,
                )
                for t in tiles
                for own in t.boxes
            ]
            assert box in whole
    assert tiles == taught_tiles(boxes, size, policy, operations=made, seed="a")


class Watching(ContrastTrainer):
    """Notes the images it is given: side, number of the training item, size."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[str, int, tuple[int, ...]]] = []

    def __call__(self, job: Any, **tell: Any) -> Any:
        for path in sorted((job.data / "images").rglob("*.png")):
            shape = np.asarray(cv2.imread(str(path))).shape
            self.given.append((path.parent.name, int(path.stem.partition("-")[0]), shape))
        return super().__call__(job, **tell)


class Tiled:
    """A thread run with `[tile]` set, and what was shown to the model."""

    def __init__(self, folder: Path) -> None:
        batch = Batch(images=dict.fromkeys(("particle", "scratch", "bridge", "void"), 14), normal=12, lots=10)
        write_sample(folder / "dies", seed=3, batches=(batch,), size=96)
        root = folder / "dies"
        self.files = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        self.shown: list[tuple[int, ...]] = []
        self.trainer = Watching()
        self.parts: Parts = parts_in(folder / "parts", trainer=self.trainer, load_detector=self._open)
        self.whole = line_of(recall="recall = 0.05", critical_recall="critical_recall = 0.05")
        self.line: LineFile = self.whole.model_copy(update={"tile": HALVES})
        self.thread: Thread = run_thread(self.parts, self.line, MemorySource(self.files))
        self.model = self.parts.facts.get(ModelVersion, self.thread.model.id)

    def _open(self, model: ModelVersion, onnx: Path) -> Any:
        detector = open_contrast(model, onnx)

        def detect(images: Sequence[Any], *, min_score: float) -> list[Detections]:
            self.shown.extend(image.shape for image in images)
            return detector(images, min_score=min_score)

        return detect


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Tiled:
    return Tiled(tmp_path_factory.mktemp("tiled"))


def test_the_model_learns_from_tiles_of_training_images_alone(tiled: Tiled) -> None:
    given_ = tiled.trainer.given
    assert {shape for side, _, shape in given_ if side == "val"} == {(96, 48, 3)}
    items = {
        item.position: item
        for item in tiled.parts.facts.find(TrainingItem, training_set_id=tiled.thread.training_set.id)
    }
    members = tiled.parts.facts.find(SplitMember, split_id=tiled.thread.split.id)
    side_of = {member.name: member.side for member in members}
    sides = {"train": Side.TRAIN, "val": Side.VALIDATION}
    assert {side_of[items[position].origin] for _, position, _ in given_} == {Side.TRAIN, Side.VALIDATION}
    assert all(side_of[items[position].origin] is sides[side] for side, position, _ in given_)
    whole = [position for _, position, _ in given_ if not items[position].operations]
    assert all(whole.count(position) <= 2 for position in whole), "an original by its two halves"
    assert check_training_set(tiled.parts, LikenessPolicy(), tiled.thread.training_set.id).cross_edges == 0


def test_whole_images_judge_and_the_model_is_only_ever_shown_tiles(tiled: Tiled) -> None:
    facts = tiled.parts.facts
    evaluation, row = facts.get(Evaluation, tiled.thread.evaluation.id), facts.get(Split, tiled.thread.split.id)
    assert evaluation.images == row.images["test"]
    assert tiled.model.tile == HALVES
    assert set(tiled.shown) == {(96, 48, 3)}
    said = read_predictions(tiled.parts.files.get(evaluation.predictions))
    assert max(box[2] for item in said.detections for box in item.boxes.tolist()) > 48, "pixels of the whole image"
    truth = sum(len(sample.boxes) for sample in samples_on(tiled.parts, row.id, Side.TEST))
    assert sum(item.recall.trials for item in evaluation.classes) == truth, "every defect judges once"


def test_inspection_says_of_an_image_what_the_test_said(tiled: Tiled) -> None:
    parts, facts = tiled.parts, tiled.parts.facts
    decision = decide(parts, tiled.line, tiled.thread.evaluation.id, actor="kim").id
    promote(parts, decision, actor="kim", reason="test")
    judged = read_predictions(parts.files.get(facts.get(Evaluation, tiled.thread.evaluation.id).predictions))
    done = inspect_lot(parts, tiled.line, MemorySource(tiled.files), "coco")
    found = {item.name: item for item in parts.inspections.images(line="dies", run_id=done.id)}
    limits = tiled.model.thresholds
    for name, said in zip(judged.names, judged.detections, strict=True):
        kept = [
            (tiled.model.classes[index], pytest.approx(score, abs=1e-4), *map(pytest.approx, box))
            for box, score, index in zip(said.boxes.tolist(), said.scores.tolist(), said.classes.tolist(), strict=True)
            if score >= limits[tiled.model.classes[index]]
        ]
        assert list(found[name].detections) == kept
    assert set(tiled.shown) == {(96, 48, 3)}
    reference = facts.get(ModelReference, refer(parts, tiled.model).id)
    taught = {sample.image for sample in samples_on(parts, tiled.model.split_id, Side.TRAIN)}
    assert set(read_predictions(parts.files.get(reference.predictions)).names) == taught


def test_an_image_too_small_for_the_tiles_is_set_aside_and_the_others_are_inspected(tmp_path: Path) -> None:
    parts, line = parts_in(tmp_path), line_of()
    sizes = {"wide.png": (40, 96, 3), "narrow.png": (40, 20, 3)}
    source = MemorySource(
        {name: cv2.imencode(".png", np.zeros(size, np.uint8))[1].tobytes() for name, size in sizes.items()}
    )
    cuts = (HALVES, TilePolicy(1, 2, overlap=8))  # a half of 48 pixels has room for two of 28, a half of 10 has none
    viewer = Viewer(parts, line, source, channels=Channels.IMAGE, cuts=cuts, known={}, released=frozenset())
    seen = {name: viewer(RawSample(name)) for name in sizes}
    assert [name for name, found in seen.items() if found is not None] == ["wide.png"]
    (refused,) = viewer.finish()
    assert (refused.path, refused.reason) == ("narrow.png", QuarantineReason.TOO_SMALL)
    assert refused.detail.startswith(
        "20 x 40: [tile] columns = 2 with an overlap of 8 pixels does not fit into 10 pixels"
    )


def test_watching_leaves_an_image_too_small_for_the_tiles_out(tiled: Tiled) -> None:
    sizes = {"wide.png": (96, 96, 3), "narrow.png": (96, 1, 3)}
    files = {name: cv2.imencode(".png", np.full(size, 90, np.uint8))[1].tobytes() for name, size in sizes.items()}

    def window(names: Sequence[str]) -> Window:
        pairs = [(name, files[name]) for name in names] + [
            (name.replace(".", "_golden."), files[name]) for name in names
        ]
        return read_window(
            tiled.parts, tiled.line, tiled.model, MemorySource(dict(pairs)), "images", limit=0, progress=silent
        )

    assert len(window(["wide.png", "narrow.png"]).table) == 1
    with pytest.raises(SourceError, match=r"no image to compare; 1 were refused, the first is narrow\.png: 1 x 96"):
        window(["narrow.png"])


def test_a_version_of_tiles_is_not_cut_again_and_another_cut_is_another_model(tiled: Tiled) -> None:
    parts = tiled.parts
    assert train(parts, tiled.line, tiled.thread.training_set.id) == (tiled.model.id, True)
    uncut = train(parts, tiled.whole, tiled.thread.training_set.id)
    assert uncut.id != tiled.model.id
    assert not parts.facts.get(ModelVersion, uncut.id).tile.active
    tiles = tile(parts, tiled.whole, tiled.thread.dataset.id, policy=HALVES).id
    training_set = augment(parts, tiled.line, split(parts, tiled.line, tiles).id).id
    before = len(tiled.trainer.given)
    model = parts.facts.get(ModelVersion, train(parts, tiled.line, training_set).id)
    assert not model.tile.active, "its dataset version says how its images were cut"
    originals = {
        item.position for item in parts.facts.find(TrainingItem, training_set_id=training_set) if not item.operations
    }
    taught = [shape for _, position, shape in tiled.trainer.given[before:] if position in originals]
    assert set(taught) == {(96, 48, 3)}
    assert {sample.width for sample in parts.facts.find(Sample, dataset_id=tiles)} == {48}


def test_a_model_of_tiles_that_overlap_is_timed_on_what_a_camera_gives(tmp_path: Path) -> None:
    folder = tmp_path / "dies"
    batch = Batch(images=dict.fromkeys(("particle", "scratch", "bridge", "void"), 14), normal=12, lots=10)
    write_sample(folder, seed=3, batches=(batch,), size=96)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shown: list[tuple[int, ...]] = []

    def watching(model: ModelVersion, onnx: Path) -> Any:
        detector = open_contrast(model, onnx)

        def detect(images: Sequence[Any], *, min_score: float) -> list[Detections]:
            shown.extend(image.shape for image in images)
            return detector(images, min_score=min_score)

        return detect

    parts, line = parts_in(tmp_path / "parts"), line_of()
    runtimes = {Runtime.ONNXRUNTIME: watching, Runtime.OPENVINO: watching}
    parts = replace(parts, load_detector=watching, runtimes=lambda _serve: runtimes)
    overlapping = TilePolicy(3, 3, overlap=16)
    tiles = tile(parts, line, ingest(parts, line, MemorySource(files), "coco").id, policy=overlapping).id
    model = train(parts, line, augment(parts, line, split(parts, line, tiles).id).id).id
    shown.clear()
    measure_latency(parts, line, model)
    given_ = {(int(w.y2 - w.y1), int(w.x2 - w.x1), 3) for _, _, w in tile_windows(overlapping, 96, 96)}
    assert set(shown) == given_, "tiles of whole images, and no tiles of tiles"
