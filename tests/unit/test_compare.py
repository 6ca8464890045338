"""A challenger beside the champion on the same test images, through the whole thread in memory."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import BlindTrainer, Thread, line_of, parts_in, run_thread
from wafergate.adapters.images import decode, encode_png
from wafergate.domain.evaluation import Comparison, Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.domain.samples import Sample
from wafergate.domain.splits import SplitMember
from wafergate.domain.training_rows import TrainingItem
from wafergate.formats.predictions import read_predictions
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import promote
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.unit

CLASSES = ("excess", "missing")


FIRST = Batch(images=dict.fromkeys(("particle", "scratch", "bridge", "void"), 14), normal=12, lots=10)
ARRIVALS = Batch(images={"particle": 6, "void": 6, "scratch": 4, "bridge": 4}, normal=4, lots=4, first_lot=11)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> MemorySource:
    return drawn(tmp_path_factory.mktemp("dies"), FIRST)


def drawn(folder: Path, *batches: Batch) -> MemorySource:
    write_sample(folder, seed=3, batches=batches, size=96)
    return MemorySource(
        {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    )


@pytest.fixture
def crowned(tmp_path: Path, source: MemorySource) -> tuple[Parts, Thread]:
    """A line whose first model is champion."""
    parts = parts_in(tmp_path)
    thread = run_thread(parts, line_of(), source)
    promote(parts, thread.decision.id, actor="kim", reason="first")
    return parts, thread


def told(parts: Parts, thread: Thread) -> list[RuleResult]:
    return [rule for rule in parts.facts.get(GateDecision, thread.decision.id).rules if rule.rule == "not_worse"]


def test_without_a_champion_there_is_nothing_to_be_worse_than(tmp_path: Path, source: MemorySource) -> None:
    parts = parts_in(tmp_path)
    (rule,) = told(parts, run_thread(parts, line_of(), source))
    assert (rule.subject, rule.verdict) == ("", Verdict.PASS)
    assert parts.facts.find(Comparison) == []


def test_an_equal_challenger_is_not_worse_on_the_whole_test_and_costs_no_look(
    crowned: tuple[Parts, Thread], source: MemorySource
) -> None:
    parts, _ = crowned
    second = run_thread(parts, line_of(epochs="epochs = 3"), source)
    assert [(rule.subject, rule.verdict) for rule in told(parts, second)] == [(name, Verdict.PASS) for name in CLASSES]
    (row,) = parts.facts.find(Comparison)
    evaluation = parts.facts.get(Evaluation, second.evaluation.id)
    assert (row.images, row.left_out, row.evaluation_id) == (evaluation.images, 0, evaluation.id)
    assert [pair.instances for pair in row.paired] == [12, 12]
    assert evaluation.look == 2
    kept = read_predictions(parts.files.get(row.predictions))
    assert kept.names == read_predictions(parts.files.get(evaluation.predictions)).names


def test_a_challenger_that_loses_a_class_fails_and_is_told_by_how_much(
    crowned: tuple[Parts, Thread], source: MemorySource
) -> None:
    parts, _ = crowned
    blind = replace(parts, trainers={"contrast": BlindTrainer()})
    losses = told(blind, run_thread(blind, line_of(epochs="epochs = 3"), source))
    assert [rule.verdict for rule in losses] == [Verdict.FAIL, Verdict.FAIL]
    assert all(rule.value is not None and rule.value < -0.8 for rule in losses)


def test_the_new_champion_keeps_the_decision_it_was_promoted_on(
    crowned: tuple[Parts, Thread], source: MemorySource
) -> None:
    parts, _ = crowned
    line = line_of(epochs="epochs = 3")
    second = run_thread(parts, line, source)
    promote(parts, second.decision.id, actor="kim", reason="second")
    assert run_thread(parts, line, source).decision == (second.decision.id, True)


def test_what_the_champion_learnt_from_is_left_out_with_its_whole_group(
    crowned: tuple[Parts, Thread], source: MemorySource
) -> None:
    """Another split puts some of the champion's training lots into the test."""
    parts, first = crowned
    second = run_thread(parts, line_of(test_per_class="test_per_class = 10"), source)
    (row,) = parts.facts.find(Comparison)
    group = {member.name: member.group for member in parts.facts.find(SplitMember, split_id=first.split.id)}
    taught = {group[item.origin] for item in parts.facts.find(TrainingItem, training_set_id=first.training_set.id)}
    members = parts.facts.find(SplitMember, split_id=second.split.id, side="test")
    seen = [member.name for member in members if group[member.name] in taught]
    assert (row.left_out, row.images + row.left_out) == (len(seen), len(members))
    if row.images:
        assert not set(read_predictions(parts.files.get(row.predictions)).names) & set(seen)
    else:
        assert [rule.verdict for rule in told(parts, second)] == [Verdict.UNDECIDED]


def test_a_champion_that_learnt_from_every_test_image_is_no_measure(
    crowned: tuple[Parts, Thread], source: MemorySource
) -> None:
    parts, first = crowned
    samples = parts.facts.find(Sample, dataset_id=first.dataset.id)
    for place, sample in enumerate(samples, start=10_000):  # as if the champion had been trained on everything
        item = TrainingItem(
            first.training_set.id, place, sample.name, (), sample.image, sample.width, sample.height, sample.boxes,
            "train",
        )  # fmt: skip
        parts.facts.save(item)
    second = run_thread(parts, line_of(epochs="epochs = 3"), source)
    (rule,) = told(parts, second)
    assert rule.verdict is Verdict.UNDECIDED
    assert "the champion learnt from every one of the" in rule.evidence


def test_as_images_arrive_the_champion_is_met_on_the_whole_new_test(
    crowned: tuple[Parts, Thread], tmp_path: Path
) -> None:
    """Sides stay from version to version, so nothing the champion learnt from comes into the test."""
    parts, first = crowned
    second = run_thread(parts, line_of(), drawn(tmp_path / "more", FIRST, ARRIVALS))
    assert second.dataset.id != first.dataset.id
    assert [rule.verdict for rule in told(parts, second)] == [Verdict.PASS, Verdict.PASS]
    (row,) = parts.facts.find(Comparison)
    assert (row.images, row.left_out) == (parts.facts.get(Evaluation, second.evaluation.id).images, 0)


def later(source: MemorySource, lot: Callable[[str], str]) -> MemorySource:
    """Return other images under the names of the first ones, their lots renamed."""
    table = json.loads(source.read("annotations.json"))
    for image in table["images"]:
        image["lot"] = lot(image["lot"])
    brighter = {
        name: encode_png(np.minimum(decode(source.read(name))[:, :, 0], 254) + 1)
        for name in source.names()
        if name.endswith(".png")
    }
    return MemorySource(brighter | {"annotations.json": json.dumps(table)})


def test_images_of_another_version_are_no_strangers_to_the_champion_for_their_names(
    crowned: tuple[Parts, Thread], source: MemorySource
) -> None:
    parts, first = crowned
    second = run_thread(parts, line_of(), later(source, lambda lot: f"next {lot[::-1]}"))
    taught = {item.origin for item in parts.facts.find(TrainingItem, training_set_id=first.training_set.id)}
    assert taught & {row.name for row in parts.facts.find(SplitMember, split_id=second.split.id, side="test")}
    (row,) = parts.facts.find(Comparison)
    assert (row.images, row.left_out) == (parts.facts.get(Evaluation, second.evaluation.id).images, 0)


def test_new_images_of_a_lot_that_the_champion_learnt_from_are_left_out(
    crowned: tuple[Parts, Thread], source: MemorySource
) -> None:
    parts, first = crowned
    judge = parts.facts.find(SplitMember, split_id=first.split.id, side="test")[0]
    sample = next(row for row in parts.facts.find(Sample, dataset_id=first.dataset.id) if row.name == judge.name)
    parts.facts.save(  # as if the champion had been trained on it
        TrainingItem(first.training_set.id, 10_000, sample.name, (), sample.image, 96, 96, sample.boxes, "train")
    )
    second = run_thread(parts, line_of(), later(source, lambda lot: lot))
    (row,) = parts.facts.find(Comparison)
    members = parts.facts.find(SplitMember, split_id=second.split.id, side="test")
    of_its_lot = [member for member in members if member.group == judge.group]
    assert of_its_lot
    assert (row.images, row.left_out) == (len(members) - len(of_its_lot), len(of_its_lot))
