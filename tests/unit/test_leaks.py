"""The leak check: each of the six kinds is found when planted, and the mentor's two examples come out as he said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.domain.augmentation import AugmentPolicy
from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.domain.splits import LeakItem, LeakKind, SplitPolicy
from wafergate.domain.training_rows import TrainingItem
from wafergate.stages.augment import plan
from wafergate.stages.group import assign_groups
from wafergate.stages.leaks import check_leaks, item_of_sample, item_of_training
from wafergate.stages.split import split

pytestmark = pytest.mark.unit

TILES = [Box(x, y, x + 50, y + 50) for x in (0, 50) for y in (0, 50)]


def item(name: str, *, image: str = "", group: str = "", origin: str = "", region: Box | None = None) -> LeakItem:
    return LeakItem(name, image or f"bytes of {name}", group or f"group of {name}", origin, region)


def tile(number: int, region: Box) -> LeakItem:
    return item(f"part.png#{number}", group="part", origin="part.png", region=region)


CLEAN = [item("clean")]


def test_one_image_cut_into_four_tiles_may_judge():
    proof = check_leaks(CLEAN, [], [tile(n, region) for n, region in enumerate(TILES)])
    assert proof.cross_edges == 0
    assert proof.pairs == 4 + 6


def test_the_original_plus_its_four_tiles_is_refused():
    proof = check_leaks(
        CLEAN, [], [item("part.png", group="part"), *[tile(n, region) for n, region in enumerate(TILES)]]
    )
    assert proof.kinds[LeakKind.PARENT] == 4
    assert proof.cross_edges == 4
    assert proof.examples[0] == "parent: test part.png and test part.png#0"


def test_two_overlapping_tiles_are_refused():
    proof = check_leaks(CLEAN, [], [tile(0, Box(0, 0, 60, 50)), tile(1, Box(59, 49, 110, 100))])
    assert (proof.kinds[LeakKind.OVERLAP], proof.cross_edges) == (1, 1)


def test_tiles_that_share_an_edge_do_not_overlap():
    assert check_leaks(CLEAN, [], [tile(0, Box(0, 0, 60, 50)), tile(1, Box(60, 0, 110, 50))]).cross_edges == 0


@pytest.mark.parametrize(
    ("kind", "teaches", "judges"),
    [
        (LeakKind.SAME_BYTES, item("a", image="x"), item("b", image="x")),
        (LeakKind.SAME_GROUP, item("a", group="lot 7"), item("b", group="lot 7")),
        (LeakKind.NEAR_DUPLICATE, item("a"), item("near a")),
        (LeakKind.PARENT, item("a"), item("b", origin="a", region=Box(0, 0, 5, 5))),
        (LeakKind.CHILD, item("b", origin="a", region=Box(0, 0, 5, 5)), item("a")),
        (
            LeakKind.OVERLAP,
            item("b", origin="a", region=Box(0, 0, 5, 5)),
            item("c", origin="a", region=Box(4, 4, 9, 9)),
        ),
    ],
)
def test_each_kind_is_found_where_it_is_planted_and_alone(kind, teaches, judges):
    other = [item(f"clean {n}") for n in range(5)]
    pairs = [("a", "near a")]
    for sides in (([teaches, *other], CLEAN, [judges]), (CLEAN, [teaches, *other], [judges])):
        proof = check_leaks(*sides, near_duplicates=pairs)
        assert {name for name, count in proof.kinds.items() if count} == {kind}
        assert proof.cross_edges == 1
        assert len(proof.examples) == 1
    proof = check_leaks([teaches], [judges], CLEAN, near_duplicates=pairs)
    assert proof.kinds[kind] == 1, "validation must not hold what teaches either"


def test_the_same_bytes_under_two_names_may_not_judge_twice_but_may_teach_twice():
    copies = [item(name, image="x", group="g") for name in "abc"]
    proof = check_leaks(CLEAN, [], [*copies, item("d")])
    assert (proof.kinds[LeakKind.SAME_BYTES], proof.cross_edges) == (3, 3)
    assert proof.examples[0] == "same_bytes: test a and test b"
    assert check_leaks(copies, [], CLEAN).cross_edges == check_leaks([], copies, CLEAN).cross_edges == 0


def test_what_was_made_of_a_near_duplicate_is_as_near():
    made = item("a#flip", origin="a")
    proof = check_leaks([made], [], [item("near a")], near_duplicates=[("near a", "a")])
    assert proof.kinds[LeakKind.NEAR_DUPLICATE] == 1


def test_augmented_images_of_the_training_side_are_no_leak_among_themselves():
    made = [item(f"a#{n}", group="g", origin="a") for n in range(3)]
    proof = check_leaks([item("a", group="g"), *made], [], CLEAN)
    assert (proof.pairs, proof.cross_edges) == (4, 0)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 2)), max_size=30))
def test_every_crossing_pair_of_a_group_is_counted(images):
    sides: tuple[list[LeakItem], list[LeakItem], list[LeakItem]] = ([], [], [])
    for place, (group, side) in enumerate(images):
        sides[side].append(item(str(place), group=group))
    expected = sum(a[0] == b[0] and a[1] != b[1] for place, a in enumerate(images) for b in images[:place])
    assert check_leaks(*sides).kinds[LeakKind.SAME_GROUP] == expected


def make_training_item(sample: Sample, operations: tuple[str, ...], image: str) -> TrainingItem:
    return TrainingItem("t", 0, sample.name, operations, image, 64, 64, (), "train")


def test_what_was_really_trained_on_is_proven_clean_and_a_planted_test_image_is_found():
    boxes = (LabelledBox("a", "a", Box(20, 20, 30, 30)),)
    samples = [Sample("d", n, f"{n}.png", f"{n:064x}", None, 64, 64, boxes, {"lot": str(n // 2)}) for n in range(60)]
    groups = assign_groups(samples, SplitPolicy(group_by=("lot",)))
    found = split(samples, groups, "a", SplitPolicy(test_per_class=10, val_per_class=6))
    by_name = {sample.name: (sample, group) for sample, group in zip(samples, groups, strict=True)}
    sides = {side: [s for s, at in zip(samples, found.sides, strict=True) if at == side] for side in set(found.sides)}
    made = plan(sides["train"], "a", AugmentPolicy(target=60)).images
    items = [make_training_item(sample, (), "composed") for sample in sides["train"]]
    items += [make_training_item(by_name[image.origin][0], image.operations, "made") for image in made]
    taught = [item_of_training(entry, *by_name[entry.origin]) for entry in items]
    held = {side: [item_of_sample(*by_name[sample.name]) for sample in sides[side]] for side in ("validation", "test")}
    proof = check_leaks(taught, held["validation"], held["test"])
    assert len(made) == 16
    assert proof.cross_edges == 0
    judge = sides["test"][0]
    planted = item_of_training(make_training_item(judge, ("crop:0,0,40,40", "turn_90"), "made"), *by_name[judge.name])
    proof = check_leaks([*taught, planted], held["validation"], held["test"])
    assert proof.kinds[LeakKind.CHILD] == 1
    assert proof.kinds[LeakKind.SAME_GROUP] == 2
    assert planted.region == Box(0, 0, 40, 40)
