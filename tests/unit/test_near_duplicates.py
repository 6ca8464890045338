"""Codes near each other, and images that show the same part."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import rows
from tests.unit.small_line import parts_in
from wafergate.domain.codes import close_pairs
from wafergate.domain.near_duplicates import LikenessPolicy, NearDuplicates
from wafergate.domain.samples import Sample
from wafergate.domain.splits import LeakItem
from wafergate.jobs.near_duplicates import find_near_duplicates, known_crowds, known_pairs
from wafergate.stages.leaks import check_leaks
from wafergate.stages.measure import perceptual_hash
from wafergate.stages.near_duplicates import candidates, codes_of, compare, shrink, without_look_alikes

pytestmark = pytest.mark.unit

Grey = NDArray[np.uint8]
POLICY = LikenessPolicy()


def by_force(codes: NDArray[np.uint64], others: NDArray[np.uint64], radius: int) -> set[tuple[int, int]]:
    return {
        (first, second)
        for first, code in enumerate(codes.tolist())
        for second, other in enumerate(others.tolist())
        if (code ^ other).bit_count() <= radius
    }


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 63), st.integers(0, 63)), max_size=20),
    st.integers(0, 6),
)
def test_the_pairs_are_those_of_brute_force_each_once(
    codes: list[int], turned: list[tuple[int, int, int]], radius: int
) -> None:
    near = [codes[at % len(codes)] ^ (1 << one) ^ (1 << two) for at, one, two in turned if codes]
    made, others = np.array(codes + near, np.uint64), np.array(near + codes, np.uint64)
    for second, found in ((others, close_pairs(made, others, radius=radius)), (made, close_pairs(made, radius=radius))):
        pairs = [tuple(pair) for chunk in found for pair in chunk.tolist()]
        wanted = by_force(made, second, radius)
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == (wanted if second is others else {(a, b) for a, b in wanted if a < b})


def test_a_radius_that_the_bytes_cannot_promise_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 6 bits, found 7"):
        list(close_pairs(np.zeros(2, np.uint64), radius=7))


def surface(seed: int, size: tuple[int, int] = (300, 420)) -> Grey:
    """A ground surface: streaks and spots of its own under uneven light."""
    rng = np.random.default_rng(seed)
    streaks = cv2.GaussianBlur(rng.normal(0, 60, (1, size[1])).astype(np.float32), (0, 0), 3)
    spots = cv2.GaussianBlur(rng.normal(0, 160, size).astype(np.float32), (0, 0), 4)
    light = cv2.resize(rng.uniform(60, 170, (3, 3)).astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(light + streaks + spots, 0, 255).astype(np.uint8)


def board(defects: int) -> Grey:
    """A binarised pattern, always the same, with defects of its own."""
    pattern = np.zeros((400, 400), np.uint8)
    for at in range(30, 390, 60):
        pattern[at : at + 22, 20:380] = 255
        pattern[40 + at % 90 : 340, at : at + 18] = 255
    rng = np.random.default_rng(defects)
    for x, y in rng.integers(60, 340, (2, 2)).tolist():
        cv2.circle(pattern, (x, y), 9, int(255 - int(pattern[y, x])), -1)
    return pattern


def curve(image: Grey, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Grey:
    return cv2.LUT(image, np.clip(change(np.arange(256) / 255) * 255, 0, 255).round().astype(np.uint8))


AGAIN: dict[str, Callable[[Grey], Grey]] = {
    "darker": lambda image: curve(image, lambda level: level * 0.6),
    "brighter and saturated": lambda image: curve(image, lambda level: level * 1.4),
    "another gamma": lambda image: curve(image, lambda level: level**1.3),
    "JPEG at quality 50": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 50])[1], 0),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "moved by 5 pixels": lambda image: np.roll(image, (5, -5), axis=(0, 1)),
}


def is_same(first: Grey, second: Grey) -> bool:
    one, other = shrink(first), shrink(second)
    near = candidates(np.stack([codes_of(one), codes_of(other)]), POLICY)
    correlation, difference = compare(one, other)
    return len(near) == 1 and correlation >= POLICY.correlation and difference <= POLICY.difference


@pytest.mark.parametrize("change", AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("image", [surface(1), surface(2), board(1)], ids=["surface", "another surface", "board"])
def test_the_same_part_is_known_again(image: Grey, change: Callable[[Grey], Grey]) -> None:
    assert is_same(image, change(image))


def test_boards_of_one_pattern_hash_alike_and_are_told_apart_by_their_defects() -> None:
    one, other = shrink(board(1)), shrink(board(2))
    assert len(candidates(np.stack([codes_of(one), codes_of(other)]), POLICY)) == 1
    correlation, difference = compare(one, other)
    assert correlation > 0.8
    assert difference > POLICY.difference


def test_two_surfaces_are_two_parts() -> None:
    assert compare(shrink(surface(1)), shrink(surface(2)))[0] < 0.5


def test_what_shows_nothing_or_one_spot_is_like_nothing() -> None:
    plain, spot, moved = (np.full((200, 200), 255, np.uint8) for _ in range(3))
    spot[80:90, 80:90], moved[90:100, 84:94] = 0, 0
    assert compare(shrink(plain), shrink(plain)) == (0.0, float("inf"))
    assert compare(shrink(spot), shrink(moved)) == (0.0, float("inf"))


def test_the_first_code_is_the_stored_perceptual_hash() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 128), np.uint8)
    smooth = cv2.GaussianBlur(image, (0, 0), 4)
    stored = np.frombuffer(bytes.fromhex(perceptual_hash(smooth)), np.uint64)[0]
    assert np.bitwise_count(stored ^ codes_of(shrink(smooth))[0]) <= 2


def test_an_image_keeps_its_nearest_partners_only() -> None:
    crowd = np.zeros((40, 1), np.uint64)
    near = candidates(crowd, replace(POLICY, max_views=3))
    assert 0 < len(near) <= 40 * 6
    assert (near[:, 0] < near[:, 1]).all()
    assert len({tuple(pair) for pair in near.tolist()}) == len(near)


def test_an_image_alike_to_more_than_a_part_is_photographed_joins_nothing() -> None:
    star = [(0, other) for other in range(1, 5)]
    assert without_look_alikes([*star, (7, 8)], 4) == ([(7, 8)], {0})
    assert without_look_alikes([*star, (7, 8)], 5) == ([*star, (7, 8)], set())


def test_the_job_names_the_pairs_and_finds_its_own_work(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    images = [surface(1), surface(2), curve(surface(1), lambda level: level * 0.8), surface(3)]
    digests = [parts.files.put(parts.encode(image)) for image in images]
    parts.facts.save(rows.dataset("x"), [rows.sample("x", at, digest) for at, digest in enumerate(digests)])
    done = find_near_duplicates(parts, POLICY, "data-x")
    row = parts.facts.get(NearDuplicates, done.id)
    assert [(pair.first, pair.second) for pair in row.pairs] == [("lot/0.png", "lot/2.png")]
    assert (row.images, row.groups, row.look_alikes) == (4, 1, 0)
    assert find_near_duplicates(parts, POLICY, "data-x") == (done.id, True)
    assert known_pairs(parts, "data-x", POLICY) == [("lot/0.png", "lot/2.png")]
    assert known_pairs(parts, "data-x", replace(POLICY, radius=0)) == []


def test_a_part_photographed_more_often_than_max_views_is_named_as_a_crowd(tmp_path: Path) -> None:
    parts, policy = parts_in(tmp_path), replace(POLICY, max_views=3)
    images = [*(curve(surface(1), lambda level, at=at: level * (1 - at / 20)) for at in range(4)), surface(2)]
    digests = [parts.files.put(parts.encode(image)) for image in images]
    parts.facts.save(rows.dataset("x"), [rows.sample("x", at, digest) for at, digest in enumerate(digests)])
    row = parts.facts.get(NearDuplicates, find_near_duplicates(parts, policy, "data-x").id)
    crowd = tuple(f"lot/{at}.png" for at in range(4))
    assert (row.pairs, row.look_alikes, row.crowds) == ((), 4, (crowd,))
    assert known_crowds(parts, "data-x", policy) == [crowd]
    before = parts_in(tmp_path / "before")
    before = replace(before, files=parts.files)
    before.facts.save(rows.dataset("x"), parts.facts.find(Sample, dataset_id="data-x"))
    before.facts.save(replace(row, crowds=()))
    assert find_near_duplicates(before, policy, "data-x").id != row.id, "nobody kept which they were"
    assert known_crowds(before, "data-x", policy) == [crowd]

    items = [LeakItem(name, f"{at:064x}") for at, name in enumerate((*crowd, "lot/4.png"))]
    assert check_leaks(items[:2], [], items[2:], crowds=[crowd]).look_alikes == 4
    assert check_leaks(items[:4], [], items[4:], crowds=[crowd]).look_alikes == 0
    assert check_leaks(items[:2], items[2:4], items[4:], crowds=[crowd]).look_alikes == 0


def test_a_narrow_copy_is_averaged_along_its_long_side() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), 300)[None].repeat(100, axis=0)  # finer than the copy can show
    copy = shrink(stripes)
    assert np.ptp(copy) <= 128
    assert abs(float(copy.mean()) - 127.5) < 2


@pytest.mark.parametrize("gain", [0.5, 0.7])
def test_a_saturated_image_is_known_again_after_a_shorter_exposure(gain: float) -> None:
    image = np.asarray(cv2.convertScaleAbs(surface(3), alpha=1.6), np.uint8)
    assert 0.05 < (image == 255).mean() < 0.6
    darker = np.asarray(cv2.convertScaleAbs(image, alpha=gain), np.uint8)
    one, other = shrink(image), shrink(darker)
    assert compare(one, other)[1] < 0.01
