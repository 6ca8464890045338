"""A box drawn on the part of the image around it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wafergate.domain.geometry import Box
from wafergate.formats.drawing import draw_box

pytestmark = pytest.mark.unit

RED, BLUE, GREY = (40, 40, 255), (235, 170, 60), (96, 96, 96)


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(colour, dtype=np.uint8)).all(axis=2)


def test_the_frame_lies_around_the_pixels_of_the_box_and_hides_none_of_them() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    image[40:50, 60:80] = 255
    picture = draw_box(image, Box(60, 40, 80, 50))
    scale = round(where(picture, (255, 255, 255)).sum() ** 0.5 / 200**0.5)
    assert where(picture, (255, 255, 255)).sum() == 200 * scale**2
    rows, columns = np.nonzero(where(picture, RED))
    white_rows, white_columns = np.nonzero(where(picture, (255, 255, 255)))
    assert 0 < white_rows.min() - rows.min() <= 4
    assert 0 < columns.max() - white_columns.max() <= 4


def test_what_lies_outside_the_image_is_grey_and_the_box_is_seen_whole() -> None:
    picture = draw_box(np.zeros((50, 50, 3), np.uint8), Box(45, 10, 90, 30))
    assert where(picture, GREY).any()
    rows, columns = np.nonzero(where(picture, RED))
    assert columns.max() < picture.shape[1] - 1
    assert rows.min() > 0


def test_a_box_inside_its_image_shows_nothing_but_the_image() -> None:
    assert not where(draw_box(np.zeros((200, 200, 3), np.uint8), Box(90, 90, 100, 110)), GREY).any()


def test_other_boxes_are_drawn_below() -> None:
    picture = draw_box(np.zeros((99, 99, 3), np.uint8), Box(10, 10, 20, 20), [Box(22, 10, 30, 20)])
    assert where(picture, BLUE).any()


def test_the_image_itself_stays_as_it_is() -> None:
    image = np.full((40, 40, 3), 7, np.uint8)
    draw_box(image, Box(5, 5, 9, 9), [Box(0, 0, 40, 40)])
    assert (image == 7).all()


edge = st.floats(-200, 400) | st.floats(-1e7, 1e7)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), edge, edge, edge, edge)
def test_every_box_can_be_drawn_and_the_picture_has_a_size_for_a_page(
    height: int, width: int, x1: float, y1: float, x2: float, y2: float
) -> None:
    picture = draw_box(np.zeros((height, width, 3), np.uint8), Box(x1, y1, x2, y2))
    assert picture.dtype == np.uint8
    assert 384 <= max(picture.shape) <= 768
    assert where(picture, RED).any()
