"""Real boards and real tiles are trained on from the given weight file and from random weights."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.small_line import parts_in
from wafergate.adapters.catalogue import load_catalogue
from wafergate.adapters.libreyolo import LibreYoloTrainer
from wafergate.adapters.onnx_detector import OnnxDetectorLoader
from wafergate.adapters.source import FolderSource
from wafergate.domain.identity import digest_bytes
from wafergate.domain.training_rows import ModelVersion, TrainingEpoch
from wafergate.jobs.augment import augment
from wafergate.jobs.ingest import ingest
from wafergate.jobs.split import split
from wafergate.jobs.train import train
from wafergate.jobs.validate import validate
from wafergate.line import LineFile, load_line

pytestmark = [pytest.mark.training, pytest.mark.realdata]
LINES = Path(__file__).parents[1] / "data"


def short(line: LineFile, *, candidate: str) -> LineFile:
    """Return the line as it is but for two epochs on small images, without augmentation."""
    models = replace(line.models, candidate=candidate, image_size=96, window=0, epochs=2, random_start=True)
    return line.model_copy(update={"models": models, "augment": replace(line.augment, operations=())})


@pytest.mark.parametrize(
    ("name", "source", "read_as", "limit", "given"),
    [
        ("pcb", "deeppcb", "deeppcb", 70, "pcb-nano"),
        ("tiles", "magnetic-tile", "masks", 350, "tiles-nano"),  # of 240 too few show a fray for an even test
    ],
)
def test_real_images_train_from_the_given_weights_and_from_random_ones(
    real_data: Path, tmp_path: Path, *, name: str, source: str, read_as: str, limit: int, given: str
) -> None:
    line, weights = load_line(LINES / f"{name}.toml"), real_data / "weights" / "yolox-nano-coco.pt"
    parts = parts_in(
        tmp_path,
        trainers={"libreyolo": LibreYoloTrainer()},
        catalogue=load_catalogue(),
        load_detector=OnnxDetectorLoader(),
    )
    dataset = ingest(parts, line, FolderSource(real_data / source), read_as, limit=limit).id
    validate(parts, line, dataset)
    training_set = augment(parts, short(line, candidate="yolox-nano"), split(parts, line, dataset).id).id
    starts = {}
    for candidate in (given, "yolox-nano"):
        done = train(parts, short(line, candidate=candidate), training_set)
        model = parts.facts.get(ModelVersion, done.id)
        starts[candidate] = model.start
        told = [epoch.loss for epoch in parts.facts.find(TrainingEpoch, model_id=model.id)]
        assert len(told) == model.epochs > 0
        assert set(model.thresholds) == set(line.classes)
    assert starts == {given: digest_bytes(weights.read_bytes()), "yolox-nano": None}
