"""What commands tell, each thing once."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.telling import Teller, artifact_key
from tests import rows
from tests.unit.small_line import parts_in
from wafergate.cli.drift import show_report
from wafergate.cli.progress import bar
from wafergate.domain.drift import DriftVerdict

pytestmark = pytest.mark.unit


def test_the_end_of_a_stage_is_told_once_however_often_the_stage_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with bar() as progress:
        for fold in (1, 2):
            for done in (16, 32, 32):
                progress(f"judging fold {fold}", done, 32)
            progress("writing", 3, 3)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "  judging fold 1: 32 of 32",
        "  writing: 3 of 3",
        "  judging fold 2: 32 of 32",
        "  writing: 3 of 3",
    ]


@pytest.mark.parametrize("tell", [bar, Teller])
def test_a_wait_is_told_when_it_begins_and_once(tell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with tell() as progress:
        for _ in range(2):
            progress("waiting: another training runs on this machine", 0, 0)
    assert capsys.readouterr().err.splitlines() == ["  waiting: another training runs on this machine"]


class Deaf(Teller):
    """A Prefect that does not take the progress."""

    tried = 0

    def _tell_prefect(self, percent: float) -> None:
        self.tried += 1
        message = f"503 Service Unavailable, {percent:.0f} %"
        raise ConnectionError(message)


def test_work_goes_on_where_prefect_does_not_take_its_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flows.telling._ARTIFACT_EVERY_S", 0.0)
    with Deaf() as progress:
        for done in range(1, 6):
            progress("training", done, 5)
    assert progress.tried == 1, "and is not tried again at once"
    told = capsys.readouterr().err
    assert "Prefect does not take the progress: 503 Service Unavailable" in told
    assert "training: 5 of 5" in told


@given(st.text(min_size=1))
def test_prefect_takes_the_key_of_any_stage(stage: str) -> None:
    assert re.fullmatch("[a-z0-9-]+", artifact_key(stage))
    assert artifact_key("trying 模型-A") == "trying----a"


def test_a_report_on_too_few_images_shows_no_empty_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = parts_in(tmp_path)
    full = rows.drift_report("pcb", rows.model("pcb", "a"))
    few = replace(full, id="drift-few", features=(), slices=(), verdict=DriftVerdict.NOT_ENOUGH)
    for row in (full, few):
        parts.facts.save(row)
    show_report(parts, full.id)
    assert "distance" in capsys.readouterr().out
    show_report(parts, few.id)
    said = capsys.readouterr().out
    assert "distance" not in said
    assert said.startswith(DriftVerdict.NOT_ENOUGH.value)
