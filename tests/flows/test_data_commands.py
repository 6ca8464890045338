"""Quarantine and dataset versions through the command line, on the real services."""

import json
import shutil
from pathlib import Path

import pytest

from tests.flows.commands import ForkedCommands
from wafergate.domain.gate import LedgerKind
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.errors import ConfigError, NotFoundError, QuarantineError
from wafergate.ports import FactStore
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.services

LINE = """
[line]
name = "data"
classes = ["particle", "scratch"]
[intake]
reference = "{folder}/{stem}_golden{suffix}"
"""


def test_what_was_set_aside_is_let_in_compared_and_written_out(
    wafergate: ForkedCommands, stored: FactStore, tmp_path: Path
) -> None:
    source, line = tmp_path / "week1", tmp_path / "data.toml"
    line.write_text(LINE)
    write_sample(source, seed=9, batches=(Batch(images={"particle": 3, "scratch": 3}, normal=3, lots=3),), size=96)
    shutil.copy(next((source / "images").glob("*_golden.png")), source / "images" / "extra.png")
    intake = ("intake", "--line", str(line), "--source", str(source), "--format", "coco")
    said = wafergate(*intake)
    assert said.code == 0, said.err
    assert "1 set aside: wafergate quarantine list --line data" in said.err

    listed = wafergate("quarantine", "list", "--line", "data")
    assert max(map(len, listed.out.splitlines())) <= 80
    assert "1 in quarantine: image_without_label 1" in listed.out
    entry = next(row.split()[0] for row in listed.out.splitlines() if "image_without_label" in row)
    shown = wafergate("quarantine", "show", entry, "--to", str(tmp_path / "bytes.png"))
    assert "s3://" in shown.out
    assert (tmp_path / "bytes.png").read_bytes() == (source / "images" / "extra.png").read_bytes()
    decided = ("--as", "kim", "--reason", "a good die")
    assert wafergate("quarantine", "release", entry, *decided).code == 0
    again = wafergate("quarantine", "release", entry, *decided)
    assert again.code == QuarantineError.exit_code
    assert "released before, by kim" in again.sentence
    assert [(told.kind, told.actor, told.reason) for told in stored.ledger("data")] == [
        (LedgerKind.QUARANTINE, "kim", "a good die")
    ]
    assert wafergate("quarantine", "show", "0000000").code == NotFoundError.exit_code

    # the released image has no golden reference of its own and needs none for channels 'image'
    said = wafergate(*intake)
    assert said.code == 0, said.err
    newest, first = stored.find(DatasetVersion, line="data")
    assert (newest.images, newest.quarantined) == (first.images + 1, 0)
    differs = wafergate("data", "diff", "1", "2", "--line", "data")
    assert f"images: {first.images} unchanged, 1 added" in differs.out
    assert "added images/extra.png" in differs.out
    assert wafergate("data", "show", newest.id).out.startswith("version")
    assert wafergate("data", "list", "--line", "data").out.split().count("coco") == 2

    export = ("data", "export", "2", "--line", "data", "--format", "yolo", "--to", str(tmp_path / "out"))
    written = wafergate(*export)
    assert written.code == 0, written.err
    assert f"wrote {newest.images} images, {sum(newest.instances.values())} boxes" in written.out
    assert json.loads((tmp_path / "out" / "dataset_version.json").read_text())["id"] == newest.id
    assert wafergate(*export).code == ConfigError.exit_code
    assert wafergate("intake", "--line", str(line), "--source", str(tmp_path / "out"), "--format", "yolo").code == 0
    back = stored.find(DatasetVersion, line="data", limit=1)[0]
    files = [
        [(row.name, row.image, row.classes) for row in stored.find(Sample, dataset_id=one.id)] for one in (newest, back)
    ]
    assert files[0] == files[1]
