"""The benchmark of few images: sides share no group and no neighbouring tile, a finished cell is not run again."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks import bench_few_images, few_images_recipes
from tests.benchmarks.bench_few_images import RECALL, RECIPES, SECONDS, Cell, cells, equal_epochs
from tests.benchmarks.few_images_recipes import Recipe
from tests.benchmarks.few_images_sets import BLOCK, NEAR, board_sides, tile_side
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.splits import Side
from wafergate.domain.training import TrainingJob

pytestmark = pytest.mark.unit
GROUPS = ("group00041", "group13000", "group20085", "group44000", "group50600", "group77000", "group92000")


def test_no_board_group_lies_on_two_sides() -> None:
    names = [f"PCBData/{group}/{group[5:]}/{place:03d}_test.jpg" for group in GROUPS for place in range(150)]
    sides = board_sides(names)
    of_group = {group: {side for name, side in sides.items() if group in name} for group in GROUPS}
    assert all(len(found) == 1 for found in of_group.values())
    counts = [sum(side is each for side in sides.values()) for each in (Side.TRAIN, Side.VALIDATION, Side.TEST)]
    assert counts == [300, 150, 300]
    assert board_sides(names[::-1]) == sides


@given(st.integers(NEAR, 20 * BLOCK), st.integers(0, NEAR))
def test_tiles_that_may_show_one_part_never_lie_on_two_sides(number: int, apart: int) -> None:
    one, other = (tile_side(f"exp1_num_{value}.jpg") for value in (number, number + apart))
    assert one is None or other is None or one is other


def test_ours_and_stock_of_every_set_come_first() -> None:
    first = list(cells())[: 2 * len(RECALL)]
    assert {(cell.real, cell.recipe.name, cell.seed) for cell in first} == {
        (real, name, 0) for real in RECALL for name in ("ours", "stock")
    }
    assert len({(cell.real, cell.recipe.name, cell.seed) for cell in cells()}) == len(list(cells()))


def test_a_finished_cell_is_shown_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights.pt"
    weights.touch()
    ran: list[Cell] = []

    planned: list[Cell] = []

    def plan(cell: Cell, _seconds: int) -> int:
        planned.append(cell)
        return 3

    def equal(cell: Cell, ours: int) -> int:
        assert ours == 3
        return plan(cell, SECONDS)

    def measure(cell: Cell, epochs: int, _model: Path) -> dict[str, object]:
        ran.append(cell)
        classes = {name: {"found": 9, "instances": 10, "recall": 0.9, "precision": None} for name in ("a", "b")}
        return {"epochs": epochs, "seconds": 7, "thresholds": {}, "test": {"classes": classes, "overkill": 0.5}}

    monkeypatch.setattr(bench_few_images, "WEIGHTS", weights)
    monkeypatch.setattr(bench_few_images, "plan_epochs", plan)
    monkeypatch.setattr(bench_few_images, "equal_epochs", equal)
    monkeypatch.setattr(bench_few_images, "measure", measure)
    monkeypatch.setenv("WAFERGATE_FEW_IMAGES", str(tmp_path / "cells"))
    monkeypatch.setenv("WAFERGATE_FEW_IMAGES_CELLS", "1")
    for done in (1, 2):
        rows = bench_few_images.run()
        assert len(ran) == done
        assert sum(row.verdict == "not yet run" for row in rows) == len(list(cells())) - done
    assert len(set(map(str, ran))) == 2
    assert len(planned) == len({(cell.real, cell.recipe) for cell in cells()})  # once, for all seeds
    row = next(row for row in rows if row.what.endswith("lowest recall"))
    assert (row.ours, row.verdict) == ("0.90", "met")
    assert any(row.what.endswith("overkill") and row.verdict == "missed" for row in rows)
    assert json.loads(ran[0].file(tmp_path / "cells", SECONDS).read_text())["epochs"] == 3


def test_without_a_folder_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.pt").touch()
    monkeypatch.setattr(bench_few_images, "WEIGHTS", tmp_path / "weights.pt")
    monkeypatch.delenv("WAFERGATE_FEW_IMAGES", raising=False)
    assert [row.verdict for row in bench_few_images.run()] == ["set WAFERGATE_FEW_IMAGES to a folder of cells"]


@pytest.mark.parametrize(
    ("real", "name", "epochs"),
    [("boards", "without golden", 95), ("boards", "without windows", 36), ("tiles", "with windows", 95)],
)
def test_a_part_of_ours_is_left_out_at_as_many_pixels_as_ours(
    monkeypatch: pytest.MonkeyPatch, *, real: str, name: str, epochs: int
) -> None:
    """Windows of 256 px and whole boards at 416 px: 95 epochs of the one are 95 * 256^2 / 416^2 of the other."""
    sides = SimpleNamespace(sides={Side.TRAIN: [None] * 7})
    monkeypatch.setattr(bench_few_images, "load_set", lambda _name, _work: sides)
    recipe = next(each for each in RECIPES[real] if each.name == name)
    assert equal_epochs(Cell(real, recipe, 0), 95) == epochs


@pytest.mark.parametrize(("stock", "epochs"), [(False, 28), (True, 29)])
def test_the_epochs_of_a_cell_cost_what_its_time_pays_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stock: bool, epochs: int
) -> None:
    """A training costs 20 s, 40 s an epoch and 5 s a validation: ours validates ten times, stock every tenth epoch."""
    for kind in ("images", "labels"):
        for side in ("train", "val"):
            (tmp_path / "data" / kind / side).mkdir(parents=True)
            (tmp_path / "data" / kind / side / "a.png").touch()

    def train(job: TrainingJob, _recipe: Recipe, _tell: object) -> tuple[Path, float]:
        return tmp_path, 20 + 40 * job.epochs + 5 * any((job.data / "images" / "val").iterdir())

    monkeypatch.setattr(few_images_recipes, "train", train)
    recipe = Recipe("any", stock=stock)
    candidate = Candidate("any", "libreyolo", "LibreYOLOXn", "MIT")
    job = TrainingJob(
        candidate, ("a",), tmp_path / "data", tmp_path / "job", None, Channels.IMAGE, 64, 1, 8, 0.0, 0.0, 0, "cpu"
    )
    assert few_images_recipes.affordable_epochs(job, recipe, 1_200, lambda _: None) == epochs
