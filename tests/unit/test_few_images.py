"""Few images: what changes with their number, windows and turns, even classes, the weakest class, bounded overkill."""

import math
import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.test_evaluate import alarms, column, joined
from wafergate.adapters.libreyolo_few_images import NORMAL, Lessons, judged_at_a_time
from wafergate.domain.few_images import PLAIN, Teaching, teach
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.operating import operating_points
from wafergate.domain.training import TrainingJob
from wafergate.domain.weakest import weakest_class
from wafergate.jobs.training_job import Start, training_job
from wafergate.line import parse_line
from wafergate.stages.windows import cut_window, place_window, turn

pytestmark = pytest.mark.unit
LINE = '[line]\nname = "few"\nclasses = ["pit"]\n'


# what changes with the number of originals ----------------------------------------------------------------------


def test_the_fewer_the_originals_the_more_is_done_for_them() -> None:
    few, some, many = (teach(count) for count in (300, 5_000, 50_000))
    assert few.frozen > some.frozen == many.frozen == 0
    assert (few.even_classes, some.even_classes, many.even_classes) == (True, True, False)
    assert few.backbone_rate == some.backbone_rate < many.backbone_rate == 1
    assert few.weakest_class
    assert many.weakest_class


def test_only_a_network_that_brings_weights_is_taught_by_the_number_of_originals(tmp_path: Path) -> None:
    line = parse_line(LINE, tmp_path / "line.toml")
    candidate = Candidate("mine", "libreyolo", "LibreYOLOXn", "MIT")
    brings, fresh = (
        training_job(line, Start(candidate, weights, None), tmp_path, [], channels=Channels.IMAGE)
        for weights in (tmp_path / "weights.pt", None)
    )
    assert (brings.teaching, brings.turns) == (teach(0), True)
    assert (fresh.teaching, fresh.turns) == (PLAIN, False)


@given(st.sampled_from([0, 128, 256, 640, 900]), st.integers(0, 8), st.integers(1, 8))
def test_judging_in_a_training_takes_no_more_pixels_at_a_time_than_its_steps(
    window: int, micro: int, batch: int
) -> None:
    job = TrainingJob(
        Candidate("n", "libreyolo", "LibreYOLOXn", "MIT"), ("a",), Path(), Path(), None, Channels.IMAGE, 640, 1, batch,
        0.0, 0.0, 0, "cpu", window=window, micro_batch=micro,
    )  # fmt: skip
    at_a_time = judged_at_a_time(job)
    step = (micro or batch) * (min(window or 640, 640)) ** 2
    assert at_a_time * 640**2 <= max(step, 640**2)
    assert (at_a_time + 1) * 640**2 > step, "and no fewer than fit"


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.integers(1, 60), st.integers(1, 9))
def test_a_backbone_thaws_stage_by_stage_and_never_freezes_again(
    frozen: float, more: float, epochs: int, stages: int
) -> None:
    teaching = Teaching(frozen=frozen, thawed=frozen + more)
    learning = [teaching.learning_stages(epoch, epochs, stages) for epoch in range(epochs + 1)]
    assert learning == sorted(learning)
    assert learning[-1] == stages
    whole = frozen * epochs >= 1
    assert all((each == 0) == (whole and epoch < frozen * epochs) for epoch, each in enumerate(learning))


@given(st.integers(1, 19), st.integers(1, 9))
def test_a_short_training_of_few_images_freezes_no_epoch(epochs: int, stages: int) -> None:
    assert {teach(300).learning_stages(epoch, epochs, stages) for epoch in range(epochs)} == {stages}
    assert teach(300).learning_stages(0, 20, stages) == 0


# windows ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(20, 200), st.integers(20, 200), st.integers(16, 128))
def test_a_window_shows_its_box_as_far_as_it_can(seed: int, height: int, width: int, window: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    x, y = rng.randrange(width - 10), rng.randrange(height - 10)
    box = np.array([x, y, x + rng.randint(1, width - x), y + rng.randint(1, height - y)], np.float32)
    left, top = place_window((height, width), window, around=box, rng=rng)
    assert 0 <= left <= max(0, width - window)
    assert 0 <= top <= max(0, height - window)
    for corner, low, high in ((left, box[0], box[2]), (top, box[1], box[3])):
        if high - low <= window:
            assert corner <= low
            assert high <= corner + window
        else:
            assert low <= corner
            assert corner + window <= high


def test_a_cut_box_keeps_its_label_while_enough_of_it_is_seen() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    labels = np.array([[10, 10, 30, 30, 0], [55, 10, 75, 30, 1], [58, 60, 78, 80, 1]], np.float32)
    piece, kept = cut_window(image, labels, left=0, top=0, window=64, min_visible=0.4)
    assert piece.shape == (64, 64, 3)
    assert kept.tolist() == [[10, 10, 30, 30, 0], [55, 10, 64, 30, 1]]


@given(st.integers(0, 7), st.integers(4, 30), st.integers(4, 30), st.integers(0, 2**32))
def test_a_turned_box_still_holds_its_pixels(quarters: int, height: int, width: int, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    x, y = rng.randrange(width - 1), rng.randrange(height - 1)
    x2, y2 = rng.randint(x + 1, width), rng.randint(y + 1, height)
    image = np.zeros((height, width, 3), np.uint8)
    image[y:y2, x:x2] = 255
    turned, labels = turn(image, np.array([[x, y, x2, y2, 3]], np.float32), quarters)
    left, top, right, bottom, label = labels[0].astype(int)
    assert label == 3
    assert (turned[top:bottom, left:right] == 255).all()
    assert np.count_nonzero(turned) == np.count_nonzero(image)


# even classes ----------------------------------------------------------------------------------------------------


class Shelf:
    """A stand-in for LibreYOLO's data set: class 0 on 90 images, class 1 on 6, and 4 without defect."""

    def __init__(self, normal: int = 4) -> None:
        boxes = [[[8, 8, 20, 20, 0]]] * 90 + [[[30, 30, 50, 50, 1]]] * 6 + [[]] * normal
        self.labels = [np.array(each, np.float32).reshape(-1, 5) for each in boxes]

    def __len__(self) -> int:
        return len(self.labels)

    def load_anno(self, index: int) -> NDArray[np.float32]:
        return self.labels[index]

    def pull_item(self, index: int) -> tuple[Any, ...]:
        return np.full((64, 64, 3), index, np.uint8), self.labels[index].copy(), (64, 64), index


def shown(lessons: Lessons) -> Counter[str]:
    places = range(len(lessons))
    return Counter("".join(str(int(label[4])) for label in lessons.pull_item(place)[1]) or "-" for place in places)


@pytest.mark.parametrize("window", [0, 32])
def test_an_epoch_shows_every_class_equally_often(window: int) -> None:
    random.seed(3)
    counts = shown(Lessons(Shelf(), window=window, turns=True, even=True))
    assert counts["-"] == 100 // NORMAL
    assert abs(counts["0"] - counts["1"]) <= 1
    assert sum(counts.values()) == 100


def test_without_normal_images_every_place_shows_a_defect() -> None:
    random.seed(3)
    counts = shown(Lessons(Shelf(normal=0), window=0, turns=False, even=True))
    assert counts == {"0": 48, "1": 48}


def test_classes_fall_as_they_do_where_even_ones_are_not_asked_for() -> None:
    assert shown(Lessons(Shelf(), window=0, turns=False, even=False)) == {"0": 90, "1": 6, "-": 4}


def test_a_process_that_loads_images_gets_the_same_lessons() -> None:
    lessons = pickle.loads(pickle.dumps(Lessons(Shelf(), window=0, turns=False, even=False)))  # noqa: S301
    assert shown(lessons) == {"0": 90, "1": 6, "-": 4}


def test_the_same_seed_gives_the_same_epoch() -> None:
    epochs = []
    for _ in range(2):
        random.seed(11)
        lessons = Lessons(Shelf(), window=32, turns=True, even=True)
        epochs.append([lessons.pull_item(place) for place in range(20)])
    for mine, again in zip(*epochs, strict=True):
        assert (mine[0] == again[0]).all()
        assert (mine[1] == again[1]).all()


# the weakest class and bounded overkill --------------------------------------------------------------------------


def test_the_weakest_class_decides_before_the_mean() -> None:
    def rank(first: list[float], second: list[float]) -> float:
        truth, said = joined(column(first, 0), column(second, 1))
        return weakest_class(truth, said, 2, iou=0.5).rank

    lopsided, even = rank([0.9] * 10, [0.9] * 5 + [-1.0] * 5), rank([0.9] * 7 + [-1.0] * 3, [0.9] * 7 + [-1.0] * 3)
    assert even > lopsided
    assert rank([0.9] * 10, [0.9] * 5 + [-1.0] * 5) > rank([0.9] * 6 + [-1.0] * 4, [0.9] * 5 + [-1.0] * 5)


def test_false_alarms_count_against_the_weakest_class_and_absent_classes_do_not() -> None:
    truth, said = joined(column([0.9, 0.2]), alarms([0.5] * 20))
    seen = weakest_class(truth, said, 2, iou=0.5)
    assert seen.recalls[0] == 0.5
    assert np.isnan(seen.recalls[1])
    assert 0.5 < seen.rank < 0.51


def test_a_state_that_alarms_everywhere_ranks_below_one_that_misses_a_few() -> None:
    wild = weakest_class(*joined(column([0.3] * 5), alarms([0.5] * 20)), 1, iou=0.5)
    calm = weakest_class(*joined(column([0.9] * 4 + [-1.0]), alarms([0.5] * 4)), 1, iou=0.5)
    assert wild.recalls == (0,)
    assert calm.recalls == (0.8,)
    assert calm.rank > wild.rank > 0  # what it finds still tells it from one that finds nothing


def test_no_class_pays_for_the_overkill_of_another() -> None:
    """Of ten normal images one may raise an alarm at `overkill = 0.2`: half of it is aimed at."""
    defects = [column([0.9, 0.8, 0.7, 0.2], 0), column([0.9, 0.85, 0.6, 0.1], 1)]
    for loud, hits, basis in ((1, 4, "target"), (5, 3, "overkill")):
        truth, said = joined(*defects, alarms([0.3] * loud + [0.01] * (10 - loud), 0))
        points = operating_points(truth, said, ("open", "short"), target_recall=1.0, iou=0.5, overkill=0.2)
        assert [(point.recall.hits, point.basis) for point in points] == [(hits, basis), (4, "target")]
    assert "more overkill than the line allows" in points[0].warning


def test_a_class_that_no_overkill_could_pay_for_is_given_up_and_says_so() -> None:
    truth, said = joined(column([0.9, 0.8], 0), column([0.2, -1.0], 1), alarms([0.3] * 10, 1))
    kept, lost = operating_points(truth, said, ("open", "short"), target_recall=1.0, iou=0.5, overkill=0.2)
    assert (kept.recall.hits, lost.recall.hits, lost.false_alarms) == (2, 0, 0)
    assert "finds 0 of 2" in lost.warning


SCORE = st.integers(1, 9).map(lambda tenths: tenths / 10)


@given(
    st.lists(st.lists(st.one_of(st.just(-1.0), SCORE), min_size=1, max_size=5), min_size=2, max_size=3),
    st.lists(st.tuples(st.integers(0, 1), SCORE), min_size=1, max_size=12),
    st.sampled_from([0.2, 0.4, 0.8]),
)
def test_overkill_is_kept_and_every_class_has_what_all_could_have_together(
    defects: list[list[float]], normal: list[tuple[int, float]], overkill: float
) -> None:
    """Against every common recall, tried one by one."""
    names = [str(index) for index in range(len(defects))]
    truth, said = joined(
        *(column(scores, index) for index, scores in enumerate(defects)),
        *(alarms([score], index) for index, score in normal),
    )
    points = operating_points(truth, said, names, target_recall=1.0, iou=0.5, overkill=overkill)
    own = {int(point.defect_class): point for point in points if point.basis != "other_classes"}
    allowed = math.floor(overkill / 2 * len(normal))

    def alarmed(limits: dict[int, float]) -> int:
        return sum(score >= limits.get(index, math.inf) for index, score in normal)

    assert alarmed({index: point.threshold for index, point in own.items()}) <= allowed
    found = {index: sorted(score for score in defects[index] if score >= 0) for index in own}
    for share in (part / 60 for part in range(1, 61)):
        needed = {index: min(math.ceil(share * len(defects[index]) - 1e-9), len(found[index])) for index in own}
        if alarmed({index: found[index][-count] for index, count in needed.items()}) <= allowed:
            assert all(
                own[index].recall.hits >= count for index, count in needed.items() if own[index].basis == "overkill"
            )


def test_the_target_stands_where_the_line_bounds_no_overkill_or_it_costs_none() -> None:
    truth, said = joined(column([0.9, 0.8, 0.7, 0.2]), alarms([0.3] * 5))
    free, costly = (
        operating_points(truth, said, ("open",), target_recall=1.0, iou=0.5, overkill=limit)[0] for limit in (1.0, 0.1)
    )
    assert (free.basis, free.recall.hits) == ("target", 4)
    assert (costly.basis, costly.recall.hits) == ("overkill", 3)
    without = operating_points(*column([0.9, 0.2]), ("open",), target_recall=1.0, iou=0.5, overkill=0.01)[0]
    assert (without.basis, without.recall.hits) == ("target", 2)
