"""A golden reference that was not taken at the very same place as its image is laid over it first."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wafergate.domain.models import Channels
from wafergate.stages.compose import FARTHEST, ZERO_DIFFERENCE, compose, registered, tolerant_difference

pytestmark = pytest.mark.unit

Pixels = NDArray[np.uint8]
SIDE = 160
SHIFTS = st.integers(-FARTHEST + 2, FARTHEST - 2)


def board(seed: int, side: int = SIDE) -> Pixels:
    """Return a wide board of conductors, of which views are cut."""
    random = np.random.default_rng(seed)
    grey = np.full((side + 80, side + 80), 40, np.uint8)
    for _ in range(side // 4):
        x, y, width, height = random.integers(0, side + 60, 4) // np.array([1, 1, 4, 8])
        cv2.rectangle(
            grey, (int(x), int(y)), (int(x + width + 4), int(y + height + 4)), int(random.integers(120, 255)), -1
        )
    return np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.uint8)


def view(wide: Pixels, x: int = 0, y: int = 0) -> Pixels:
    side = len(wide) - 80
    return np.ascontiguousarray(wide[40 + y : 40 + y + side, 40 + x : 40 + x + side])


def lit(grey: Pixels, reference: Pixels) -> int:
    inside = (slice(FARTHEST, -FARTHEST),) * 2
    return int(np.count_nonzero(tolerant_difference(grey, reference)[inside] != ZERO_DIFFERENCE))


@given(st.integers(0, 30), SHIFTS, SHIFTS)
def test_a_shifted_reference_differs_where_the_defect_is_and_nowhere_else(seed: int, x: int, y: int) -> None:
    wide = board(seed)
    image = view(wide)
    cv2.circle(image, (80, 80), 6, (0,), -1)
    laid = registered(image, view(wide, x, y))
    assert lit(image, laid) == lit(image, view(wide)), "as if it had been taken at the same place"


@given(st.integers(0, 10), st.integers(-2, 2), st.integers(-2, 2))
def test_what_the_difference_forgives_stays_as_it_is(seed: int, x: int, y: int) -> None:
    wide = board(seed)
    reference = view(wide, x, y)
    assert registered(view(wide), reference) is reference


@pytest.mark.parametrize("shift", [(5, 0), (-9, 4), (0, 12)])
def test_no_other_shift_leaves_fewer_pixels_different(shift: tuple[int, int]) -> None:
    """The oracle tries every shift there is."""
    wide = board(7, 96)
    image, reference = view(wide), view(wide, *shift)
    reach = range(-FARTHEST, FARTHEST + 1)
    there = {(x, y): lit(image, view(wide, shift[0] + x, shift[1] + y)) for x, y in itertools.product(reach, reach)}
    assert lit(image, registered(image, reference)) == min(there.values())


def test_colours_are_laid_over_as_their_grey_is() -> None:
    wide = board(5)
    image, reference = view(wide), view(wide, 6, -7)
    coloured = [np.asarray(cv2.cvtColor(item, cv2.COLOR_GRAY2BGR), np.uint8) for item in (image, reference)]
    laid = registered(*coloured)
    assert laid.shape == coloured[1].shape
    assert (cv2.cvtColor(laid, cv2.COLOR_BGR2GRAY) == registered(image, reference)).all()


def test_a_pattern_that_fits_in_several_places_is_not_moved_to_a_worse_one() -> None:
    rows = np.arange(SIDE)
    stripes = np.where((rows[:, None] // 4 + rows[None, :] // 4) % 2, 200, 60).astype(np.uint8)
    image = stripes.copy()
    cv2.circle(image, (60, 60), 5, (0,), -1)
    laid = registered(image, stripes)
    assert lit(image, laid) <= lit(image, stripes)


@pytest.mark.parametrize("size", [(3, 3), (17, 40), (64, 20)])
def test_an_image_too_small_to_look_around_in_is_left_alone(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    grey, reference = (random.integers(0, 256, size, np.uint8) for _ in range(2))
    assert registered(grey, reference).shape == size


def test_the_model_sees_the_reference_where_the_image_has_it() -> None:
    wide = board(3)
    image, reference = (cv2.cvtColor(item, cv2.COLOR_GRAY2BGR) for item in (view(wide), view(wide, 7, -5)))
    seen = compose(np.asarray(image, np.uint8), np.asarray(reference, np.uint8), Channels.GOLDEN)
    assert lit(seen[:, :, 0], seen[:, :, 1]) == 0
    inside = (slice(FARTHEST, -FARTHEST),) * 2
    assert (seen[:, :, 2][inside] == ZERO_DIFFERENCE).all()
