"""`wafergate plan` and `wafergate split …` over the real store: what is told, and that sides outlast a version."""

from pathlib import Path

import pytest

from tests.flows.commands import ForkedCommands
from tests.flows.small import write_line
from wafergate.domain.gate import LedgerKind
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import Side, Split, SplitMember
from wafergate.errors import NotFoundError, SplitError
from wafergate.ports import FactStore
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.services

FIRST = Batch(images={"particle": 20, "scratch": 20}, normal=8, lots=8)
LATER = Batch(images={"particle": 20, "scratch": 20}, normal=8, lots=8, first_lot=9)


def sides(stored: FactStore, number: int) -> dict[str, Side]:
    version = next(row for row in stored.find(DatasetVersion, line="sides") if row.number == number)
    split = stored.find(Split, dataset_id=version.id, limit=1)[0]
    return {member.image: member.side for member in stored.find(SplitMember, split_id=split.id)}


def test_a_line_is_planned_split_grown_and_its_worn_test_set_renewed(
    wafergate: ForkedCommands, stored: FactStore, tmp_path: Path
) -> None:
    line = write_line(tmp_path / "sides.toml", "sides", recall=0.75)
    options = ("--line", str(line))

    def intake(number: int, *batches: Batch) -> None:
        folder = tmp_path / f"export{number}"
        write_sample(folder, seed=11, batches=batches, size=96)
        said = wafergate("intake", *options, "--source", str(folder), "--format", "coco")
        assert said.code == 0, said.err

    intake(1, FIRST)
    early = wafergate("split", "show", *options)
    assert (early.code, "is not split yet" in early.err) == (NotFoundError.exit_code, True)
    planned, made = wafergate("plan", "1", *options), wafergate("split", "make", "1", *options)
    assert (planned.code, made.code) == (0, 0), planned.err + made.err
    assert max(map(len, (planned.out + made.out).splitlines())) <= 80
    for name, count in stored.find(Split, limit=1)[0].counts["test"].items():
        (row,) = [text.split() for text in planned.out.splitlines() if text.startswith(name)]
        assert int(row[2]) == count
    assert "(split before)" in wafergate("split", "make", *options).out
    refused = wafergate("split", "renew", *options, "--as", "Kim", "--reason", "worn")
    assert (refused.code, refused.sentence.startswith("the test set stays: ")) == (SplitError.exit_code, True)

    intake(2, FIRST, LATER)
    renewed = wafergate("split", "renew", *options, "--as", "Kim", "--reason", "worn")
    assert renewed.code == 0, renewed.err
    assert "looked at 0 times" in renewed.out
    first, second = sides(stored, 1), sides(stored, 2)
    for image, side in first.items():
        if side in {Side.TRAIN, Side.VALIDATION}:
            assert second[image] is side
        else:
            assert second[image] is not Side.TEST
    assert Side.TEST in second.values()
    (entry,) = stored.ledger("sides")
    assert (entry.kind, entry.actor, entry.reason) == (LedgerKind.RENEWED, "Kim", "worn")
    assert [row.id for row in stored.find(Split, id=entry.subject)]


def test_a_plan_before_any_data_needs_no_service(wafergate: ForkedCommands, tmp_path: Path) -> None:
    line = write_line(tmp_path / "early.toml", "early", recall=0.9)
    options = ("--line", str(line))
    few, enough = (
        wafergate("plan", *options, "--per-class", count, WAFERGATE_HOME="nowhere") for count in ("28", "29")
    )
    assert "lacks 1" in few.out
    assert "the gate cannot be decided for excess, missing" in few.out
    assert "the gate can be decided" in enough.out
