"""Lots of drawn dies that a champion inspects, each under names that no other test has."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, parts_in, run_thread
from wafergate.adapters.arrivals import Settled
from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import InspectedImage
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import promote
from wafergate.sample.generate import Batch, write_sample

LINE = "dies"
Files = dict[str, bytes]
LOTS = count()


def drawn(folder: Path) -> Files:
    """Return dies with their golden references and labels."""
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_champion(folder: Path, files: Files) -> Parts:
    """Return a line with a champion."""
    parts = parts_in(folder)
    promote(parts, run_thread(parts, line_of(), MemorySource(files)).decision.id, actor="kim", reason="test")
    return parts


def lot_of(files: Files, images: int) -> tuple[str, Files]:
    """Return some dies, each beside its golden reference, under names no other test has."""
    lot = f"lot{next(LOTS)}"
    names = sorted(name for name in files if name.endswith(".png") and "_golden" not in name)[:images]
    pairs = [name for item in names for name in (item, item.replace(".png", "_golden.png"))]
    return lot, {f"{lot}/{Path(name).name}": files[name] for name in pairs}


def stored(parts: Parts, lot: str) -> list[InspectedImage]:
    return [image for image in parts.inspections.images(line=LINE) if image.name.startswith(f"{lot}/")]


def golden_of(pictures: Files, name: str) -> bytes:
    return pictures[name.replace(".png", "_golden.png")]


def pauses(*steps: Callable[[], None]) -> Callable[[], bool]:
    """Do one step at each pause; over when none is left."""
    left = list(steps)

    def pause() -> bool:
        if not left:
            return False
        left.pop(0)()
        return True

    return pause


def whole(files: Files, refused: Sequence[tuple[str, str]] = ()) -> Settled:
    """Look at a place whose files appear whole, each with its digest, as objects on S3 do."""
    return Settled(MemorySource(files, refused), {name: digest_bytes(data) for name, data in files.items()})


def nothing() -> None:
    """Let time pass."""
