"""A stored model trained again: what it is compared with, and what can differ."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import BlindTrainer, ContrastTrainer, line_of, parts_in
from wafergate.domain.reproduction import Likeness, Reproduction
from wafergate.domain.runs import FlowRun, LineFileVersion
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import ConfigError, NotFoundError
from wafergate.jobs.augment import augment
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.reproduce import find_model, line_file_of, reproduce
from wafergate.jobs.split import split
from wafergate.jobs.train import Asked, train
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.unit

RUN = "11111111-2222-3333-4444-555555555555"
FROM_WEIGHTS = line_of(random_start="random_start = false")


class ReadsItsStart(ContrastTrainer):
    """Remembers what the weights were that it started from."""

    started = ""

    def __call__(self, job: TrainingJob, **tell: Any) -> TrainedArtefact:
        assert job.weights is not None
        self.started = job.weights.read_text()
        return super().__call__(job, **tell)


class LaterTrainer(ContrastTrainer):
    """What the same job gives with a later version of its library: rules that find the same with other bytes."""

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        artefact = super().__call__(job, on_epoch=on_epoch, on_checkpoint=on_checkpoint)
        artefact.onnx.write_text(json.dumps([1.0001 * rule for rule in json.loads(artefact.onnx.read_text())]))
        return replace(artefact, versions={"contrast": "2"})


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Parts, ModelVersion]:
    """A model trained in a flow run from a weight file, with its line file among others of the line."""
    write_sample(
        tmp_path / "dies",
        seed=3,
        batches=(Batch(images=dict.fromkeys(("particle", "void"), 28), normal=6, lots=10),),
        size=96,
    )
    names = sorted(path for path in (tmp_path / "dies").rglob("*") if path.is_file())
    source = MemorySource({str(path.relative_to(tmp_path / "dies")): path.read_bytes() for path in names})
    (tmp_path / "contrast.json").write_text("[1, 1]")
    line, parts = _at(tmp_path, FROM_WEIGHTS), parts_in(tmp_path)
    others = [line_of(epochs="epochs = 3"), line_of(recall="recall = 0.6")]
    for each in (others[0], line, others[1]):
        parts.facts.save(LineFileVersion(each.digest, each.name, each.text, parts.clock()))
    parts.facts.save(LineFileVersion("f" * 64, line.name, "[line]\nno_key_of_today = 1", parts.clock()))
    parts.facts.save(FlowRun(RUN, "retrain", line.name, line.digest, {}, parts.clock(), "0.1 abc"))
    sides = split(parts, line, ingest(parts, line, source, "coco").id)
    model = train(parts, line, augment(parts, line, sides.id).id, by=Asked("kim", RUN))
    (tmp_path / "contrast.json").unlink()
    return parts, parts.facts.get(ModelVersion, model.id)


def _at(folder: Path, line: LineFile) -> LineFile:
    return line.model_copy(update={"path": folder / "line.toml"})


def test_the_same_machine_and_code_give_the_same_bytes_and_a_second_call_trains_nothing(
    trained: tuple[Parts, ModelVersion],
) -> None:
    parts, model = trained
    trainer = ReadsItsStart()
    parts = replace(parts, trainers={"contrast": trainer})
    done = reproduce(parts, model, actor="kim", code="0.1 abc")
    row = parts.facts.get(Reproduction, done.id)
    assert (row.likeness, row.onnx, row.code) == (Likeness.IDENTICAL, model.onnx, ("0.1 abc", "0.1 abc"))
    assert all(stored == again for stored, again in row.thresholds.values())
    assert row.agreement.agreed == row.agreement.detections > 0
    (job,) = trainer.jobs
    assert trainer.started == "[1, 1]"
    assert (job.epochs, job.seed) == (model.epochs, model.seed)
    again = reproduce(parts, model, actor="lee", code="0.1 abc")
    assert again == (done.id, True)
    assert trainer.runs == 1


def test_a_model_of_weights_that_nobody_stated_a_licence_of_is_trained_again_as_it_was(
    trained: tuple[Parts, ModelVersion], tmp_path: Path
) -> None:
    parts, model = trained
    (tmp_path / "found.json").write_text("[2, 1]")
    line = _at(tmp_path, FROM_WEIGHTS)
    found = train(parts, line, model.training_set_id, weights=tmp_path / "found.json", by=Asked("kim", RUN))
    again = parts.facts.get(ModelVersion, found.id)
    assert again.start_licence == ""
    row = parts.facts.get(Reproduction, reproduce(parts, again, actor="kim").id)
    assert row.likeness is Likeness.IDENTICAL


def test_nothing_of_a_second_training_can_be_promoted(trained: tuple[Parts, ModelVersion]) -> None:
    parts, model = trained
    reproduce(parts, model, actor="kim")
    assert parts.facts.find(ModelVersion) == [model]


def test_other_bytes_that_find_the_same_are_alike_and_the_library_that_changed_is_named(
    trained: tuple[Parts, ModelVersion],
) -> None:
    parts, model = trained
    parts = replace(parts, trainers={"contrast": LaterTrainer()})
    row = parts.facts.get(Reproduction, reproduce(parts, model, actor="kim").id)
    assert row.likeness is Likeness.ALIKE
    assert row.libraries == {"contrast": ("1", "2")}


def test_a_model_that_finds_something_else_is_different(trained: tuple[Parts, ModelVersion]) -> None:
    parts, model = trained
    parts = replace(parts, trainers={"contrast": BlindTrainer()})
    row = parts.facts.get(Reproduction, reproduce(parts, model, actor="kim").id)
    assert row.likeness is Likeness.DIFFERENT
    assert row.agreement.recall_gap[1] > 0.5


def test_of_several_line_files_the_one_that_gives_the_models_id_is_found(trained: tuple[Parts, ModelVersion]) -> None:
    parts, model = trained
    found = line_file_of(parts.facts, model)
    assert found.text == FROM_WEIGHTS.text, "that of its own run, though a recall limit trains nothing else"
    by_hand = line_file_of(parts.facts, replace(model, run_id=""))
    assert by_hand.text in {FROM_WEIGHTS.text, line_of(recall="recall = 0.6").text}
    with pytest.raises(NotFoundError, match="trained without a flow"):
        line_file_of(parts.facts, replace(model, id="0" * 64))


def test_a_line_file_that_augments_otherwise_now_is_not_the_one_that_trained_it(
    trained: tuple[Parts, ModelVersion],
) -> None:
    parts, model = trained
    later = line_of(random_start="random_start = false", per_original='per_original = 1\noperations = ["turn_90"]')
    parts.facts.save(LineFileVersion(later.digest, later.name, later.text, parts.clock()))
    by_hand = replace(model, run_id="")
    assert line_file_of(parts.facts, by_hand).augment.operations != later.augment.operations
    assert line_file_of(parts.facts, model).text == FROM_WEIGHTS.text


@pytest.mark.parametrize("length", [8, 36])
def test_a_model_is_found_by_number_by_its_id_and_by_the_run_that_trained_it(
    trained: tuple[Parts, ModelVersion], length: int
) -> None:
    parts, model = trained
    assert find_model(parts.facts, str(model.number)) == model
    assert find_model(parts.facts, model.id[:length]) == model
    assert find_model(parts.facts, RUN[:length], model.line) == model


def test_what_names_no_model_or_several_is_told(trained: tuple[Parts, ModelVersion]) -> None:
    parts, model = trained
    for wrong in ("99", RUN[:7], "no such run", ""):
        with pytest.raises(NotFoundError, match="no model of any line"):
            find_model(parts.facts, wrong)
    parts.facts.save(replace(model, id="a" * 64, line="other", run_id=""))
    with pytest.raises(ConfigError, match="fits 2 models, of dies, other: name --line"):
        find_model(parts.facts, "1")
