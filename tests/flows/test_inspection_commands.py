"""What was inspected, asked, recounted and let go from the command line."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from tests import rows
from tests.flows.commands import ForkedCommands
from tests.flows.small import write_line
from wafergate.domain.gate import LedgerKind
from wafergate.domain.inspection import InspectedImage, InspectionRun
from wafergate.errors import ConfigError, PromotionError
from wafergate.ports import FactStore, InspectionStore

pytestmark = pytest.mark.services

BOX = (1.0, 2.0, 3.0, 4.0)


@pytest.fixture
def inspected(stored: FactStore, inspections: InspectionStore) -> str:
    """A line with one image of this month and one of 2025-01, both of lot L7."""
    line = f"kept-{uuid4().hex[:8]}"
    for row in (rows.dataset(line), rows.split(line), rows.training_set(line), rows.model(line, "a")):
        stored.save(row)
    now = datetime.now(UTC)
    run = InspectionRun(f"run-{line}", line, f"model-{line}-a", "lots/L7", 2, 2, {"scratch": 2}, 0, now)
    images = [
        InspectedImage(
            run_id=run.id, position=place, line=line, model_id=run.model_id, name=f"W1/die_{place}.png",
            image="ab" * 32, captured_at=at, lot="L7", detections=(("scratch", 0.91, *BOX),),
            weak=(("particle", 0.2, *BOX),),
        )
        for place, at in enumerate((now, datetime(2025, 1, 31, 23, 59, tzinfo=UTC)))
    ]  # fmt: skip
    inspections.save(run, images)
    return line


def test_old_months_go_by_one_command_that_first_shows_what_and_then_tells_who(
    wafergate: ForkedCommands, stored: FactStore, inspections: InspectionStore, inspected: str, tmp_path: Path
) -> None:
    line = ("--line", str(write_line(tmp_path / "kept.toml", inspected)))
    who = ("--as", "kim", "--reason", "policy 3")
    unsaid = wafergate("inspections", "retain", *line, *who)
    assert unsaid.code == ConfigError.exit_code
    assert "required [inspection] keep_months or --months" in unsaid.sentence
    shown = wafergate("inspections", "retain", *line, *who, "--months", "6", "--dry-run")
    assert shown.out.splitlines()[1].split() == ["2025-01", "1", "2"]
    assert "images 1, detections 2" in shown.out
    assert len(inspections.images(line=inspected)) == 2
    done = wafergate("inspections", "retain", *line, *who, "--months", "6")
    assert done.out == shown.out.replace("would be dropped", "dropped")
    assert [image.position for image in inspections.images(line=inspected)] == [0]
    (entry,) = stored.ledger(inspected)
    assert (entry.kind, entry.actor, entry.reason) == (LedgerKind.DROPPED, "kim", "policy 3")
    assert entry.details["months"] == {"2025-01": [1, 2]}
    again = wafergate("inspections", "retain", *line, *who, "--months", "6")
    assert again.out.startswith("dropped: images 0, detections 0")
    assert len(stored.ledger(inspected)) == 1
    assert sum(day.images for day in inspections.days(inspected)) == 2
    rolled = wafergate("inspections", "roll", *line)
    assert rolled.out == f"1 months of line {inspected} counted again: all right\n"


@pytest.mark.parametrize("command", ["inspections months", "inspections list", "lot show L7", "audit list"])
def test_a_line_is_named_by_its_name_or_its_file(
    wafergate: ForkedCommands, inspected: str, tmp_path: Path, command: str
) -> None:
    file = write_line(tmp_path / "kept.toml", inspected)
    by_file, by_name = (wafergate(*command.split(), "--line", str(named)) for named in (file, inspected))
    assert by_file == by_name
    assert inspected in by_name.out
    assert by_name.code == 0


def test_images_are_listed_within_80_columns(wafergate: ForkedCommands, inspected: str, tmp_path: Path) -> None:
    line = ("--line", str(write_line(tmp_path / "kept.toml", inspected)))
    newest = wafergate("inspections", "list", *line, "--class", "scratch", "--days", "9999")
    assert max(map(len, newest.out.splitlines())) <= 80
    assert [row.split()[2] for row in newest.out.splitlines()[1:3]] == ["L7", "L7"]
    assert "(particle 0.20)" in newest.out
    assert newest.out.splitlines()[-1] == f"2 images of line {inspected} in 9999 days, newest first"
    cut = wafergate("inspections", "list", *line, "--days", "9999", "--limit", "1")
    assert cut.out.splitlines()[-1] == f"the newest 1 images of line {inspected} in 9999 days; more with --limit"
    assert wafergate("inspections", "list", *line, "--class", "void").out.startswith("0 images")
    doubtful = wafergate("inspections", "list", *line, "--order", "doubtful")
    assert doubtful.code == PromotionError.exit_code
    months = wafergate("inspections", "months", *line)
    assert months.out.splitlines()[1].split() == ["2025-01", "1", "2"]
    mixed = wafergate("inspections", "list", *line, "--order", "novel", "--lot", "L7")
    assert "--class and --lot go with --order newest" in mixed.sentence
