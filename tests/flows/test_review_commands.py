"""The review list through the command line, on the real services: out to a labelling tool and back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3

from tests.flows.commands import ForkedCommands, Said
from tests.flows.small import write_line
from wafergate.domain.gate import LedgerKind
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.validation_rows import ValidationResult
from wafergate.ports import FactStore
from wafergate.settings import Settings

pytestmark = pytest.mark.services

NAME = "reviewed"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_line(tmp_path_factory.mktemp("review") / "line.toml", NAME)


@pytest.fixture(scope="module")
def taken_in(
    wafergate: ForkedCommands, line: Path, small_source: Path, tmp_path_factory: pytest.TempPathFactory
) -> Said:
    """An intake whose export draws one box twice and another around the whole image."""
    source = tmp_path_factory.mktemp("drawn") / "source"
    shutil.copytree(small_source, source)
    document = json.loads((source / "annotations.json").read_text())
    first, last = document["annotations"][0], document["annotations"][-1]
    document["annotations"].append(first | {"id": 1_000_001})
    last["bbox"] = [0, 0, 96, 96]
    (source / "annotations.json").write_text(json.dumps(document))
    said = wafergate("intake", "--line", str(line), "--source", str(source), "--format", "coco")
    assert said.code == 0, said.err
    return said


@pytest.fixture(scope="module")
def review(wafergate: ForkedCommands, line: Path, taken_in: Said) -> Callable[..., Said]:
    """Run a command of `wafergate review` on the line."""
    del taken_in

    def run(command: str, *arguments: str, by: str = "") -> Said:
        who = ("--as", by, "--reason", "looked at it") if by else ()
        return wafergate("review", command, *arguments, "--line", NAME if command == "list" else str(line), *who)

    return run


def versions(stored: FactStore) -> list[DatasetVersion]:
    return stored.find(DatasetVersion, line=NAME)


def test_intake_says_how_many_boxes_to_look_at_and_the_list_shows_them(
    taken_in: Said, review: Callable[..., Said]
) -> None:
    assert "boxes to look at: wafergate review list --line reviewed" in " ".join(taken_in.err.split())
    said = review("list")
    assert "duplicate 2" in said.out
    assert "whole_image 1" in said.out
    assert all(len(row) <= 80 for row in said.out.splitlines()[:-1])


def test_data_docs_are_written_and_linked_in_prefect(
    wafergate: ForkedCommands, stored: FactStore, taken_in: Said, service_settings: Settings, tmp_path: Path
) -> None:
    version = taken_in.out.strip()
    said = wafergate("validation", "show", version, "--docs", str(tmp_path / "docs"))
    assert said.code == 0, said.err
    assert "box_duplicate" in said.out
    page = (tmp_path / "docs" / "index.html").read_text()
    assert "Validation of dataset version 1 of line reviewed" in page
    (result,) = stored.find(ValidationResult, dataset_id=version)
    wanted = {"artifacts": {"key": {"any_": ["data-docs"]}}}
    found = urllib3.request("POST", f"{service_settings.prefect_api_url}/artifacts/filter", json=wanted).json()
    assert result.docs is not None
    assert any(result.docs[2:] in artifact["data"] for artifact in found)


def test_a_correction_goes_out_and_comes_back_as_a_new_version_once(
    stored: FactStore, review: Callable[..., Said], tmp_path: Path
) -> None:
    folder = tmp_path / "to-review"
    assert review("export", "--to", str(folder)).code == 0
    assert len(list((folder / "pictures").glob("*-duplicate-*.png"))) == 2
    refused = review("export", "--to", str(folder))
    assert refused.code == 3
    assert "new or empty folder" in refused.sentence
    file = folder / "coco" / "annotations.json"
    document = json.loads(file.read_text())
    wrong = next(item for item in document["annotations"] if item["bbox"] == [0, 0, 96, 96])
    wrong["bbox"] = [10, 10, 20, 20]
    file.write_text(json.dumps(document))
    first = versions(stored)[0]
    dry = review("import", str(folder), "--dry-run", by="kim")
    assert "nothing was stored" in dry.out
    assert versions(stored)[0] == first
    for said, expected in (
        (review("import", str(folder), by="kim"), "version 2 of line reviewed: version 1 corrected by kim"),
        (review("import", str(file), by="kim"), "nothing to correct: whatever it changes in version 1 is in version 2"),
    ):
        assert said.code == 0, said.err
        assert expected in said.out
    assert [(row.number, row.parent) for row in versions(stored)] == [(2, first.id), (1, None)]
    (entry,) = [entry for entry in stored.ledger(NAME) if entry.kind is LedgerKind.CORRECTED]
    assert (entry.actor, entry.details["parent"]) == ("kim", first.id)
    assert "whole_image" not in review("list").out


def test_a_kept_box_leaves_the_list(stored: FactStore, review: Callable[..., Said], wafergate: ForkedCommands) -> None:
    row = next(line for line in review("list", "--kind", "duplicate").out.splitlines() if "duplicate" in line)
    said = wafergate("review", "keep", row.split()[0], "--as", "kim", "--reason", "two defects at one place")
    assert said.code == 0, said.err
    # the box was drawn twice in one place: both are the same box
    assert "2 kept (duplicate 2)" in review("list", "--state", "kept").out
    assert [entry.actor for entry in stored.ledger(NAME) if entry.kind is LedgerKind.REVIEWED] == ["kim"]


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"file_name": "nowhere.png"}, 4, "nowhere.png"),
        ({"width": 12}, 4, "was it resized in the labelling tool"),
    ],
)
def test_what_cannot_be_a_correction_is_one_sentence(
    review: Callable[..., Said], tmp_path: Path, change: dict[str, object], code: int, sentence: str
) -> None:
    folder = tmp_path / "out"
    assert review("export", "--to", str(folder), "--state", "all").code == 0
    document = json.loads((folder / "coco" / "annotations.json").read_text())
    document["images"][0].update(change)
    (tmp_path / "back.json").write_text(json.dumps(document))
    said = review("import", str(tmp_path / "back.json"), by="kim")
    assert said.code == code
    assert sentence in said.sentence


def test_an_unknown_kind_or_state_names_those_there_are(review: Callable[..., Said]) -> None:
    assert "--kind must be one of no_area, outside_image" in review("list", "--kind", "odd").sentence
    assert "--state must be open, kept, corrected or all" in review("list", "--state", "odd").sentence


def test_retraining_takes_a_source_or_a_version_and_not_both(wafergate: ForkedCommands, line: Path) -> None:
    for arguments in ((), ("--source", "x"), ("--version", "1", "--source", "x", "--format", "coco")):
        said = wafergate("retrain", "--line", str(line), *arguments)
        assert said.code == 3
        assert said.sentence.startswith("retrain needs either --source and --format")
