"""Pixels are decoded as the file means them: from white or black, over any range, whatever lies above them."""

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.unit.memory_source import MemorySource, picture
from wafergate.adapters.images import ImageRefusedError, decode
from wafergate.domain.samples import QuarantineReason
from wafergate.formats import READERS, ReadOptions

pytestmark = pytest.mark.unit

GREY = np.random.default_rng(0).integers(0, 256, (6, 8)).astype(np.uint8)
RGB = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


def tiff(pixels: NDArray[np.generic], **tags: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF", tiffinfo={int(name[1:]): value for name, value in tags.items()})
    return stream.getvalue()


def from_white(pixels: NDArray[np.generic]) -> bytes:
    """Return a TIFF whose photometric interpretation is 0 (TIFF 6.0, section 4)."""
    data = bytearray(tiff(pixels))
    start = struct.unpack("<I", data[4:8])[0] + 2
    places = range(start, len(data) - 12, 12)
    at = next(place for place in places if struct.unpack("<H", data[place : place + 2])[0] == 262)
    data[at + 8 : at + 10] = struct.pack("<H", 0)
    return bytes(data)


@pytest.mark.parametrize("pixels", [GREY, GREY.astype(np.uint16) * 257], ids=["8 bits", "16 bits"])
def test_a_tiff_that_counts_from_white_is_turned(pixels: NDArray[np.generic]) -> None:
    assert np.array_equal(decode(from_white(pixels))[:, :, 0], 255 - GREY)


def test_twelve_bits_counted_from_white_are_refused_as_those_from_black_are() -> None:
    with pytest.raises(ImageRefusedError, match="12 bits"):
        decode(from_white(GREY.astype(np.uint16) * 16))


@pytest.mark.parametrize("alpha", [255, 100, 0])
@pytest.mark.parametrize("turned", [1, 6])
def test_colours_below_alpha_stay_as_a_tiff_stores_them(alpha: int, turned: int) -> None:
    found = decode(tiff(np.dstack([RGB, np.full(GREY.shape, alpha, np.uint8)]), _274=turned))
    wanted = np.ascontiguousarray(RGB[:, :, ::-1])
    assert np.array_equal(found, wanted if turned == 1 else np.rot90(wanted, -1))


def of_16_bits(pixels: NDArray[np.uint16]) -> bytes:
    """Return a TIFF of four samples, the last one an alpha that nothing is multiplied with (TIFF 6.0, section 18)."""
    height, width, samples = pixels.shape
    body = pixels.astype("<u2").tobytes()
    shorts = {258: 8, 256: width, 257: height, 259: 1, 262: 2, 277: samples, 278: height, 338: 2}
    longs = {273: 16, 279: len(body)}
    tags = sorted({**shorts, **longs})
    count = {258: samples}
    entries = (
        struct.pack("<HHII", tag, 3 if tag in shorts else 4, count.get(tag, 1), {**shorts, **longs}[tag])
        for tag in tags
    )
    bits = struct.pack("<4H", *[16] * samples)  # at 8, where tag 258 points
    start = struct.pack("<2sHI", b"II", 42, 16 + len(body)) + bits
    return start + body + struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4)


def test_sixteen_bits_below_alpha_stay_as_stored_and_twelve_of_them_are_refused() -> None:
    deep = np.dstack([RGB, np.full(GREY.shape, 100, np.uint8)]).astype(np.uint16)
    assert np.array_equal(decode(of_16_bits(deep * 257)), RGB[:, :, ::-1])
    with pytest.raises(ImageRefusedError, match="12 bits"):
        decode(of_16_bits(deep * 16))


def test_a_damaged_tiff_with_alpha_is_refused() -> None:
    data = tiff(np.dstack([RGB, np.full(GREY.shape, 9, np.uint8)]))
    with pytest.raises(ImageRefusedError):
        decode(data[:-60] if data[4:8] == struct.pack("<I", 8) else data[:60])


@pytest.mark.parametrize("kind", [b"P5", b"P6", b"P2", b"P3"])
@pytest.mark.parametrize("most", [1, 100, 255, 1023, 4095, 65535])
def test_a_pnm_is_scaled_from_its_own_brightest_value(kind: bytes, most: int) -> None:
    values = np.linspace(0, most, 12).astype(int)
    grey, plain = kind in {b"P5", b"P2"}, kind in {b"P2", b"P3"}
    text = b" ".join(str(value).encode() for value in values)
    body = text + b"\n" if plain else values.astype(">u2" if most > 255 else "u1").tobytes()
    found = decode(kind + b" # 9 9\n" + f"{12 if grey else 4} 1 {most}\n".encode() + body).astype(int)
    shown = found[0, :, 0] if grey else found[0, :, ::-1].ravel()
    assert np.abs(shown - values * 255 / most).max() <= 1


def test_a_pnm_with_values_above_its_brightest_is_refused() -> None:
    with pytest.raises(ImageRefusedError, match="above 100"):
        decode(b"P5 4 1 100\n" + bytes([0, 50, 100, 101]))


# --- masks -----------------------------------------------------------------------------------------------------------


def png(pixels: NDArray[np.generic], palette: list[int] | None = None) -> bytes:
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def parts(*values: int, kind: type[np.generic] = np.uint8) -> NDArray[np.generic]:
    """Return a mask with a square of 4 x 4 pixels of each value."""
    mask = np.zeros((30, 40), kind)
    for place, value in enumerate(values):
        mask[4:8, 6 * place + 1 : 6 * place + 5] = value
    return mask


VOC_COLOURS = [0, 0, 0, 255, 0, 0, 60, 60, 60, 0, 0, 90]
MASKS = [
    pytest.param(png(parts(1, 2, 3), VOC_COLOURS), id="numbers with a palette"),
    pytest.param(png(parts(1, 2, 300, kind=np.uint16)), id="16 bits, defects by number"),
    pytest.param(png(parts(1, 20, 200)), id="8 bits, defects by number"),
    pytest.param(png(parts(255, 255, 255, 100)), id="grey levels with a rim"),
    pytest.param(png(parts(65535, 65535, 65535, 100, kind=np.uint16)), id="16 bits, grey levels with a rim"),
]


@pytest.mark.parametrize("mask", MASKS)
def test_every_defect_of_a_mask_is_found(mask: bytes) -> None:
    reading = READERS["masks"](MemorySource({"pit/a.jpg": picture(), "pit/a.png": mask}), ReadOptions())
    (sample,) = reading.samples
    assert [box.box.as_tuple() for box in sample.boxes] == [(1, 4, 5, 8), (7, 4, 11, 8), (13, 4, 17, 8)]


def test_a_palette_whose_number_0_is_not_black_is_no_mask() -> None:
    files = {"pit/a.jpg": picture(), "pit/a.png": png(parts(1), [255, 255, 255, 0, 0, 0])}
    ((path, reason, detail),) = READERS["masks"](MemorySource(files), ReadOptions()).problems
    assert (path, reason) == ("pit/a.jpg", QuarantineReason.UNREADABLE_LABEL)
    assert "palette" in detail
