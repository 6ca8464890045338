"""Detection from few images at equal training time: the lowest class recall on parts that were held out whole.

A cell is a set, a recipe and a seed; each takes 20 minutes of processor time, so the table is filled over several
sittings: every finished cell is a file in `WAFERGATE_FEW_IMAGES` (a folder; without it nothing is trained and the rows
say so), and a later run goes on with the next one. Its exported model lies beside it: without the file of figures a
cell is judged again and not trained again. Thresholds are frozen on validation by the product's own rule, alike
for both recipes, and everything else was chosen there as well; the held-out parts are judged once for each cell.

How many epochs the time buys is measured before the first cell, for ours and the stock recipe, and kept in the folder:
leave the machine alone meanwhile. After that nothing depends on how busy it is, as a cell trains those epochs. What
leaves out or adds a part of ours is shown as many pixels as ours.

    WAFERGATE_FEW_IMAGES=cells python -m tests.benchmarks few_images    # trains what is missing, then prints
    WAFERGATE_FEW_IMAGES=cells WAFERGATE_FEW_IMAGES_CELLS=2 python …    # at most two more cells

`WAFERGATE_FEW_IMAGES_SECONDS` changes the time of a cell; such cells are kept apart from the others.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.few_images_recipes import (
    Recipe,
    affordable_epochs,
    detect,
    frozen,
    job_of,
    judged,
    pixels_an_epoch,
    train,
    write_folder,
)
from tests.benchmarks.few_images_sets import DATA, OVERKILL, WEIGHTS, load_set
from tests.benchmarks.table import Row
from wafergate.domain.evaluation import Figures
from wafergate.domain.models import Channels
from wafergate.domain.splits import Side

SECONDS = 1_200
SEEDS = (0, 1, 2)
GOLDEN = Channels.GOLDEN
STOCK = Recipe("stock", stock=True, few_images=False)
RECIPES: Mapping[str, tuple[Recipe, ...]] = {
    "boards": (
        Recipe("ours", window=256, channels=GOLDEN, image_size=640),
        STOCK,
        Recipe("without few_images", few_images=False, window=256, channels=GOLDEN, image_size=640),
        Recipe("without golden", window=256, image_size=640),
        Recipe("without windows", channels=GOLDEN, image_size=416),
        Recipe("with augmentation", window=256, channels=GOLDEN, image_size=640, augment=True),
    ),
    "tiles": (
        Recipe("ours", mosaic=0.5, image_size=320),
        STOCK,
        Recipe("without few_images", few_images=False, mosaic=0.5, image_size=320),
        Recipe("without mosaic", image_size=320),
        Recipe("with windows", mosaic=0.5, window=320),
        Recipe("with augmentation", mosaic=0.5, image_size=320, augment=True),
    ),
}
"""What is compared on each set, ours first.

Tiles have no golden reference, and no windows: cracks, breaks and uneven grinds reach across the whole tile, and what
learns from pieces of them answers with pieces, each too small to count. They have the line file's usual mosaic, as
their few parts are soon learnt by heart: in training nearly all are found. The mean average precision at the line's IoU
on validation, with and without it, after 28 epochs each: 0.25 and 0.15 of this cut; of the one before it 0.37 and 0.36,
there with mosaic in every image but those of the last quarter.
"""

RECALL = {"boards": 0.85, "tiles": 0.60}


@dataclass(frozen=True, slots=True)
class Cell:
    """One training and what it came to."""

    real: str
    recipe: Recipe
    seed: int

    def file(self, folder: Path, seconds: int) -> Path:
        """Return where the result is kept."""
        return folder / f"{self._taught}-{self.seed}{_apart(seconds)}.json"

    def epochs_file(self, folder: Path, seconds: int) -> Path:
        """Return where it is kept how many epochs the time buys, for all seeds."""
        return folder / f"{self._taught}{_apart(seconds)}.epochs"

    @property
    def _taught(self) -> str:
        return f"{self.real}-{self.recipe.name.replace(' ', '-')}"


def _apart(seconds: int) -> str:
    return "" if seconds == SECONDS else f"-{seconds}s"


def cells() -> Iterator[Cell]:
    """Yield all cells, the most telling first: ours and stock, then further seeds, then what each part brings."""
    for part in (slice(0, 2), slice(2, None)):
        for seed in SEEDS:
            for real, recipes in RECIPES.items():
                for recipe in recipes[part]:
                    yield Cell(real, recipe, seed)


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"  {text}", file=sys.stderr, flush=True)  # noqa: T201


def plan_epochs(cell: Cell, seconds: int) -> int:
    """Return how many epochs of a cell's recipe so much processor time pays for."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        real = load_set(cell.real, folder / "set")
        write_folder(real, cell.recipe, folder)
        return affordable_epochs(job_of(real, cell.recipe, folder, epochs=1, seed=cell.seed), cell.recipe, seconds, say)


def equal_epochs(cell: Cell, ours: int) -> int:
    """Return in how many epochs a cell's recipe is shown as many pixels as ours in `ours` epochs, at least two."""
    with tempfile.TemporaryDirectory() as scratch:
        real = load_set(cell.real, Path(scratch))
        own, each = pixels_an_epoch(real, RECIPES[cell.real][0]), pixels_an_epoch(real, cell.recipe)
    return max(2, round(ours * own / each))


def measure(cell: Cell, epochs: int, model: Path) -> dict[str, Any]:
    """Train a cell unless its exported model is there, freeze thresholds on validation and judge the held-out parts.

    Args:
        cell: set, recipe and seed.
        epochs: to train.
        model: where the exported file is, or will be; what its training took is written beside it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder, training = Path(scratch), model.with_suffix(".training")
        real = load_set(cell.real, folder / "set")
        if not (model.is_file() and training.is_file()):
            write_folder(real, cell.recipe, folder)
            onnx, spent = train(job_of(real, cell.recipe, folder, epochs=epochs, seed=cell.seed), cell.recipe, say)
            shutil.copyfile(onnx, model)
            training.write_text(json.dumps({"epochs": epochs, "seconds": round(spent)}), encoding="utf-8")
        said = {side: detect(real, side, model, cell.recipe) for side in (Side.VALIDATION, Side.TEST)}
        thresholds = frozen(real, said[Side.VALIDATION])
        figures = {side.value: _figures(judged(real, side, said[side], thresholds)) for side in said}
    return {**json.loads(training.read_text(encoding="utf-8")), "thresholds": dict(thresholds), **figures}


def _figures(found: Figures) -> dict[str, Any]:
    classes = {
        each.defect_class: {
            "found": each.recall.hits,
            "instances": each.recall.trials,
            "recall": each.recall.value,
            "precision": each.precision.value,
        }
        for each in found.classes
    }
    return {"classes": classes, "overkill": found.overkill.value, "escapes": found.escapes.value}


def run() -> list[Row]:
    """Return a row for every cell that is there, after training as many more as asked for."""
    folder = os.environ.get("WAFERGATE_FEW_IMAGES")
    if not WEIGHTS.is_file():
        return [Row("few images", "", "", None, "", f"skipped: no {WEIGHTS.relative_to(DATA.parent)}")]
    if folder is None:
        return [Row("few images", "", "", None, "", "set WAFERGATE_FEW_IMAGES to a folder of cells")]
    kept, seconds = Path(folder), int(os.environ.get("WAFERGATE_FEW_IMAGES_SECONDS", SECONDS))
    kept.mkdir(parents=True, exist_ok=True)
    missing = [cell for cell in cells() if not cell.file(kept, seconds).is_file()]
    missing = missing[: int(os.environ.get("WAFERGATE_FEW_IMAGES_CELLS", len(missing)))]
    if missing:
        _plan(kept, seconds)
    for cell in missing:
        target = cell.file(kept, seconds)
        say(target.stem)
        epochs = int(cell.epochs_file(kept, seconds).read_text(encoding="utf-8"))
        _keep(target, json.dumps(measure(cell, epochs, target.with_suffix(".onnx")), indent=1))
    return [row for cell in cells() for row in _rows(cell, kept, seconds)]


def _plan(kept: Path, seconds: int) -> None:
    """Write how long each recipe trains that it is not known of, ours and stock before the others."""
    for cell in cells():
        target = cell.epochs_file(kept, seconds)
        if target.is_file():
            continue
        say(target.stem)
        ours, stock, *_ = RECIPES[cell.real]
        if cell.recipe in (ours, stock):
            epochs = plan_epochs(cell, seconds)
        else:
            epochs = equal_epochs(
                cell, int(Cell(cell.real, ours, 0).epochs_file(kept, seconds).read_text(encoding="utf-8"))
            )
        _keep(target, str(epochs))


def _keep(target: Path, text: str) -> None:
    unfinished = target.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(target)


def _rows(cell: Cell, kept: Path, seconds: int) -> Iterator[Row]:
    what = f"few images, {cell.real}, {cell.recipe.name}, seed {cell.seed}"
    ours = cell.recipe.name == "ours"
    target = RECALL[cell.real]
    if not cell.file(kept, seconds).is_file():
        yield Row(what, "", "", None, f">= {target}" if ours else "", "not yet run")
        return
    found = json.loads(cell.file(kept, seconds).read_text(encoding="utf-8"))
    test = found["test"]
    lowest = min(each["recall"] for each in test["classes"].values())
    verdict = ("met" if lowest >= target else "missed") if ours else ""
    yield Row(f"{what}, lowest recall", f"{lowest:.2f}", f"{target}", lowest / target, f">= {target}" * ours, verdict)
    for name, each in test["classes"].items():
        precision = "none" if each["precision"] is None else f"{each['precision']:.2f}"
        yield Row(
            f"{what}, {name}, recall; precision",
            f"{each['recall']:.2f}; {precision}",
            "",
            None,
            "",
            f"{each['found']} of {each['instances']}",
        )
    if test["overkill"] is not None:
        verdict = ("met" if test["overkill"] <= OVERKILL else "missed") if ours else ""
        yield Row(f"{what}, overkill", f"{test['overkill']:.3f}", "", None, f"<= {OVERKILL}" * ours, verdict)
