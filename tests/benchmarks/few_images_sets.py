"""The two real sets as the benchmark of few images cuts them: once, by rule, and whole groups on each side.

Boards: two board groups are the test, every second board of two more the validation, and a hundred boards of each of
the other three are taught. Tiles: blocks of 20,000 neighbouring numbers, so chosen that every side holds every class;
tiles whose number lies within 200 of another side's block are left out, as they may show the same part again. The test
blocks were never judged before: those of the first cut, which two recipes had been judged on when the recipe changed,
are validation now.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from wafergate.adapters.images import Examiner, decode, encode_png
from wafergate.adapters.memory import MemoryFacts, MemoryFiles, MemoryInspections
from wafergate.adapters.onnx_detector import OnnxDetectorLoader
from wafergate.adapters.source import FolderSource
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile, load_line

DATA = Path(__file__).parents[3] / "shared" / "data"
LINES = Path(__file__).parents[1] / "data"
WEIGHTS = DATA / "weights" / "yolox-nano-coco.pt"

OVERKILL = 0.05
"""What the line of the tiles allows here, as the benchmark asks no more of it; boards without defect are not known."""

BOARDS_TAUGHT = 100
BLOCK, NEAR = 20_000, 200
TILE_BLOCKS = dict.fromkeys((4, 6, 7, 9, 14), Side.TEST) | dict.fromkeys((1, 3, 5), Side.VALIDATION)

_BOARD_GROUPS = {
    "group77000": Side.TEST,
    "group92000": Side.TEST,
    "group44000": Side.VALIDATION,
    "group50600": Side.VALIDATION,
}


@dataclass(frozen=True, slots=True)
class RealSet:
    """A real set, cut.

    Attributes:
        name: `boards` or `tiles`.
        line: the line file it is read by.
        parts: stores in memory that hold its images.
        sides: its samples by side.
    """

    name: str
    line: LineFile
    parts: Parts
    sides: dict[Side, list[Sample]]


class _Chosen:
    """A folder of which only some images are seen."""

    def __init__(self, root: Path, side_of: Callable[[str], Side | None], suffix: str) -> None:
        self._folder = FolderSource(root)
        self.title = self._folder.title
        self._names = [name for name in self._folder.names() if not name.endswith(suffix) or side_of(name)]

    def names(self) -> Sequence[str]:
        return self._names

    def unsafe(self) -> Sequence[tuple[str, str]]:
        return self._folder.unsafe()

    def read(self, name: str) -> bytes:
        return self._folder.read(name)

    def open(self, name: str) -> BinaryIO:
        return self._folder.open(name)


def board_sides(names: Sequence[str]) -> dict[str, Side]:
    """Return the side of every board that takes part; `names` are paths of `*_test.jpg`."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(next(part for part in name.split("/") if part.startswith("group")), []).append(name)
    sides = {}
    for group, boards in groups.items():
        side = _BOARD_GROUPS.get(group, Side.TRAIN)
        step = {Side.TEST: 1, Side.VALIDATION: 2}.get(side, 1)
        taken = boards[::step]
        if side is Side.TRAIN:
            taken = [boards[place * len(boards) // BOARDS_TAUGHT] for place in range(BOARDS_TAUGHT)]
        sides |= dict.fromkeys(taken, side)
    return sides


def tile_side(name: str) -> Side | None:
    """Return the side of a tile by its number; None near a block of another side."""
    found = re.search(r"num_(\d+)", name)
    if not found:
        return None
    number = int(found.group(1))
    near = {TILE_BLOCKS.get((number + shift) // BLOCK, Side.TRAIN) for shift in (-NEAR, 0, NEAR)}
    return near.pop() if len(near) == 1 else None


def load_set(name: str, work: Path) -> RealSet:
    """Read a set through the product's own intake.

    Args:
        name: `boards` or `tiles`.
        work: folder for scratch files.
    """
    if name == "boards":
        line, root, form = load_line(LINES / "pcb.toml"), DATA / "deeppcb", "deeppcb"
        sides = board_sides([each for each in FolderSource(root).names() if each.endswith("_test.jpg")])
        side_of: Callable[[str], Side | None] = lambda each: sides.get(each.replace("_temp.", "_test."))  # noqa: E731
    else:
        line, root, form, side_of = load_line(LINES / "tiles.toml"), DATA / "magnetic-tile", "masks", tile_side
        line = line.model_copy(update={"gate": replace(line.gate, overkill=OVERKILL)})
    (work / "cache").mkdir(parents=True, exist_ok=True)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    facts = MemoryFacts(clock=lambda: now)
    parts = Parts(
        facts=facts,
        files=MemoryFiles(work / "cache"),
        inspections=MemoryInspections(facts),
        examiner=lambda most: Examiner(max_pixels=most),
        decode=decode,
        encode=encode_png,
        validate=None,  # type: ignore[arg-type] # nothing is validated here
        trainers={},
        load_detector=OnnxDetectorLoader(threads=1),
        meter=None,  # type: ignore[arg-type] # nothing is measured
        catalogue={},
        clock=lambda: now,
        work=work,
    )
    dataset = ingest(parts, line, _Chosen(root, side_of, ".jpg"), form).id  # type: ignore[arg-type]
    cut: dict[Side, list[Sample]] = {side: [] for side in (Side.TRAIN, Side.VALIDATION, Side.TEST)}
    for sample in parts.facts.find(Sample, dataset_id=dataset):
        side = side_of(sample.name)
        if side is not None:
            cut[side].append(sample)
    return RealSet(name, line, parts, cut)
