"""The splitter: whole groups, an even test, the mentor's order of modes, and messages that say what is missing."""

import time
from collections import defaultdict
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.domain.splits import Assignment, Side, SplitMode, SplitPolicy
from wafergate.errors import SplitError
from wafergate.stages.group import assign_groups
from wafergate.stages.plan_power import counts_for, plan_normals, plan_power
from wafergate.stages.split import seal, split

pytestmark = pytest.mark.unit
BOX = Box(1, 1, 9, 9)


def make_sample(place: int, classes: tuple[str, ...], **metadata: str) -> Sample:
    boxes = tuple(LabelledBox(name, name, BOX) for name in classes)
    return Sample("d", place, f"i{place:05d}.png", f"{place:064x}", None, 64, 64, boxes, metadata)


def make_set(*images: tuple[str, str]) -> tuple[list[Sample], list[str]]:
    """Each image as (its group, one letter for each defect)."""
    samples = [make_sample(place, tuple(letters)) for place, (_, letters) in enumerate(images)]
    return samples, [group for group, _ in images]


def attempt(samples: list[Sample], groups: list[str], classes: str, policy: SplitPolicy) -> Assignment | str:
    """The split, or what the refusal says."""
    try:
        return split(samples, groups, classes, policy)
    except SplitError as refusal:
        return str(refusal)


def sides_of_groups(assignment: Assignment) -> dict[str, set[Side]]:
    found = defaultdict(set)
    for group, side in zip(assignment.groups, assignment.sides, strict=True):
        found[group].add(side)
    return found


def test_a_set_with_plenty_of_everything_reaches_the_wanted_counts_exactly():
    samples, groups = make_set(*[(f"g{n}", "abc"[n % 3]) for n in range(600)], *[(f"n{n}", "") for n in range(100)])
    found = split(samples, groups, "abc", SplitPolicy())
    assert found.mode is SplitMode.BOTH_EVEN
    assert found.counts["test"] == dict.fromkeys("abc", 100)
    assert found.counts["validation"] == dict.fromkeys("abc", 20)
    assert (found.optimal, found.gap, found.warnings) == (True, 0.0, ())
    assert found.evenness["test"] == found.evenness["validation"] == 1.0
    assert found.normal_images == {"train": 60, "validation": 20, "test": 20, "unused": 0}


def test_a_scarce_class_lowers_the_even_count_and_the_warning_names_it():
    samples, groups = make_set(*[(f"a{n}", "a") for n in range(300)], *[(f"f{n}", "f") for n in range(26)])
    found = split(samples, groups, "af", SplitPolicy())
    # 40 % of 26 stay: 15 may leave, in the proportion of 100 to 20, at least 5 for validation.
    assert found.counts["test"] == {"a": 10, "f": 10}
    assert found.counts["validation"] == {"a": 5, "f": 5}
    assert "test holds 10 of every class, 100 were asked for: f has 26 images in 26 groups" in found.warnings[0]


def test_when_both_cannot_be_even_the_test_is_and_validation_warns():
    samples, groups = make_set(*[(f"a{n}", "a") for n in range(300)], *[(f"f{n}", "f") for n in range(12)])
    found = split(samples, groups, "af", SplitPolicy())
    assert found.mode is SplitMode.TEST_EVEN
    assert found.counts["test"] == {"a": 6, "f": 6}
    assert found.counts["validation"] == {"a": 20, "f": 1}
    assert any("every number drawn from it is biased" in warning for warning in found.warnings)


def test_too_little_of_a_class_is_refused_with_what_to_collect():
    samples, groups = make_set(*[(f"a{n}", "a") for n in range(300)], *[(f"f{n % 4}", "f") for n in range(6)])
    with pytest.raises(SplitError) as refusal:
        split(samples, groups, "af", SplitPolicy())
    assert str(refusal.value) == (
        "no even test is possible: f: 6 images in 4 groups; an even test of 5 leaves 1 to train on; "
        "collect 4 more, or set min_test_per_class = 2"
    )


def test_following_the_advice_of_a_refusal_gives_a_split():
    images = [(f"a{n}", "a") for n in range(300)] + [(f"f{n}", "f") for n in range(6)]
    split(*make_set(*images), "af", SplitPolicy(min_test_per_class=2))
    split(*make_set(*images, *[(f"h{n}", "f") for n in range(4)]), "af", SplitPolicy())


def test_one_group_is_refused():
    samples, groups = make_set(*[("only", "ab") for _ in range(50)])
    with pytest.raises(SplitError, match=r"need a group each, found 1 \(only: 50 images\)"):
        split(samples, groups, "ab", SplitPolicy())


def test_a_class_without_any_image_is_refused_by_name():
    samples, groups = make_set(*[(f"a{n}", "a") for n in range(300)])
    with pytest.raises(SplitError, match="ghost: 0 images in 0 groups"):
        split(samples, groups, ["a", "ghost"], SplitPolicy())


def test_an_unknown_class_is_refused_by_image():
    samples, groups = make_set(("g", "z"))
    with pytest.raises(SplitError, match=r"i00000.png shows 'z'"):
        split(samples, groups, "ab", SplitPolicy())


def test_classes_that_never_come_evenly_are_refused():
    samples, groups = make_set(*[(f"g{n}", "aaaaab") for n in range(100)])
    with pytest.raises(SplitError, match=r"none more than 1\.25 times another"):
        split(samples, groups, "ab", SplitPolicy())


def test_large_uneven_groups_are_trimmed_to_an_even_test_and_the_rest_is_unused():
    rng = np.random.default_rng(1)
    images = [
        (f"board{b}", "".join(rng.choice(list("abc"), size=4, p=[0.5, 0.3, 0.2]))) for b in range(6) for _ in range(80)
    ]
    samples, groups = make_set(*images)
    found = split(samples, groups, "abc", SplitPolicy(test_per_class=48))
    assert found.counts["test"] == dict.fromkeys("abc", 48)  # 3 x 48 is a multiple of the 4 in each image
    assert found.counts["validation"] == dict.fromkeys("abc", 20)
    assert found.images["unused"] > 0
    assert not any(Side.TRAIN in sides and len(sides) > 1 for sides in sides_of_groups(found).values())
    assert any("a higher test_per_class uses them" in warning for warning in found.warnings)


def test_a_group_of_normal_images_larger_than_its_quota_teaches():
    samples, groups = make_set(*[(f"a{n}", "a") for n in range(60)], *[("big", "") for _ in range(50)])
    found = split(samples, groups, "a", SplitPolicy(test_per_class=10, val_per_class=5))
    assert found.normal_images["train"] == 50
    assert "test holds no image without defect: overkill cannot be judged on it" in found.warnings


def test_the_seed_decides_and_the_same_seed_decides_the_same():
    samples, groups = make_set(*[(f"g{n}", "ab"[n % 2]) for n in range(100)])
    policy = SplitPolicy(test_per_class=10, val_per_class=5)
    first = split(samples, groups, "ab", policy)
    assert split(samples, groups, "ab", policy) == first
    assert split(samples, groups, "ab", replace(policy, seed=1)).sides != first.sides


def brute_force(held: list[tuple[int, ...]], allowance: list[int], policy: SplitPolicy) -> tuple[int, int, int]:
    """Best (t, v, -deviation) over every way to hand out whole groups, by trying all."""
    best = (0, 0, 0)
    for hands in product((0, 1, 2), repeat=len(held)):
        sums = np.zeros((3, len(held[0])), int)
        for hand, counts in zip(hands, held, strict=True):
            sums[hand] += counts
        if (sums[1] + sums[2] > allowance).any():
            continue
        for t, v in product(range(2, policy.test_per_class + 1), range(1, policy.val_per_class + 1)):
            fits = v * policy.test_per_class >= t * policy.val_per_class
            fits = fits and all(sums[1] >= t) and all(sums[1] <= 1.25 * t)
            if fits and all(sums[2] >= v) and all(sums[2] <= 1.25 * v):
                best = max(best, (t, v, -int((sums[1] - t).sum() + (sums[2] - v).sum())))
    return best


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=5, max_size=7), st.integers(0, 3))
def test_whole_groups_are_chosen_as_well_as_by_trying_all(held, seed):
    held = [counts for counts in held if any(counts)]
    policy = SplitPolicy(
        test_per_class=6, val_per_class=3, min_test_per_class=2, min_val_per_class=1, min_train_share=0.2, seed=seed
    )
    totals = np.array(held).sum(axis=0) if held else np.zeros(2, int)
    allowance = [min(int(0.8 * total + 1e-9), total - 1) for total in totals]
    # One image a group cannot be trimmed without losing the group, so that whole groups are all there is.
    samples, groups = make_set(*[(f"g{n}", "a" * a + "b" * b) for n, (a, b) in enumerate(held)])
    expected = brute_force(held, allowance, policy) if held else (0, 0, 0)
    found = attempt(samples, groups, "ab", policy)
    if isinstance(found, str) or found.mode is SplitMode.TEST_EVEN:
        assert expected == (0, 0, 0)
        return
    counts = [list(found.counts[side].values()) for side in ("test", "validation")]
    best = max(
        (t, v, -(sum(counts[0]) - 2 * t + sum(counts[1]) - 2 * v))
        for t, v in product(range(2, 7), range(1, 4))
        if min(counts[0]) >= t and min(counts[1]) >= v and v * 6 >= t * 3
    )
    assert best == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["", "a", "b", "c", "ab", "aab", "bc"])), max_size=30),
    st.integers(0, 40),
    st.sampled_from([0.0, 0.3, 0.6]),
)
def test_every_split_keeps_its_promises_on_any_set(images, more, share):
    # The set is drawn small and repeated in shifted groups, so that many of the sets can be split.
    images = [(group + 7 * lap, letters) for lap in range(1 + more // 4) for group, letters in images]
    samples, groups = make_set(*[(f"g{number}", letters) for number, letters in images])
    policy = SplitPolicy(test_per_class=12, val_per_class=6, min_train_share=share, time_limit_s=5)
    found = attempt(samples, groups, "abc", policy)
    if isinstance(found, str):
        assert any(
            told in found for told in ("no even test is possible: ", "no choice of groups", "a group each", "none")
        )
        return
    assert len(found.sides) == len(samples)
    for sides in sides_of_groups(found).values():
        assert len(sides - {Side.UNUSED}) <= 1, "a group crosses"
        assert sides != {Side.TRAIN, Side.UNUSED}
    for name in "abc":
        total = sum(found.counts[side][name] for side in Side)
        assert total == sum(sample.classes.count(name) for sample in samples)
        assert found.counts["train"][name] >= max(1, share * total - 1e-9)
        assert found.counts["test"][name] >= 5
    assert found.evenness["test"] <= 1.25
    assert found.mode is SplitMode.TEST_EVEN or found.evenness["validation"] <= 1.25
    assert sum(found.images.values()) == len(samples)


def test_a_large_long_tailed_set_is_split_with_proof_in_seconds():
    rng = np.random.default_rng(0)
    names = [f"c{n}" for n in range(12)]
    weights = 0.7 ** np.arange(12)
    drawn = rng.choice(12, 20_000, p=weights / weights.sum())
    samples = [make_sample(n, (names[c],) if n % 2 else ()) for n, c in enumerate(drawn)]
    groups = [f"g{n}" for n in rng.integers(0, 8_000, len(samples))]
    start = time.perf_counter()
    found = split(samples, groups, names, SplitPolicy())
    assert time.perf_counter() - start < 10
    assert found.optimal
    assert found.evenness["test"] == 1.0


def test_a_time_limit_that_ends_the_search_is_told():
    rng = np.random.default_rng(3)
    images = [
        (f"b{b}", "".join(rng.choice(list("abcdefgh"), size=8))) for b in range(9) for _ in range(int(rng.integers(40)))
    ]
    samples, groups = make_set(*images)
    found = attempt(samples, groups, "abcdefgh", SplitPolicy(time_limit_s=0.06))
    if isinstance(found, str):
        assert "time_limit_s" in found
    else:
        assert found.optimal or any("the time limit of 0.06 s ended the search" in line for line in found.warnings)


def test_the_seal_depends_on_the_test_images_and_their_boxes_alone():
    samples, _ = make_set(*[(f"g{n}", "a") for n in range(4)])
    sides = [Side.TEST, Side.TEST, Side.TRAIN, Side.TRAIN]
    sealed = seal(samples, sides)
    assert seal(samples[::-1], sides[::-1]) == sealed
    assert seal(samples, [Side.TEST, Side.TEST, Side.VALIDATION, Side.UNUSED]) == sealed
    assert seal(samples, [Side.TEST, Side.TRAIN, Side.TEST, Side.TRAIN]) != sealed
    moved = replace(samples[0], boxes=(LabelledBox("a", "a", Box(1, 1, 9, 10)),))
    assert seal([moved, *samples[1:]], sides) != sealed


def test_without_a_policy_each_image_is_its_own_group_and_equal_bytes_are_one():
    samples = [make_sample(n, ()) for n in range(4)]
    samples[3] = replace(samples[3], image=samples[1].image)
    groups = assign_groups(samples, SplitPolicy())
    assert groups[1] == groups[3]
    assert len(set(groups)) == 3


def test_metadata_neighbours_bytes_and_given_pairs_are_joined_into_one_unit():
    lots = ["x", "x", "y", "z", "w", "v"]
    numbers = [10, 500, 12, 900, 2000, 3000]
    samples = [
        make_sample(n, (), lot=lot, num=str(num)) for n, (lot, num) in enumerate(zip(lots, numbers, strict=True))
    ]
    samples[3] = replace(samples[3], image=samples[2].image)
    policy = SplitPolicy(group_by=("lot",), neighbour_key="num", neighbour_gap=2)
    groups = assign_groups(samples, policy, same=[(samples[3].name, samples[4].name)])
    # 0 and 1 share a lot, 0 and 2 follow each other, 2 and 3 are the same bytes, 3 and 4 were given.
    assert groups == ["w"] * 5 + ["v"]


def test_neighbours_chain_across_exposures_up_to_the_gap():
    samples = [make_sample(n, (), num=str(num)) for n, num in enumerate([30, 10, 20, 41])]
    groups = assign_groups(samples, SplitPolicy(neighbour_key="num", neighbour_gap=10))
    assert groups[0] == groups[1] == groups[2] != groups[3]


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        (SplitPolicy(group_by=("wafer",)), "'wafer' of every image, i00000.png has none"),
        (SplitPolicy(neighbour_key="lot"), "whole number under 'lot' for every image, i00000.png has 'x'"),
    ],
)
def test_a_missing_or_wrong_key_is_refused_by_image(policy, match):
    with pytest.raises(SplitError, match=match):
        assign_groups([make_sample(0, (), lot="x")], policy)


def test_power_follows_the_published_counts():
    test, totals = {"a": 29, "b": 28, "c": 0}, {"a": 200, "b": 50, "c": 3}
    rows = plan_power(
        {"test": test, "train": {name: totals[name] - test[name] for name in totals}},
        {"a": 0.90, "b": 0.90, "c": 0.98},
        confidence=0.95,
        policy=SplitPolicy(),
    )
    assert [(row.decidable, row.more_test) for row in rows] == [(True, 0), (False, 1), (False, 149)]
    # 29 in test and 6 in validation are 60 % of 59; a test of 100 never holds 149, however many are labelled.
    assert [(row.collect, row.test_per_class) for row in rows] == [(0, 0), (9, 0), (0, 149)]
    assert rows[0].best_provable == pytest.approx(0.05 ** (1 / 29))


def test_what_taught_cannot_be_moved_so_the_power_planner_asks_for_new_instances():
    counts = {"train": {"a": 500}, "validation": {"a": 6}, "test": {"a": 20}, "unused": {"a": 4}}
    (row,) = plan_power(counts, {"a": 0.90}, confidence=0.95, policy=SplitPolicy())
    assert row.collect == 29 - 20 - 4


def test_labels_are_asked_for_only_where_the_policy_lets_them_judge():
    counts = counts_for(100, ("a",), SplitPolicy())
    asked = [
        plan_power(counts, {"a": 0.98}, confidence=0.95, policy=SplitPolicy(test_per_class=wanted))[0]
        for wanted in (100, 148, 149)
    ]
    assert [(row.collect > 0, row.test_per_class) for row in asked] == [(False, 149), (False, 149), (True, 0)]
    held = counts_for(149, ("a",), SplitPolicy())
    (row,) = plan_power(held, {"a": 0.98}, confidence=0.95, policy=SplitPolicy())
    assert (row.decidable, row.test_per_class) == (True, 0)


@given(st.integers(1, 200), st.floats(0.5, 0.99), st.integers(1, 40))
def test_a_class_that_collects_what_the_planner_asks_for_is_decidable(test, limit, validation):
    policy = SplitPolicy(val_per_class=validation, test_per_class=300)
    counts = counts_for(test, ("a",), policy)
    (row,) = plan_power(counts, {"a": limit}, confidence=0.95, policy=policy)
    # The splitter may take what min_train_share leaves; validation has its share of test.
    grown = row.instances + row.collect
    spare = int(0.6 * grown + 1e-9)
    needed = row.test_instances + row.more_test
    assert needed + max(min(5, validation), validation / 300 * needed) <= spare + 1e-9
    assert row.decidable == (row.best_provable >= limit - 1e-12)


@pytest.mark.parametrize(("limit", "needed"), [(0.10, 29), (0.05, 59), (0.02, 149), (1.0, 0)])
def test_normal_images_prove_an_overkill_rate_as_defects_prove_a_recall(limit, needed):
    assert plan_normals(needed, limit, confidence=0.95).decidable
    assert needed == 0 or plan_normals(needed - 1, limit, confidence=0.95).more_test == 1
