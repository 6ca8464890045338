"""A cell of the few-image benchmark on real tiles: both recipes train and are judged, a kept model is judged again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import bench_few_images, few_images_sets
from tests.benchmarks.bench_few_images import RECIPES, SECONDS, Cell, measure
from tests.benchmarks.few_images_recipes import Recipe, pixels_an_epoch, write_folder
from wafergate.domain.splits import Side

pytestmark = [pytest.mark.training, pytest.mark.realdata]
KEPT = 12
"""Tiles whose number it divides take part: one in so many of every side."""


def _thin(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = few_images_sets.tile_side

    def some(name: str) -> Side | None:
        number = int(name.rpartition("_")[2].partition(".")[0])
        return whole(name) if number % KEPT == 0 else None

    monkeypatch.setattr(few_images_sets, "tile_side", some)


@pytest.mark.parametrize("recipe", RECIPES["tiles"][:2], ids=lambda each: each.name)
@pytest.mark.usefixtures("real_data")
def test_a_cell_is_trained_and_judged_and_judged_again_from_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, recipe: Recipe
) -> None:
    _thin(monkeypatch)
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


@pytest.mark.usefixtures("real_data")
def test_what_an_epoch_shows_is_counted_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _thin(monkeypatch)
    real = few_images_sets.load_set("tiles", tmp_path / "set")
    recipe = next(each for each in RECIPES["tiles"] if each.augment)
    write_folder(real, recipe, tmp_path)
    written = len(list((tmp_path / "data" / "images" / "train").iterdir()))
    assert written > len(real.sides[Side.TRAIN])
    assert pixels_an_epoch(real, recipe) == written * 320 * 320
