"""Golden parts: what counts as the same answer, and that a check goes through the inspection and alerts at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.small_line import Thread, line_of, parts_in, run_thread
from wafergate.adapters.source import open_source
from wafergate.domain.alerts import Alert
from wafergate.domain.evaluation import Detections
from wafergate.domain.gate import LedgerEntry
from wafergate.domain.geometry import Box
from wafergate.domain.golden import DifferenceKind, GoldenAnswers, GoldenPart, GoldenPolicy, GoldenRun, GoldenSet
from wafergate.domain.inspection import FoundBox
from wafergate.domain.samples import LabelledBox
from wafergate.errors import NotFoundError, SourceError
from wafergate.jobs.golden import FIRST_CHECK, check_golden, seal_golden
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import promote
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.golden import compare_answers, labelled_answers

pytestmark = pytest.mark.unit

PART = GoldenPart("a.png", "aa" * 32, None, ())
BOX: FoundBox = ("excess", 0.8, 10.0, 10.0, 30.0, 30.0)


def kinds(expected: Sequence[FoundBox], found: Sequence[FoundBox]) -> list[DifferenceKind]:
    return [item.kind for item in compare_answers(PART, expected, found, iou=0.9, score=0.05)]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([BOX], []),
        ([("excess", 0.76, 10.0, 10.0, 30.0, 30.5)], []),
        ([], [DifferenceKind.MISSING]),
        ([BOX, ("missing", 0.9, 60.0, 60.0, 70.0, 70.0)], [DifferenceKind.EXTRA]),
        ([("missing", 0.8, 10.0, 10.0, 30.0, 30.0)], [DifferenceKind.CLASS]),
        ([("excess", 0.8, 10.0, 10.0, 30.0, 24.0)], [DifferenceKind.BOX]),
        ([("excess", 0.74, 10.0, 10.0, 30.0, 30.0)], [DifferenceKind.SCORE]),
        ([("excess", 0.8, 60.0, 60.0, 80.0, 80.0)], [DifferenceKind.MISSING, DifferenceKind.EXTRA]),
    ],
)
def test_each_kind_of_difference_is_called_by_its_name(found: list[FoundBox], told: list[DifferenceKind]) -> None:
    assert kinds([BOX], found) == told


corners = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(4, 40), st.integers(4, 40))
boxes = st.lists(
    st.builds(
        lambda name, score, at: (name, score, float(at[0]), float(at[1]), float(at[0] + at[2]), float(at[1] + at[3])),
        st.sampled_from(["excess", "missing"]),
        st.floats(0.1, 1.0),
        corners,
    ),
    max_size=6,
)


@given(boxes, st.randoms())
def test_the_same_answer_in_any_order_is_no_difference(answer: list[FoundBox], random: Any) -> None:
    apart = list({box[2:]: box for box in answer}.values())  # of two boxes in one place either may be meant
    shuffled = random.sample(apart, len(apart))
    assert kinds(apart, shuffled) == []


@given(boxes, boxes)
def test_every_box_on_either_side_is_answered_for(expected: list[FoundBox], found: list[FoundBox]) -> None:
    said = compare_answers(PART, expected, found, iou=1.0, score=1e-9)
    missing = sum(item.kind is DifferenceKind.MISSING for item in said)
    extra = sum(item.kind is DifferenceKind.EXTRA for item in said)
    assert len(expected) - missing == len(found) - extra


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    counts = dict.fromkeys(("particle", "scratch", "bridge", "void"), 22)
    write_sample(folder, seed=3, batches=(Batch(images=counts, normal=12, lots=12),), size=96)
    return folder


@pytest.fixture
def ran(tmp_path: Path, source: Path) -> tuple[Parts, LineFile, Thread]:
    parts, line = parts_in(tmp_path), line_of(tmp_path)
    thread = run_thread(parts, line, open_source(source))
    promote(parts, thread.decision.id, actor="kim", reason="it passed")
    return parts, line, thread


def seal(parts: Parts, line: LineFile, source: Path) -> GoldenSet:
    done = seal_golden(parts, line, open_source(source), "coco", actor="kim", reason="audited")
    return parts.facts.get(GoldenSet, done.id)


def check(parts: Parts, line: LineFile) -> GoldenRun:
    return parts.facts.get(GoldenRun, check_golden(parts, line).id)


def test_sealed_parts_are_answered_as_sealed_and_leave_no_trace_in_production(
    ran: tuple[Parts, LineFile, Thread], source: Path
) -> None:
    parts, line, _ = ran
    row = seal(parts, line, source)
    assert row.parts
    assert len(row.parts) + row.left_out == 100
    (told,) = [entry for entry in parts.facts.find(LedgerEntry) if entry.kind == "sealed"]
    assert (told.subject, told.actor, told.reason) == (row.id, "kim", "audited")
    run = check(parts, line)
    assert (run.differences, run.parts, run.picture) == ((), len(row.parts), "")
    assert parts.facts.find(Alert, cause="golden") == []
    assert parts.inspections.runs(line.name) == []


def test_sealing_twice_changes_nothing(ran: tuple[Parts, LineFile, Thread], source: Path) -> None:
    parts, line, _ = ran
    first = seal(parts, line, source)
    again = seal_golden(parts, line, open_source(source), "coco", actor="lee", reason="again")
    assert again == (first.id, True)
    assert len([entry for entry in parts.facts.find(LedgerEntry) if entry.kind == "sealed"]) == 1


class Saying:
    """A detector that says the same of every image."""

    def __init__(self, said: Detections) -> None:
        self._said = said

    def __call__(self, images: Sequence[Any], *, min_score: float) -> list[Detections]:
        assert min_score <= 1
        return [self._said for _ in images]


def test_a_change_anywhere_in_the_path_alerts_within_one_run_with_the_picture(
    ran: tuple[Parts, LineFile, Thread], source: Path
) -> None:
    parts, line, _ = ran
    seal(parts, line, source)

    run = check(replace(parts, load_detector=lambda *_: Saying(Detections.empty())), line)
    assert {item.kind for item in run.differences} == {DifferenceKind.MISSING}
    (alert,) = parts.facts.find(Alert, cause="golden")
    assert alert.subject == run.id
    assert alert.attachments == (run.picture,)
    picture = cv2.imdecode(np.frombuffer(parts.files.get(run.picture), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] > 216


def test_answers_that_changed_and_are_right_are_sealed_anew_and_held_to_from_then_on(
    ran: tuple[Parts, LineFile, Thread], source: Path
) -> None:
    parts, line, _ = ran
    line = line.model_copy(update={"golden": GoldenPolicy(iou=0.99)})
    first = seal(parts, line, source)

    class Shifted:
        """The same detector on a machine that sees all a quarter of a pixel further right."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def __call__(self, images: Sequence[Any], *, min_score: float) -> list[Detections]:
            said = self._real(images, min_score=min_score)
            return [replace(item, boxes=item.boxes + np.array([0.25, 0, 0.25, 0], np.float32)) for item in said]

    other = replace(parts, load_detector=lambda *given: Shifted(parts.load_detector(*given)))
    assert {item.kind for item in check(other, line).differences} == {DifferenceKind.BOX}
    second = seal(other, line, source)
    assert second.id != first.id
    assert [part.name for part in second.parts] == [part.name for part in first.parts]
    assert check(other, line).differences == ()
    assert check(parts, line).differences, "the answers of before are no longer the right ones"
    again = seal_golden(other, line, open_source(source), "coco", actor="lee", reason="again")
    assert again == (second.id, True)
    told = [entry.subject for entry in parts.facts.ledger(line.name) if entry.kind == "sealed"]
    assert told == [first.id, second.id]


def test_a_new_champion_is_held_to_the_labels_and_sealed_at_its_first_good_check(
    ran: tuple[Parts, LineFile, Thread], source: Path
) -> None:
    parts, line, _ = ran
    row = seal(parts, line, source)
    known = parts.facts.find(GoldenAnswers, set_id=row.id)
    parts.facts._of(GoldenAnswers).clear()  # type: ignore[attr-defined]  # as if another model had become champion
    run = check(parts, line)
    assert (run.answers_id, run.differences) == ("", ())
    (made,) = parts.facts.find(GoldenAnswers, set_id=row.id)
    assert (made.actor, made.answers) == (FIRST_CHECK, known[0].answers)
    assert check(parts, line).answers_id == made.id


def test_without_a_set_or_a_part_that_is_answered_right_it_says_so(
    ran: tuple[Parts, LineFile, Thread], source: Path
) -> None:
    parts, line, _ = ran
    with pytest.raises(NotFoundError, match="wafergate golden seal"):
        check_golden(parts, line)

    corner = np.array([[0.0, 0.0, 9.0, 9.0]], np.float32)
    wrong = Saying(Detections(corner, np.array([0.99], np.float32), np.array([0])))
    with pytest.raises(SourceError, match="answers as it is labelled"):
        seal(replace(parts, load_detector=lambda *_: wrong), line, source)


def test_labels_are_answers_in_the_same_places() -> None:
    labels = [LabelledBox("particle", "excess", Box(10, 10, 30, 30))]
    assert compare_answers(PART, labelled_answers(labels), [BOX], iou=0.9, score=1.0) == []
