"""A cell of the few-image benchmark on real tiles: both recipes train and are judged, a kept model is judged again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import bench_few_images, few_images_sets
from tests.benchmarks.bench_few_images import RECIPES, SECONDS, Cell, measure
from tests.benchmarks.few_images_recipes import Recipe
from wafergate.domain.splits import Side

pytestmark = [pytest.mark.training, pytest.mark.realdata]
KEPT = 12
"""Tiles whose number it divides take part: one in so many of every side."""


@pytest.mark.parametrize("recipe", RECIPES["tiles"][:2], ids=lambda each: each.name)
@pytest.mark.usefixtures("real_data")
def test_a_cell_is_trained_and_judged_and_judged_again_from_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, recipe: Recipe
) -> None:
    whole = few_images_sets.tile_side

    def some(name: str) -> Side | None:
        number = int(name.rpartition("_")[2].partition(".")[0])
        return whole(name) if number % KEPT == 0 else None

    monkeypatch.setattr(few_images_sets, "tile_side", some)
    cell = Cell("tiles", replace(recipe, image_size=96), seed=1)
    model = cell.file(tmp_path, SECONDS).with_suffix(".onnx")
    first = measure(cell, 1, model)
    assert first["epochs"] == 1
    assert first["seconds"] > 0
    for side in ("validation", "test"):
        assert set(first[side]["classes"]) == {"Blowhole", "Break", "Crack", "Fray", "Uneven"}
        assert sum(each["instances"] for each in first[side]["classes"].values()) > 0
        assert 0 <= first[side]["overkill"] <= 1

    monkeypatch.delattr(bench_few_images, "train")
    assert json.dumps(measure(cell, 1, model)) == json.dumps(first)
