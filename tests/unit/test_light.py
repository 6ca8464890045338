"""Changes of light move nothing and repeat byte for byte; changes of shape keep a box around what was painted."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wafergate.domain.augmentation import EXACT, LOOSENING, PHOTOMETRIC, AugmentPolicy, OperationKind
from wafergate.domain.geometry import Box
from wafergate.domain.moves import source_region, spoils, transform_labels
from wafergate.domain.operations import Operation, parse_operations
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.errors import AugmentError
from wafergate.line import parse_line
from wafergate.stages.augment import plan
from wafergate.stages.pixels import apply_operations

pytestmark = pytest.mark.unit
LIGHT = ["brightness:12", "contrast:1.2", "gamma:0.85", "blur:0.7", "noise:3.5,7", "uneven_light:0.15,30"]
GREY = np.random.default_rng(0).integers(40, 200, (48, 64, 1), np.uint8).repeat(3, axis=2)


def lit(text: str, image: np.ndarray) -> np.ndarray:
    return apply_operations(parse_operations([text]), image)


@pytest.mark.parametrize("text", LIGHT)
def test_light_keeps_size_boxes_and_greyness_and_repeats_byte_for_byte(text):
    made = lit(text, GREY)
    assert (made.shape, made.dtype) == (GREY.shape, np.uint8)
    assert np.array_equal(made, lit(text, GREY.copy()))
    assert not np.array_equal(made, GREY)
    assert np.array_equal(made[:, :, 0], made[:, :, 1])
    assert np.array_equal(made[:, :, 0], made[:, :, 2])
    assert np.array_equal(made[:, :, 0], lit(text, GREY[:, :, 0].copy())), "a grey image differs from three channels"
    labels = (LabelledBox("a", "a", Box(0, 3, 9, 11), ((1.0, 4.0), (8.0, 4.0), (8.0, 10.0))),)
    operations = parse_operations([text])
    assert transform_labels(operations, labels, 64, 48) == labels
    assert source_region(operations, 64, 48) == Box(0, 0, 64, 48)
    assert not spoils(operations[0], Box(-1, 0, 70, 3), 64, 48)


def test_every_light_does_what_its_number_says():
    assert np.array_equal(lit("brightness:12", GREY), GREY + 12)
    assert abs(float(lit("contrast:1.3", GREY).std()) / float(GREY.std()) - 1.3) < 0.02
    assert abs(float(lit("contrast:1.3", GREY).mean()) - float(GREY.mean())) < 1
    assert np.array_equal(lit("gamma:2", GREY), np.rint(255 * (GREY / 255.0) ** 2).astype(np.uint8))
    flat = np.full((300, 400), 120, np.uint8)
    noisy = lit("noise:4,1", flat).astype(float)
    assert abs(noisy.std() - 4) < 0.1
    assert not np.array_equal(noisy, lit("noise:4,2", flat))
    uneven = lit("uneven_light:0.2,0", flat).astype(float)
    assert (uneven[0, 0], uneven[0, -1], uneven[-1, -1]) == (96, 144, 144)
    turned = lit("uneven_light:0.2,90", flat).astype(float)
    assert (turned[0, 0], turned[0, -1], turned[-1, -1]) == (96, 96, 144)
    spot = np.zeros((41, 41), np.uint8)
    spot[20, 20] = 255
    assert abs(float(lit("blur:1.5", spot)[20, 20]) - 255 / (2 * np.pi * 1.5**2)) < 1


def test_light_never_wraps_round():
    ends = np.array([[0, 255]], np.uint8)
    assert lit("brightness:100", ends).tolist() == [[100, 255]]
    assert lit("brightness:-100", ends).tolist() == [[0, 155]]
    assert int(lit("noise:50,3", np.full((50, 50), 254, np.uint8)).min()) > 20


def test_light_needs_bytes_and_a_composite_needs_its_donor():
    with pytest.raises(AugmentError, match="needs an image of bytes"):
        lit("gamma:2", np.zeros((4, 4), np.float32))
    with pytest.raises(AugmentError, match="needs the image of its donor"):
        lit("composite:0,1,1", GREY)


@pytest.mark.parametrize(
    "text",
    ["gamma:0", "contrast:-1", "blur:0", "noise:3", "noise:3,1.5", "uneven_light:1,0", "rotate:60", "shear:0.6",
     "elastic:5,50,0,0", "cut:0,2", "shift:1.5,2", "brightness:300", "composite:-1,0,0"],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_with_the_right_form(text):
    with pytest.raises(AugmentError, match=f"it is written {text.partition(':')[0]}"):
        parse_operations([text])


# Changes of shape

SHAPES = st.one_of(
    st.builds(lambda d: f"rotate:{d:.2f}", st.floats(-20, 20)),
    st.builds(lambda d: f"shear:{d:.3f}", st.floats(-0.2, 0.2)),
    st.builds(
        lambda a, p, q: f"elastic:{a:.2f},80,{p:.2f},{q:.2f}", st.floats(0.5, 6), st.floats(0, 6), st.floats(0, 6)
    ),
)


FINE = 16  # strokes of the painting per pixel


def covered(outline: np.ndarray, size: int) -> np.ndarray:
    """Paint each pixel as bright as the share of it that an outline covers, as a camera would.

    On a coarse canvas `cv2.fillPoly` paints every pixel that the outline touches, up to a whole pixel outside of it.
    """
    fine = np.zeros((size * FINE, size * FINE), np.uint8)
    cv2.fillPoly(fine, [np.rint(outline * FINE - 0.5).astype(np.int32)], 255)
    return np.asarray(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA))


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.integers(5, 16), st.integers(0, 15), st.booleans())
@example("rotate:-2.88", 9, 0, True)
def test_after_a_change_of_shape_the_box_holds_what_was_painted_and_an_outline_keeps_it_tight(text, half, offset, ring):
    """The paint ends where a pixel's share falls to half.

    It may differ from the outline by half a pixel, since it ends with a whole one, and by what interpolation shifts:
    at most 0.09 where an edge lies between two centres, 0.09 where it curves with a radius of 1.8 pixels, 1/16 of the
    painting; together 0.2, stretched at most 1.9 times by the strongest elastic change: 0.9 pixels in all.
    """
    size, centre = 160, 70 + offset
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    outline = np.column_stack([centre + half * np.cos(angles), centre + 0.6 * half * np.sin(angles)])
    (x1, y1), (x2, y2) = outline.min(axis=0), outline.max(axis=0)
    polygon = tuple((float(x), float(y)) for x, y in outline) if ring else ()
    label = LabelledBox("a", "a", Box(x1, y1, x2, y2), polygon)
    operations = parse_operations([text])
    (moved,) = transform_labels(operations, [label], size, size)
    made = apply_operations(operations, covered(outline, size))
    rows, columns = np.nonzero(made > 127)
    paint = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    box = moved.box.as_tuple()
    outside = max(box[0] - paint[0], box[1] - paint[1], paint[2] - box[2], paint[3] - box[3])
    slack = max(paint[0] - box[0], paint[1] - box[1], box[2] - paint[2], box[3] - paint[3])
    assert outside <= 0.9
    assert slack <= (0.9 if ring else half)


def test_changes_of_shape_and_composites_happen_only_where_the_line_file_asks():
    assert set(AugmentPolicy().operations) == EXACT | PHOTOMETRIC
    asked = parse_line('[line]\nname = "l"\nclasses = ["a"]\n[augment]\noperations = ["rotate"]\n', Path("l.toml"))
    assert asked.augment.operations == (OperationKind.ROTATE,)
    samples = [
        Sample("d", n, f"{n}.png", str(n), None, 200, 200, (LabelledBox("a", "a", Box(90, 90, 110, 105)),), {})
        for n in range(5)
    ]
    for allowed in (set(AugmentPolicy().operations), set(LOOSENING)):
        made = plan(samples, ["a"], AugmentPolicy(target=12, total=3, operations=tuple(allowed)))
        kinds = {operation.kind for image in made.images for operation in parse_operations(image.operations)}
        assert kinds <= allowed
        assert len(made.images) == 7


def test_a_defect_in_the_band_that_a_change_mirrors_is_refused():
    near = [LabelledBox("a", "a", Box(1, 40, 9, 48))]
    for text in ("rotate:10", "shift:4,0", "shift:-4,0", "shear:0.1", "elastic:4,90,0,0"):
        with pytest.raises(AugmentError, match="cuts or mirrors the box"):
            transform_labels(parse_operations([text]), near, 100, 100)


def test_operations_written_and_read_again_are_the_same():
    made = Operation(OperationKind.NOISE, (2.75, 1563019550))
    assert parse_operations([str(made)]) == (made,)
