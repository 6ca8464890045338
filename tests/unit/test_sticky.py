"""Sides outlast dataset versions: what taught never judges, what judges keeps judging, a retired test may teach."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import rows
from tests.unit.small_line import line_of, parts_in
from wafergate.adapters.images import encode_png
from wafergate.adapters.memory import MemoryFiles
from wafergate.domain.gate import LedgerKind
from wafergate.domain.geometry import Box
from wafergate.domain.samples import DatasetVersion, LabelledBox, Sample, count_classes
from wafergate.domain.splits import Assignment, Side, Split, SplitMember, SplitMode, SplitPolicy
from wafergate.domain.standing import Past, Renewal, Standing, bind_groups, standing_of, strongest
from wafergate.errors import SplitError
from wafergate.jobs.parts import Parts
from wafergate.jobs.past import looks, sealed
from wafergate.jobs.split import renew
from wafergate.jobs.split import split as split_job
from wafergate.stages.split import split

pytestmark = pytest.mark.unit

POLICY = SplitPolicy(test_per_class=12, val_per_class=6, min_train_share=0.3, time_limit_s=5)
Image = tuple[str, str]  # its group, one letter for each defect


def samples_of(images: Sequence[Image], *, first: int = 0) -> list[Sample]:
    made = []
    for place, (group, letters) in enumerate(images):
        boxes = tuple(LabelledBox(name, name, Box(1, 1, 9, 9)) for name in letters)
        number = first + place
        made.append(
            Sample("d", place, f"i{number:05d}.png", f"{number:064x}", None, 64, 64, boxes, {"lot": group}),
        )
    return made


class History:
    """The standings that a series of splits leaves behind, kept by hand."""

    def __init__(self) -> None:
        self.images: dict[str, Standing] = {}

    def past(self, samples: Sequence[Sample], groups: Sequence[str]) -> Past:
        stood = [self.images.get(sample.image) for sample in samples]
        return Past(stood, bind_groups(stood, groups))

    def keep(self, samples: Sequence[Sample], found: Assignment) -> None:
        for sample, side in zip(samples, found.sides, strict=True):
            standing = standing_of(side, retired=False)
            if standing is not None:
                self.images[sample.image] = strongest((standing, self.images.get(sample.image, standing)))

    def retire(self) -> None:
        self.images = {
            image: Standing.RETIRED if standing is Standing.TEST else standing
            for image, standing in self.images.items()
        }


def attempt(samples: list[Sample], history: History, policy: SplitPolicy = POLICY) -> Assignment | str:
    groups = [sample.metadata["lot"] for sample in samples]
    try:
        return split(samples, groups, "abc", policy, past=history.past(samples, groups))
    except SplitError as refusal:
        return str(refusal)


def made(samples: list[Sample], history: History, policy: SplitPolicy = POLICY) -> Assignment:
    found = attempt(samples, history, policy)
    assert isinstance(found, Assignment), found
    history.keep(samples, found)
    return found


images_drawn = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from(["", "a", "b", "c", "ab", "aab", "bc"])), min_size=4, max_size=24
)
MAY_BE = {
    Standing.TRAIN: {Side.TRAIN},
    Standing.VALIDATION: {Side.VALIDATION},
    Standing.TEST: {Side.TEST, Side.UNUSED},
    Standing.RETIRED: {Side.TRAIN, Side.VALIDATION, Side.UNUSED},
}


@settings(max_examples=40, deadline=None)
@given(st.lists(images_drawn, min_size=2, max_size=4), st.integers(2, 6), st.integers(0, 2), st.booleans())
def test_over_any_growing_versions_no_side_is_left_for_another_and_no_group_crosses(versions, laps, spread, renewing):
    images: list[Image] = []
    history = History()
    for number, arrivals in enumerate(versions):
        # Drawn small and repeated in shifted groups, so that many sets can be split; some join groups that are there.
        for lap in range(laps):
            images += [(f"g{group + 26 * lap + 13 * number * spread}", letters) for group, letters in arrivals]
        samples = samples_of(images)
        found = attempt(samples, history)
        if isinstance(found, str):
            continue
        sides_of = defaultdict(set)
        for sample, side in zip(samples, found.sides, strict=True):
            stood = history.images.get(sample.image)
            assert stood is None or side in MAY_BE[stood]
            sides_of[sample.metadata["lot"]].add(side)
        assert all(len(sides - {Side.UNUSED}) <= 1 for sides in sides_of.values())
        left_out = any(
            side is Side.UNUSED and history.images.get(sample.image) is Standing.TEST
            for sample, side in zip(samples, found.sides, strict=True)
        )
        assert left_out == any("of the earlier test set are left unused" in warning for warning in found.warnings)
        assert found.evenness["test"] <= 1.25
        assert min(found.counts["test"].values()) >= POLICY.min_test_per_class
        history.keep(samples, found)
        if renewing and number == 0:
            history.retire()


def spread_over(groups: str, **counts: int) -> list[Image]:
    """Images of one defect each, every one in a group of its own."""
    return [(f"{groups}{name}{n}", name) for name, count in counts.items() for n in range(count)]


def test_new_images_fill_the_test_where_evenness_needs_them():
    history = History()
    images = spread_over("x", a=60, b=60, c=12)
    first = made(samples_of(images), history)
    assert first.counts["test"] == dict.fromkeys("abc", 7)
    second = made(samples_of(images + spread_over("y", a=10, b=10, c=40)), history)
    assert second.mode is SplitMode.BOTH_EVEN
    assert second.counts["test"] == dict.fromkeys("abc", 12)
    assert second.optimal


def test_a_version_without_new_images_is_split_as_before_whatever_the_seed():
    history = History()
    samples = samples_of(spread_over("x", a=40, b=40, c=40))
    first = made(samples, history)
    assert made(samples, history, replace(POLICY, seed=5)).sides == first.sides


def test_new_images_of_a_group_follow_it():
    history = History()
    images = spread_over("x", a=40, b=40, c=40)
    first = made(samples_of(images), history)
    grown = [*images, *((group, "abc") for group, _ in images)]
    second = made(samples_of(grown), history)
    assert second.sides[: len(images)] == first.sides
    for old, new in zip(first.sides, second.sides[len(images) :], strict=True):
        assert new in {old, Side.UNUSED}
        assert new is old or old is not Side.TRAIN


def test_a_test_image_that_turns_out_to_belong_to_what_taught_leaves_the_test_and_is_told():
    history = History()
    images = spread_over("x", a=40, b=40, c=40)
    first = made(samples_of(images), history)
    taught, judged = first.sides.index(Side.TRAIN), first.sides.index(Side.TEST)
    images[judged] = images[taught]
    second = made(samples_of([*images, *spread_over("y", a=9, b=9, c=9)]), history)
    assert second.sides[judged] is Side.TRAIN
    assert any(warning.startswith("1 image left test: linked") for warning in second.warnings)
    assert second.counts["test"] == dict.fromkeys("abc", 12)


def test_a_class_that_comes_later_may_leave_earlier_test_images_out_but_they_never_teach():
    history = History()
    images = spread_over("x", a=60, b=60)
    samples = samples_of(images)
    groups = [sample.metadata["lot"] for sample in samples]
    history.keep(samples, split(samples, groups, "ab", POLICY))
    found = made(samples_of(images + spread_over("y", c=12)), history)
    assert found.counts["test"] == dict.fromkeys("abc", 7)
    assert found.counts["unused"] == {"a": 5, "b": 5, "c": 0}
    assert "10 images of the earlier test set are left unused: with all of them no test is even" in found.warnings


def test_when_all_of_a_class_taught_the_refusal_says_what_may_judge():
    history = History()
    history.images = {f"{n:064x}": Standing.TRAIN for n in range(40, 78)}
    refusal = attempt(samples_of(spread_over("x", a=40, b=40, c=40)), history)
    assert "b: 40 images in 40 groups, of which 2 may still judge; an even test needs 5; collect 3 more" in str(refusal)


# Through the store

CLASSES = {"e": "excess", "m": "missing"}


def version(parts: Parts, number: int, images: Sequence[Image], *, first: int = 0) -> str:
    """Store a dataset version; an image keeps its bytes by its place."""
    row_id = f"data-{number}"
    samples = [
        replace(
            sample, dataset_id=row_id, boxes=tuple(replace(b, defect_class=CLASSES[b.raw_label]) for b in sample.boxes)
        )
        for sample in samples_of(images, first=first)
    ]
    boxes, held = count_classes(samples, CLASSES.values())
    parts.facts.save(
        DatasetVersion(
            row_id, "dies", number, "folder", "coco", len(samples), 0, boxes, held, 0, True, "MIT", parts.clock()
        ),
        samples,
    )
    return row_id


def sides(parts: Parts, split_id: str) -> dict[str, Side]:
    return {member.image: member.side for member in parts.facts.find(SplitMember, split_id=split_id)}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path, files=PlainImages(tmp_path))


class PlainImages(MemoryFiles):
    """A plain image under every digest: splitting looks for near-duplicates, and plain ones are none."""

    def get(self, digest: str) -> bytes:
        assert len(digest) == 64
        return encode_png(np.full((8, 8), 128, np.uint8))


def plenty(groups: str, count: int) -> list[Image]:
    return [(f"{groups}{n}", "em"[n % 2]) for n in range(count)]


def test_a_new_version_keeps_every_earlier_image_on_its_side_and_a_rerun_finds_its_split(parts: Parts) -> None:
    line = line_of()
    first = split_job(parts, line, version(parts, 1, plenty("L", 80)))
    second = split_job(parts, line, version(parts, 2, plenty("L", 140)))
    before, after = sides(parts, first.id), sides(parts, second.id)
    assert {image: after[image] for image in before} == before
    assert split_job(parts, line, "data-1") == (first.id, True)
    assert split_job(parts, line, "data-2") == (second.id, True)


def test_of_images_with_equal_bytes_one_counts_and_a_look_at_it_is_one(parts: Parts) -> None:
    """Every other image comes under a second name, which sorts first."""
    line, first, again = line_of(), version(parts, 1, plenty("L", 80)), []
    for sample in parts.facts.find(Sample, dataset_id=first):
        copy = replace(sample, dataset_id="data-2", name=f"copy of {sample.name}", position=100 + sample.position)
        again += [replace(sample, dataset_id="data-2"), *([copy] if sample.position % 4 < 2 else [])]
    parts.facts.save(replace(parts.facts.get(DatasetVersion, first), id="data-2", number=2, images=120), again)
    alone, row = (parts.facts.get(Split, split_job(parts, line, name).id) for name in (first, "data-2"))
    members = parts.facts.find(SplitMember, split_id=row.id)
    judged = [member for member in members if member.side is Side.TEST]
    assert (row.counts, row.images, row.leak.cross_edges) == (alone.counts, alone.images, 0)
    assert len(judged) == len({member.image for member in judged}) == row.images["test"]
    assert {m.name[:4] for m in members if m.side is Side.UNUSED} == {"i000"}, "the first by name is used"
    assert "40 images are copies of others" in row.warnings[-1]
    twice = [replace(m, split_id="split-before", name=f"{m.name} {n}") for m in judged for n in range(2)]
    members = [replace(member, position=place) for place, member in enumerate(twice)]
    parts.facts.save(replace(row, id="split-before"), members)
    parts.facts.save(replace(rows.evaluation("dies", "a"), split_id="split-before"))
    assert looks(parts, row) == 1


def test_images_that_are_gone_still_speak_for_their_lot(parts: Parts) -> None:
    line = line_of()
    first = split_job(parts, line, version(parts, 1, [(f"L{n // 4}", "em"[n % 2]) for n in range(160)]))
    lots = {member.group: member.side for member in parts.facts.find(SplitMember, split_id=first.id)}
    fresh = [(f"L{n // 4}", "em"[n % 2]) for n in range(160)]
    second = split_job(parts, line, version(parts, 2, fresh, first=1000))
    for member in parts.facts.find(SplitMember, split_id=second.id):
        assert member.side in {lots[member.group], Side.UNUSED}


def test_a_policy_may_be_tried_out_until_something_was_trained(parts: Parts) -> None:
    dataset = version(parts, 1, plenty("L", 120))
    first = sides(parts, split_job(parts, line_of(), dataset).id)
    other = sides(parts, split_job(parts, line_of(test_per_class="test_per_class = 12\nseed = 9"), dataset).id)
    assert {image for image, side in first.items() if side is Side.TEST} != {
        image for image, side in other.items() if side is Side.TEST
    }


def test_a_renewed_test_holds_nothing_that_was_used_and_the_old_one_may_teach(parts: Parts) -> None:
    line = line_of()
    first = split_job(parts, line, version(parts, 1, plenty("L", 80)))
    grown = version(parts, 2, plenty("L", 130))
    second = renew(parts, line, grown, actor="kim", reason="worn")
    before, after = sides(parts, first.id), sides(parts, second.id)
    judged = {image for image, side in after.items() if side is Side.TEST}
    assert judged
    assert not judged & before.keys()
    assert Side.TEST not in {after[image] for image, side in before.items() if side is Side.TEST}
    assert Side.TRAIN in {after[image] for image, side in before.items() if side is Side.TEST}
    (entry,), (row,) = parts.facts.ledger(), parts.facts.find(Renewal)
    assert (entry.kind, entry.subject, entry.actor, entry.reason) == (LedgerKind.RENEWED, first.id, "kim", "worn")
    assert (row.split_id, row.images) == (first.id, 24)
    assert sealed(parts, parts.facts.get(DatasetVersion, grown)) == judged, "a retired test is no secret"
    assert split_job(parts, line, grown) == (second.id, True)


def test_a_retired_test_set_that_nobody_looked_at_is_retired_all_the_same(parts: Parts) -> None:
    line = line_of()
    dataset = version(parts, 1, plenty("L", 80))
    first = split_job(parts, line, dataset)
    with pytest.raises(SplitError, match="the test set stays: without its images no even test"):
        renew(parts, line, dataset, actor="kim", reason="worn")
    grown = version(parts, 2, plenty("L", 130))
    second = split_job(parts, line, grown)
    third = renew(parts, line, version(parts, 3, plenty("L", 180)), actor="kim", reason="worn")
    tests = [
        {image for image, side in sides(parts, row.id).items() if side is Side.TEST} for row in (first, second, third)
    ]
    assert tests[0] == tests[1]
    assert tests[2]
    assert not tests[1] & tests[2]


def test_without_new_images_a_test_set_is_not_retired(parts: Parts) -> None:
    line = line_of()
    dataset = version(parts, 1, plenty("L", 80))
    split_job(parts, line, dataset)
    grown = version(parts, 2, [*plenty("L", 80), ("N1", "e")])
    with pytest.raises(SplitError, match=r"the test set stays: .*may still judge"):
        renew(parts, line, grown, actor="kim", reason="worn")
    assert parts.facts.ledger() == []
    assert parts.facts.find(Renewal) == []
