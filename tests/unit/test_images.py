"""Examining, decoding and composing images: one decode, every oddity accepted or refused on purpose."""

import io
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from wafergate.adapters.images import Examiner, ImageRefusedError, decode, encode_png
from wafergate.domain.identity import digest_bytes
from wafergate.domain.models import Channels
from wafergate.domain.samples import QuarantineReason
from wafergate.errors import SourceError
from wafergate.formats.header import read_header
from wafergate.stages.compose import ZERO_DIFFERENCE, compose, tolerant_difference
from wafergate.stages.measure import measure, perceptual_hash

pytestmark = pytest.mark.unit

Pixels = NDArray[np.uint8]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
R = QuarantineReason


def _texture(height: int = 60, width: int = 80, *, seed: int = 0, blur: float = 2.0) -> Pixels:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    return np.asarray(cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX), dtype=np.uint8)


GREY = _texture()
RGB = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


def _file(pixels: Image.Image | NDArray[np.generic], kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def _record(data: bytes, **options: int) -> object:
    return Examiner(**options)(data, now=NOW)


# --- examine ---------------------------------------------------------------------------------------------------------


def test_a_record_tells_what_the_file_is() -> None:
    data = _file(GREY, "PNG")
    record = Examiner()(data, now=NOW)
    assert record.id == digest_bytes(data)
    assert (record.width, record.height, record.mode, record.bit_depth) == (80, 60, "L", 8)
    assert record.bytes == len(data)
    assert record.created_at == NOW
    assert record.brightness == pytest.approx(GREY.mean())
    assert record.contrast == pytest.approx(GREY.std())
    assert len(record.perceptual_hash) == 16


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "colour"])
def test_lossless_files_give_their_very_pixels(kind: str, pixels: Pixels) -> None:
    wanted = pixels[:, :, ::-1] if pixels.ndim == 3 else np.dstack([pixels] * 3)
    assert np.array_equal(decode(_file(pixels, kind)), wanted)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000", "GIF"])
def test_other_files_give_nearly_their_pixels(kind: str) -> None:
    options = {"quality": 95} if kind in {"JPEG", "WEBP"} else {}
    found = decode(_file(GREY, kind, **options)).astype(int)
    assert np.abs(found - GREY[:, :, None]).mean() < 3


def test_measures_follow_what_they_are_named_for() -> None:
    plain = measure(GREY)
    rng = np.random.default_rng(1)
    noisy = measure(np.clip(GREY + rng.normal(0, 12, GREY.shape), 0, 255).astype(np.uint8))
    blurred = measure(np.asarray(cv2.GaussianBlur(GREY, (0, 0), 3), dtype=np.uint8))
    brighter = measure(np.asarray(cv2.add(GREY, 15), dtype=np.uint8))
    clipped = measure(np.asarray(cv2.add(GREY, 120), dtype=np.uint8))
    assert noisy.noise > plain.noise + 5
    assert blurred.sharpness < plain.sharpness / 2
    assert blurred.contrast < plain.contrast
    assert brighter.brightness == pytest.approx(plain.brightness + 15, abs=0.5)
    assert clipped.saturation_share > 0.1 > plain.saturation_share


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0, 20.0])
def test_noise_is_the_standard_deviation_that_was_added(sigma: float) -> None:
    grey = np.clip(np.random.default_rng(0).normal(128, sigma, (400, 400)), 0, 255).astype(np.uint8)
    assert measure(grey).noise == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("shape", [(3, 3), (20, 31), (300, 500), (3, 70_000), (70_000, 3), (5, 140_000)])
def test_noise_is_the_mean_absolute_second_difference_whatever_the_shape(
    shape: tuple[int, int],
) -> None:
    grey = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    response = np.diff(np.diff(grey.astype(np.int64), 2, axis=0), 2, axis=1)
    assert measure(grey).noise == pytest.approx(np.sqrt(np.pi / 2) * np.abs(response).mean() / 6, rel=1e-12)


def test_no_sum_overflows_on_the_sharpest_image() -> None:
    checks = (np.indices((64, 5000)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = measure(checks)
    assert found.sharpness == pytest.approx(cv2.Laplacian(checks, cv2.CV_64F, borderType=cv2.BORDER_REPLICATE).var())
    assert found.noise == pytest.approx(np.sqrt(np.pi / 2) * 8 * 255 / 6)
    assert (found.brightness, found.contrast) == (127.5, 127.5)


def test_views_and_images_that_may_not_be_written_are_measured_like_their_copies() -> None:
    turned, fixed = GREY.T, GREY.T.copy()
    fixed.flags.writeable = False
    assert measure(turned) == measure(fixed) == measure(GREY.T.copy())


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (300, 500), (1, 300_000), (300_000, 1)])
def test_saturation_counts_black_and_white_whatever_the_shape(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(4).choice(np.array([0, 1, 254, 255], np.uint8), shape)
    assert measure(grey).saturation_share == np.isin(grey, (0, 255)).mean()


@given(height=st.integers(1, 9), width=st.integers(1, 9), binary=st.booleans(), seed=st.integers(0, 2**32 - 1))
@example(height=200, width=301, binary=False, seed=0)
@example(height=3, width=4097, binary=True, seed=0)  # rows longer than what is summed at once
def test_sharpness_is_the_variance_of_the_laplacian(height: int, width: int, binary: bool, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    grey = np.where(levels > 127, 255, 0).astype(np.uint8) if binary else levels
    wide = np.pad(grey.astype(np.int64), 1, mode="edge")
    laplacian = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wide[1:-1, 1:-1]
    assert measure(grey).sharpness == pytest.approx(laplacian.var(), rel=1e-12)


@pytest.mark.parametrize("shape", [(32, 32), (64, 96), (50, 127), (20, 77), (127, 140)])
def test_the_hash_is_that_of_averaging_and_the_cosine_transform(shape: tuple[int, int]) -> None:
    grey = _texture(*shape, blur=3)
    averaged = grey.repeat(32, axis=0).repeat(32, axis=1).reshape(32, shape[0], 32, shape[1]).mean(axis=(1, 3))
    low = np.asarray(cv2.dct(averaged))[1:9, 1:9].ravel()
    bits = np.packbits(low > np.median(low)).tobytes().hex()
    assert _bits(perceptual_hash(grey), bits) <= 1  # one frequency may lie at the median itself


def test_edges_and_saturation_of_a_binary_board() -> None:
    board = np.zeros((200, 200), np.uint8)
    board[:, 100:] = 255
    found = measure(board)
    assert found.saturation_share == 1
    assert found.edge_density == pytest.approx(2 / 100)  # two columns of the halved image lie on the edge
    assert measure(np.full((200, 200), 77, np.uint8)).edge_density == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (1, 50), (2, 2), (3, 500), (127, 128), (129, 257)])
def test_images_of_any_shape_are_measured(shape: tuple[int, int]) -> None:
    found = measure(np.full(shape, 200, np.uint8))
    assert (found.brightness, found.contrast, found.sharpness, found.noise) == (200, 0, 0, 0)
    assert found.perceptual_hash == "0" * 16


def _bits(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_the_hash_hardly_changes_with_size_light_and_compression_and_differs_between_images() -> None:
    first, second = _texture(300, 400, blur=15), _texture(300, 400, seed=5, blur=15)
    known = perceptual_hash(first)
    half = np.asarray(cv2.resize(first, (200, 150), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    packed = decode(_file(first, "JPEG", quality=60))[:, :, 0]
    darker = np.asarray(cv2.convertScaleAbs(first, alpha=0.8), dtype=np.uint8)
    assert max(_bits(known, perceptual_hash(np.ascontiguousarray(near))) for near in (half, packed, darker)) <= 4
    assert _bits(known, perceptual_hash(second)) > 16


# --- conversions -----------------------------------------------------------------------------------------------------


def test_sixteen_bits_are_scaled_from_full_range_to_full_range() -> None:
    wide = GREY.astype(np.uint16) * 257
    for kind in ("PNG", "TIFF"):
        data = _file(wide, kind)
        assert np.array_equal(decode(data)[:, :, 0], GREY)
        assert Examiner()(data, now=NOW).bit_depth == 16


def test_twelve_bits_in_sixteen_are_refused_and_a_black_frame_is_not() -> None:
    with pytest.raises(ImageRefusedError, match="12 bits") as caught:
        decode(_file(GREY.astype(np.uint16) * 16, "PNG"))
    assert caught.value.reason is R.UNREADABLE_IMAGE
    assert not decode(_file(np.zeros((5, 6), np.uint16), "PNG")).any()


def test_one_bit_becomes_black_and_white() -> None:
    data = _file(Image.fromarray(GREY).convert("1"), "PNG")
    assert set(np.unique(decode(data))) == {0, 255}
    assert (Examiner()(data, now=NOW).bit_depth, Examiner()(data, now=NOW).mode) == (1, "1")


def test_palettes_become_their_colours_and_alpha_is_dropped() -> None:
    palette = Image.fromarray(RGB).convert("P")
    assert np.array_equal(decode(_file(palette, "PNG")), np.asarray(palette.convert("RGB"))[:, :, ::-1])
    alpha = np.dstack([RGB, np.full(GREY.shape, 7, np.uint8)])
    assert np.array_equal(decode(_file(alpha, "PNG")), RGB[:, :, ::-1])


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted(kind: str) -> None:
    options = {"quality": 98} if kind == "JPEG" else {}
    data = _file(Image.fromarray(RGB).convert("CMYK"), kind, **options)
    assert np.abs(decode(data).astype(int) - RGB[:, :, ::-1]).mean() < 4
    assert Examiner()(data, now=NOW).mode == "CMYK"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turned_images_are_upright_in_pixels_header_and_record(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"exif": exif} | ({"quality": 95} if kind in {"JPEG", "WEBP"} else {})
    data = _file(RGB, kind, **options)
    turns = {1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1]}
    turns |= {5: RGB.swapaxes(0, 1), 6: np.rot90(RGB, -1), 7: np.rot90(RGB, 2).swapaxes(0, 1), 8: np.rot90(RGB)}
    wanted = turns[orientation]
    assert np.abs(decode(data)[:, :, ::-1].astype(int) - wanted).mean() < 8
    header, record = read_header(data), Examiner()(data, now=NOW)
    assert (header.width, header.height) == (record.width, record.height) == wanted.shape[1::-1]


# --- refusals --------------------------------------------------------------------------------------------------------


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 50,000 x 50,000 pixels."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")


def _webp_bomb() -> bytes:
    """A WebP of a few hundred bytes whose extended header claims 16,383 x 16,383 pixels."""
    data = bytearray(_file(Image.fromarray(np.dstack([RGB, GREY])), "WEBP"))
    assert data[12:16] == b"VP8X"
    data[24:30] = (16_382).to_bytes(3, "little") * 2
    return bytes(data)


def _thumbnailed() -> bytes:
    """A JPEG whose EXIF holds a whole JPEG, with an end marker of its own."""
    small = _file(_texture(8, 8), "JPEG")
    data = _file(GREY, "JPEG")
    body = b"Exif\0\0" + small
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def _pages(kind: str) -> bytes:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    return _file(first, kind, save_all=True, append_images=[second])


JPEG, PNG = _file(GREY, "JPEG"), _file(GREY, "PNG")

REFUSED: list[tuple[str, bytes, QuarantineReason, str]] = [
    ("empty", b"", R.UNREADABLE_IMAGE, "empty"),
    ("text", b"hello, world" * 9, R.UNREADABLE_IMAGE, "not an image"),
    ("html", b"<!DOCTYPE html><html>", R.UNREADABLE_IMAGE, "not an image"),
    ("riff", b"RIFF\x10\0\0\0WAVEfmt ", R.UNREADABLE_IMAGE, "not an image"),
    ("a signature alone", JPEG[:3], R.UNREADABLE_IMAGE, "header"),
    ("png signature alone", PNG[:8], R.UNREADABLE_IMAGE, "PNG"),
    ("jpeg cut in half", JPEG[: len(JPEG) // 2], R.UNREADABLE_IMAGE, "truncated"),
    ("jpeg without its end", JPEG[:-2], R.UNREADABLE_IMAGE, "truncated"),
    ("jpeg with a zeroed tail", JPEG[:-300] + bytes(300), R.UNREADABLE_IMAGE, "truncated"),
    ("cut jpeg with a whole thumbnail", _thumbnailed()[:-300], R.UNREADABLE_IMAGE, "truncated"),
    ("png cut in half", PNG[: len(PNG) // 2], R.UNREADABLE_IMAGE, "truncated"),
    ("png without its last byte", PNG[:-1], R.UNREADABLE_IMAGE, "truncated"),
    ("png with a changed byte", PNG[:200] + b"\0\0\0\0" + PNG[204:], R.UNREADABLE_IMAGE, "checksum"),
    ("png with a zeroed tail", PNG[:-300] + bytes(300), R.UNREADABLE_IMAGE, "checksum"),
    ("bmp cut", _file(GREY, "BMP")[:-100], R.UNREADABLE_IMAGE, "decoded"),
    ("tiff cut", _file(GREY, "TIFF")[:-100], R.UNREADABLE_IMAGE, "its"),
    ("webp cut", _file(GREY, "WEBP")[:-100], R.UNREADABLE_IMAGE, "its"),
    ("gif cut", _file(GREY, "GIF")[:-100], R.UNREADABLE_IMAGE, "its"),
    ("pgm cut", _file(GREY, "PPM")[:-100], R.UNREADABLE_IMAGE, "its"),
    ("jpeg 2000 cut", _file(GREY, "JPEG2000")[:-100], R.UNREADABLE_IMAGE, "its"),
    ("animated gif", _pages("GIF"), R.UNREADABLE_IMAGE, "2 pictures"),
    ("animated png", _pages("PNG"), R.UNREADABLE_IMAGE, "2 pictures"),
    ("animated webp", _pages("WEBP"), R.UNREADABLE_IMAGE, "2 pictures"),
    ("tiff of two pages", _pages("TIFF"), R.UNREADABLE_IMAGE, "2 pictures"),
    ("floating point", _file(GREY.astype(np.float32), "TIFF"), R.UNREADABLE_IMAGE, "float32"),
    ("32-bit integers", _file(Image.fromarray(GREY).convert("I"), "TIFF"), R.UNREADABLE_IMAGE, "int32"),
    ("decompression bomb", _bomb(), R.TOO_LARGE, "max_pixels"),
    ("webp bomb", _webp_bomb(), R.TOO_LARGE, "pixels"),
]


@pytest.mark.parametrize(("data", "reason", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_single_whole_image_is_refused_with_its_reason(
    data: bytes, reason: QuarantineReason, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for look in (decode, _record):
        with pytest.raises(ImageRefusedError, match=says) as caught:
            look(data)
        assert caught.value.reason is reason
        assert "\n" not in caught.value.detail
        assert caught.value.exit_code == SourceError.exit_code
    assert capfd.readouterr().err == ""


def test_a_jpeg_with_a_thumbnail_or_bytes_after_its_end_is_accepted() -> None:
    for data in (_thumbnailed(), JPEG + bytes(64)):
        assert decode(data).shape == (60, 80, 3)


@pytest.mark.parametrize("data", [PNG, JPEG, _file(np.dstack([_texture(seed=seed) for seed in range(3)]), "PNG")])
def test_one_look_gives_the_record_and_the_pixels_that_decoding_gives(data: bytes) -> None:
    record, pixels = Examiner().look(data, now=NOW)
    assert record == Examiner()(data, now=NOW)
    assert np.array_equal(pixels, decode(data))
    assert pixels.flags.writeable == (pixels.strides[2] != 0), "a channel shown three times is not written to"


def test_the_largest_size_is_the_line_files() -> None:
    assert decode(PNG, max_pixels=4800).shape == (60, 80, 3)
    with pytest.raises(ImageRefusedError, match="80 x 60") as caught:
        Examiner(max_pixels=4799)(PNG, now=NOW)
    assert caught.value.reason is R.TOO_LARGE


def test_a_name_that_says_another_format_is_refused() -> None:
    for name in ("a.jpg", "b/A.JPEG", "no-suffix", "a.dat"):
        assert decode(JPEG, name=name).shape == (60, 80, 3)
    with pytest.raises(ImageRefusedError, match=r"JPEG.*\.png"):
        Examiner()(JPEG, now=NOW, name="deep/a.png")


def _told_by_pillow(data: bytes) -> tuple[int, int, str]:
    with Image.open(io.BytesIO(data)) as image:
        return image.width, image.height, image.mode


@given(
    side=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    mode=st.sampled_from(["L", "RGB", "CMYK"]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "progressive": st.just(True),
            "optimize": st.just(True),
            "restart_marker_rows": st.integers(1, 3),
            "comment": st.just("taken at station 3"),
            "dpi": st.just((300, 300)),
            "quality": st.sampled_from([1, 50, 100]),
        },
    ),
)
@settings(max_examples=60, deadline=None)
def test_a_jpegs_header_is_what_pillow_tells_whatever_blocks_it_holds(
    side: tuple[int, int], mode: str, options: dict[str, object]
) -> None:
    data = _file(Image.new(mode, side), "JPEG", **options)
    header = read_header(data)
    assert (header.width, header.height, header.mode) == _told_by_pillow(data)
    assert (header.kind, header.frames, header.orientation) == ("JPEG", 1, 1)
    assert 0 < header.body < len(data)


@pytest.mark.parametrize("cut", range(2, 700, 7))
def test_a_jpeg_cut_off_anywhere_is_refused(cut: int) -> None:
    data = _file(GREY, "JPEG")
    assert len(data) > 700
    with pytest.raises(ImageRefusedError):
        decode(data[:cut])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_damaged_file_is_an_image_or_refused_and_nothing_else(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(_file(GREY[:20, :20], kind))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(damaged), max_pixels=1_000_000)
    except ImageRefusedError:
        return
    assert found.ndim == 3
    assert found.dtype == np.uint8


# --- compose ---------------------------------------------------------------------------------------------------------


def _colour(grey: Pixels) -> Pixels:
    return np.dstack([grey] * 3)


def test_image_channels_are_the_image() -> None:
    assert compose(RGB, None, Channels.IMAGE) is RGB


def test_golden_channels_are_image_reference_and_difference() -> None:
    image, reference = _colour(GREY), _colour(GREY.copy())
    image[20:30, 30:50] = 255
    found = compose(image, reference, Channels.GOLDEN)
    assert np.array_equal(found[:, :, 0], image[:, :, 0])
    assert np.array_equal(found[:, :, 1], GREY)
    outside = np.ones(GREY.shape, bool)
    outside[20:30, 30:50] = False
    assert (found[:, :, 2][outside] == ZERO_DIFFERENCE).all()
    assert (found[24:26, 35:45, 2] > ZERO_DIFFERENCE).all()


@given(st.integers(-2, 2), st.integers(-2, 2))
@settings(deadline=None)
def test_a_shift_of_two_pixels_makes_no_difference(down: int, right: int) -> None:
    board = np.asarray((_texture(80, 80) > 128) * 255, dtype=np.uint8)
    shifted = np.roll(board, (down, right), (0, 1))
    assert (tolerant_difference(shifted, board)[2:-2, 2:-2] == ZERO_DIFFERENCE).all()


def test_the_difference_is_signed() -> None:
    reference = np.full((20, 20), 100, np.uint8)
    bright, dark = reference.copy(), reference.copy()
    bright[10, 10], dark[10, 10] = 160, 40
    assert tolerant_difference(bright, reference)[10, 10] == ZERO_DIFFERENCE + 60
    assert tolerant_difference(dark, reference)[10, 10] == ZERO_DIFFERENCE - 60
    assert tolerant_difference(np.zeros_like(reference) + 255, np.zeros_like(reference)).max() == 255
    assert tolerant_difference(np.zeros_like(reference), np.zeros_like(reference) + 255).min() == 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_difference_is_the_distance_to_the_references_range(seed: int) -> None:
    grey, reference = np.random.default_rng(seed).integers(0, 256, (2, 9, 11), dtype=np.uint8)
    wide = np.pad(reference.astype(int), 2, mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(wide, (5, 5))
    over = np.maximum(grey.astype(int) - near.max(axis=(2, 3)), 0)
    under = np.maximum(near.min(axis=(2, 3)) - grey.astype(int), 0)
    assert np.array_equal(tolerant_difference(grey, reference), np.clip(128 + over - under, 0, 255))


def test_golden_channels_need_a_reference_of_the_same_size() -> None:
    with pytest.raises(SourceError, match="found none"):
        compose(RGB, None, Channels.GOLDEN)
    with pytest.raises(SourceError, match="80 x 60 pixels, found 40 x 60"):
        compose(RGB, RGB[:, :40], Channels.GOLDEN)


@given(st.integers(1, 20), st.integers(1, 20), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_png_keeps_every_pixel(height: int, width: int, colour: bool, seed: int) -> None:
    shape = (height, width, 3) if colour else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(decode(encode_png(pixels)), pixels if colour else _colour(pixels))


@pytest.mark.parametrize("pixels", [np.zeros((0, 3), np.uint8), np.zeros((2, 2), np.float32), np.zeros(4, np.uint8)])
def test_png_of_no_image_is_refused(pixels: Pixels) -> None:
    with pytest.raises(SourceError, match="PNG needs"):
        encode_png(pixels)


# --- real images -----------------------------------------------------------------------------------------------------

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "pattern", "count"), [("magnetic-tile", "*.jpg", 1068), ("deeppcb", "*.jpg", 2000)])
def test_every_real_image_is_examined(folder: str, pattern: str, count: int) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"{DATA / folder} is not there")
    examine = Examiner()
    records = [examine(path.read_bytes(), now=NOW, name=path.name) for path in sorted((DATA / folder).rglob(pattern))]
    assert len(records) == count
    assert {(record.mode, record.bit_depth) for record in records} <= {("L", 8), ("RGB", 8)}
    assert all(0 < record.brightness <= 255 and 0 <= record.edge_density < 1 for record in records)
