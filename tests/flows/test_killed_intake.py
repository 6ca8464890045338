"""Intake killed at random moments and run again leaves exactly the rows and objects of one clean run."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.flows.taking_in import real_parts, take_in, take_in_and_tell
from tests.unit.small_line import parts_in
from wafergate.adapters.images import encode_png
from wafergate.adapters.s3_client import connect
from wafergate.domain.review import ReviewItem
from wafergate.domain.samples import DatasetVersion, ImageRecord, Quarantined, Sample
from wafergate.domain.validation_rows import ValidationResult
from wafergate.jobs.parts import Parts
from wafergate.settings import Settings

pytestmark = pytest.mark.services

IMAGES = 10
LIMIT_S = 60.0
SEED = 20_260_301


class Export:
    """A small export of its own images: some enter, one is cut short, one nobody labelled."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.line = folder / f"export{number}", f"killed-{number}"
        self.folder.mkdir()
        self.folder.with_suffix(".toml").write_text(f'[line]\nname = "{self.line}"\nclasses = ["pit"]\n')
        images, annotations = [], []
        rng = np.random.default_rng([SEED, number])
        for place in range(IMAGES):
            data = encode_png(rng.integers(0, 256, (24, 24)).astype(np.uint8))
            (self.folder / f"{place}.png").write_bytes(data[:-20] if place == 1 else data)
            if place > 0:
                images.append({"id": place, "file_name": f"{place}.png"})
            if place > 3:
                annotations.append({"id": place, "image_id": place, "category_id": 1, "bbox": [1, 2, place, 4.5]})
        document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "pit"}]}
        (self.folder / "a.json").write_text(json.dumps(document))


class Stored:
    """What the services hold, seen from outside the product's own code where it can be."""

    def __init__(self, values: Settings) -> None:
        keys = (values.s3_access_key.get_secret_value(), values.s3_secret_key.get_secret_value())
        self._client = connect(values.s3_endpoint, *keys, secure=values.s3_secure, region=values.s3_region)
        self._bucket, self._url = values.s3_bucket, values.database_url.get_secret_value()

    def objects(self) -> set[str]:
        found = self._client.list_objects(self._bucket, recursive=True)
        return {item.object_name.removeprefix("blobs/").replace("/", "") for item in found}

    def images(self) -> set[str]:
        with psycopg.connect(self._url) as connection:
            return {row[0] for row in connection.execute("SELECT id FROM image")}


def timeless(rows: Iterable[Any]) -> list[Any]:
    """Return rows without the moment they were written at, which no two runs share."""
    return sorted((replace(row, created_at=None) for row in rows), key=lambda row: row.id)


def rows_of(parts: Parts, line: str) -> dict[str, Any]:
    """Return everything intake wrote about a line."""
    versions = parts.facts.find(DatasetVersion, line=line)
    samples = [row for version in versions for row in parts.facts.find(Sample, dataset_id=version.id)]
    images = {digest for row in samples for digest in (row.image, row.reference) if digest}
    return {
        "versions": timeless(versions),
        "samples": samples,
        "quarantine": timeless(parts.facts.find(Quarantined, line=line)),
        "validation": timeless(
            row for version in versions for row in parts.facts.find(ValidationResult, dataset_id=version.id)
        ),
        "review": timeless(parts.facts.find(ReviewItem, line=line)),
        "images": timeless(parts.facts.find(ImageRecord, id=sorted(images))),
    }


def killed(export: Export, work: Path, *, validate: bool, after: float | None) -> tuple[bool, float]:
    """Run intake in a process and kill it; return whether it was still at work, and how long it worked."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flows.preloaded"])
    heard, begun = context.Pipe(duplex=False)
    arguments = (dict(os.environ), export.folder, work, begun)
    process = context.Process(target=take_in_and_tell, args=arguments, kwargs={"validate": validate})
    process.start()
    assert heard.poll(LIMIT_S), "the process never began"
    start = time.perf_counter()
    process.join(LIMIT_S if after is None else after)
    if process.exitcode is None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0, time.perf_counter() - start


@pytest.mark.parametrize(("validate", "kills"), [(False, 40), (True, 10)], ids=["images", "images and validation"])
def test_intake_killed_at_fifty_moments_and_run_again_leaves_what_one_clean_run_leaves(
    service_settings: Settings, tmp_path: Path, validate: bool, kills: int
) -> None:
    chance, stored, parts = (
        np.random.default_rng(SEED),
        Stored(service_settings),
        real_parts(service_settings, tmp_path),
    )
    numbers = count(1000 * validate)
    # the shortest of three, so that most moments drawn from it meet a process at work
    whole = min(killed(Export(tmp_path, next(numbers)), tmp_path, validate=validate, after=None)[1] for _ in range(3))
    met, unfinished = 0, 0
    for number in islice(numbers, 4 * kills):
        export = Export(tmp_path, number)
        objects, images = stored.objects(), stored.images()
        hit, _ = killed(export, tmp_path, validate=validate, after=chance.uniform(0, whole))
        met += hit
        unfinished += not parts.facts.find(DatasetVersion, line=export.line)
        take_in(parts, export.folder, validate=validate)
        clean = parts_in(tmp_path / f"clean{number}")
        take_in(clean, export.folder, validate=validate)
        wanted = rows_of(clean, export.line)
        assert rows_of(parts, export.line) == wanted
        assert stored.images() - images == {row.id for row in wanted["images"]}
        kept = {row.id for row in wanted["images"]} | {row.digest for row in wanted["quarantine"]}
        kept |= {digest for row in wanted["validation"] for digest in (row.report, row.docs)}
        assert stored.objects() == objects | kept  # a report may be the same as another export's
        if met == kills:
            break
    assert met == kills, f"only {met} kills met a process at work"
    assert unfinished
