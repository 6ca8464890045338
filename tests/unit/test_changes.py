"""What differs between two dataset versions, against brute force where the answer is unique."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wafergate.domain.changes import BoxChangeKind, ImageChangeKind, compare_boxes, compare_samples
from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox, Sample

pytestmark = pytest.mark.unit

corner = st.integers(0, 9).map(float)
drawn = st.builds(
    lambda label, x1, y1, x2, y2: LabelledBox(label, label, Box(x1, y1, x2, y2)),
    st.sampled_from(["spur", "open"]), corner, corner, corner, corner,
)  # fmt: skip
boxes = st.lists(drawn, max_size=6)


def spur(*corners: float, label: str = "spur") -> LabelledBox:
    return LabelledBox(label, label, Box(*corners))


def sample(name: str, *held: LabelledBox, image: str = "", **told: str) -> Sample:
    return Sample("d", 0, name, image or name, None, 100, 100, held, told)


def kinds(before: Sequence[LabelledBox], after: Sequence[LabelledBox]) -> list[str]:
    return [change.kind.value for change in compare_boxes(before, after)]


@given(boxes, st.randoms())
def test_the_same_boxes_in_any_order_are_no_change(held: list[LabelledBox], random: "object") -> None:
    shuffled = list(held)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert compare_boxes(held, shuffled) == ()


@settings(max_examples=200)
@given(boxes, boxes)
def test_undoing_and_redoing_the_changes_gives_the_newer_boxes(
    before: list[LabelledBox], after: list[LabelledBox]
) -> None:
    changes = compare_boxes(before, after)
    result = Counter(before)
    result.subtract(change.before for change in changes if change.before)
    result.update(change.after for change in changes if change.after)
    assert +result == Counter(after)
    assert min(result.values(), default=0) >= 0
    for change in changes:
        assert change.before != change.after
        assert (change.before_index is None) == (change.kind is BoxChangeKind.ADDED)
        assert (change.after_index is None) == (change.kind is BoxChangeKind.REMOVED)
        if change.before_index is not None:
            assert before[change.before_index] == change.before
        if change.after_index is not None:
            assert after[change.after_index] == change.after


@settings(max_examples=200)
@given(boxes, boxes)
def test_no_box_is_named_twice_and_equal_boxes_are_never_named(
    before: list[LabelledBox], after: list[LabelledBox]
) -> None:
    changes = compare_boxes(before, after)
    common = sum((Counter(before) & Counter(after)).values())
    olds = [change.before_index for change in changes if change.before_index is not None]
    news = [change.after_index for change in changes if change.after_index is not None]
    assert len(set(olds)) == len(olds) == len(before) - common
    assert len(set(news)) == len(news) == len(after) - common


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(4)), st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=4, max_size=4))
def test_boxes_that_moved_a_little_find_themselves_as_the_best_of_all_assignments_does(
    order: list[int], shifts: list[float]
) -> None:
    before = [spur(30.0 * place, 0, 30.0 * place + 20, 20) for place in range(4)]
    moved = [spur(30.0 * place + shift, 0, 30.0 * place + 20 + shift, 20) for place, shift in enumerate(shifts)]
    after = [moved[place] for place in order]

    def distance(assignment: tuple[int, ...]) -> float:
        return sum(abs(before[old].box.x1 - after[new].box.x1) for old, new in enumerate(assignment))

    best = min(permutations(range(4)), key=distance)
    found = {change.before_index: change.after_index for change in compare_boxes(before, after)}
    assert found == {old: best[old] for old in range(4) if before[old] != after[best[old]]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([spur(0, 0, 10, 10)], [], ["removed spur [0, 0, 10, 10]"]),
        ([], [spur(0, 0, 10, 10)], ["added spur [0, 0, 10, 10]"]),
        ([spur(0, 0, 10, 10)], [spur(0, 0, 10, 8)], ["moved spur [0, 0, 10, 10] to [0, 0, 10, 8] (IoU 0.80)"]),
        ([spur(0, 0, 10, 10)], [spur(0, 0, 10, 10, label="open")], ["relabelled spur [0, 0, 10, 10] to open"]),
        (
            [spur(0, 0, 10, 10)],
            [spur(0, 0, 10, 8, label="open")],
            ["relabelled spur [0, 0, 10, 10] to open, now [0, 0, 10, 8] (IoU 0.80)"],
        ),
        ([spur(10, 0, 0, 10)], [spur(0, 0, 10, 10)], ["moved spur [10, 0, 0, 10] to [0, 0, 10, 10] (IoU 1.00)"]),
        ([spur(5, 5, 5, 9)], [spur(5, 5, 5, 9, label="open")], ["relabelled spur [5, 5, 5, 9] to open"]),
        (
            [spur(0, 0, 10, 10)],
            [spur(50, 50, 60, 60)],
            ["removed spur [0, 0, 10, 10]", "added spur [50, 50, 60, 60]"],
        ),
        (
            [LabelledBox("a", "spur", Box(0, 0, 4, 4))],
            [LabelledBox("b", "spur", Box(0, 0, 4, 4))],
            ["relabelled spur (a) [0, 0, 4, 4] to spur (b)"],
        ),
        (
            [replace(spur(0, 0, 4, 4), polygon=((0.0, 0.0), (4.0, 0.0), (4.0, 4.0)))],
            [spur(0, 0, 4, 4)],
            ["moved spur [0, 0, 4, 4]: its outline"],
        ),
    ],
)
def test_each_change_is_told_in_one_line(
    before: list[LabelledBox], after: list[LabelledBox], expected: list[str]
) -> None:
    assert [str(change) for change in compare_boxes(before, after)] == expected


def test_one_of_two_equal_boxes_can_go() -> None:
    twice = [spur(0, 0, 10, 10), spur(0, 0, 10, 10)]
    assert kinds(twice, twice[:1]) == ["removed"]


def test_of_two_that_overlap_alike_the_one_with_its_label_is_taken() -> None:
    after = [spur(0, 0, 10, 8, label="open"), spur(0, 2, 10, 10)]
    assert kinds([spur(0, 0, 10, 10)], after) == ["moved", "added"]


def test_images_are_found_by_name_then_by_bytes() -> None:
    before = [sample("kept"), sample("old", image="x"), sample("gone"), sample("other", image="1")]
    after = [sample("kept"), sample("new", image="x"), sample("come"), sample("other", image="2")]
    changes = compare_samples(before, after)
    assert [(item.name, item.before, item.kind.value) for item in changes.images] == [
        ("come", "", "added"),
        ("gone", "gone", "removed"),
        ("new", "old", "renamed"),
        ("other", "other", "replaced"),
    ]
    assert changes.unchanged == 1
    assert changes.image_counts[ImageChangeKind.CHANGED] == 0


def test_metadata_and_boxes_of_a_kept_image_are_told() -> None:
    before = sample("a", spur(0, 0, 5, 5), lot="1", die="7")
    after = replace(before, boxes=(), reference="r", metadata={"lot": "2", "die": "7"})
    (change,) = compare_samples([before], [after]).images
    assert (change.kind, change.told) == (ImageChangeKind.CHANGED, ("golden reference", "lot"))
    assert [box.kind for box in change.boxes] == [BoxChangeKind.REMOVED]


def test_the_boxes_of_an_image_that_comes_or_goes_are_counted() -> None:
    held = sample("a", spur(0, 0, 5, 5), spur(9, 9, 12, 12))
    assert compare_samples([held], []).box_counts[BoxChangeKind.REMOVED] == 2
    assert compare_samples([], [held]).box_counts[BoxChangeKind.ADDED] == 2
    assert compare_samples([held], [held]).images == ()
