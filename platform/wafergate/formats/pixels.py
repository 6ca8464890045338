"""Decode image files as they are stored, after everything that can be checked without decoding."""

import functools
import io
import re
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from wafergate.domain.samples import QuarantineReason
from wafergate.formats.header import BROKEN, ImageHeader, ImageRefusedError, read_header

__all__ = ["decode_indices", "decode_raw"]

_JPEG_END = b"\xff\xd9"
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PNM = re.compile(rb"P([2356])" + 3 * (_GAP + rb"([0-9]+)"))  # Netpbm, pgm(5) and ppm(5): kind, width, height, maxval


def _refuse(detail: str) -> ImageRefusedError:
    return ImageRefusedError(QuarantineReason.UNREADABLE_IMAGE, detail)


@functools.cache
def _silence_opencv() -> None:
    # A broken file among thousands is our finding, told once with its name, not a line on stderr.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _check_png(data: bytes) -> None:
    """Walk the chunks (ISO/IEC 15948, section 5.3) up to IEND, checking each one's CRC-32."""
    at, view = 8, memoryview(data)
    while at + 12 <= len(data):
        length = int.from_bytes(view[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            message = f"its PNG chunk at byte {at} does not match its checksum: the file is damaged"
            raise _refuse(message)
        if data[at + 4 : at + 8] == b"IEND":
            return
        at = end + 4
    message = f"it is truncated: {len(data)} bytes and no end of the PNG"
    raise _refuse(message)


def _check_whole(data: bytes, header: ImageHeader) -> None:
    """Refuse truncated JPEG and PNG files before a decoder fills the rest with grey or writes to stderr."""
    if header.kind == "JPEG" and data.rfind(_JPEG_END, header.body) < 0:
        message = f"it is truncated: {len(data)} bytes and no end-of-image marker"
        raise _refuse(message)
    if header.kind == "PNG":
        _check_png(data)


def _check_header(header: ImageHeader, max_pixels: int) -> None:
    if header.pixels > max_pixels:
        detail = f"{header.width} x {header.height} are more than the {max_pixels} pixels of [intake] max_pixels"
        raise ImageRefusedError(QuarantineReason.TOO_LARGE, detail)
    if header.frames > 1:
        message = f"it holds {header.frames} pictures where one is expected; split it into single images"
        raise _refuse(message)


def _by_pillow(data: bytes, opener: Callable[[io.BytesIO], ImageFile.ImageFile]) -> Image.Image:
    """Decode a file with Pillow where OpenCV gives other values than those stored; it is turned upright."""
    try:
        with opener(io.BytesIO(data)) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except BROKEN as error:
        message = f"its data cannot be decoded ({' '.join(str(error).split())})"
        raise _refuse(message) from error


def _decoded(data: bytes, header: ImageHeader) -> NDArray[np.generic]:
    if header.straight_alpha and header.mode == "RGBA":
        # OpenCV multiplies such colours with their alpha, those of 8 bits alone: the values below it are lost.
        return np.ascontiguousarray(np.asarray(_by_pillow(data, TiffImageFile))[:, :, 2::-1])
    _silence_opencv()
    try:
        found = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        message = f"its {header.kind} data cannot be decoded ({str(error).strip()})"
        raise _refuse(message) from error
    if found is None:
        message = f"its {header.kind} data cannot be decoded: damaged, truncated or of an unusual kind"
        raise _refuse(message)
    pixels: NDArray[np.generic] = np.asarray(found)
    return _to_full_range(data, pixels) if header.kind == "PNM" else pixels


def _to_full_range(data: bytes, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Scale a PNM from its own brightest value, which OpenCV heeds in plain files of 8 bits alone."""
    found = _PNM.match(data)
    if found is None:
        message = "its PNM header does not give width, height and brightest value"
        raise _refuse(message)
    kind, maxval = int(found[1]), int(found[4])
    full = 255 if pixels.dtype == np.uint8 else 65535
    if maxval == full or (kind < 5 and full == 255):
        return pixels
    if int(np.max(pixels)) > maxval:
        message = f"it holds values above {maxval}, which its header calls the brightest"
        raise _refuse(message)
    levels = np.rint(np.arange(maxval + 1) * (full / maxval)).astype(pixels.dtype)
    return np.asarray(levels[pixels.astype(np.intp)])


def _pixels(data: bytes, header: ImageHeader) -> NDArray[np.generic]:
    pixels = _decoded(data, header)
    if pixels.shape[:2] != (header.height, header.width):
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        message = f"its header claims {header.width} x {header.height} pixels, its data hold {size}"
        raise _refuse(message)
    return pixels


def decode_indices(data: bytes) -> NDArray[np.generic]:
    """Return the numbers `(h, w)` that a PNG with a palette holds, which `decode_raw` has decoded before.

    Raises:
        ImageRefusedError: it cannot be decoded, or number 0 is not black, so that it is no sign of no defect.
    """
    image = _by_pillow(data, PngImageFile)
    first = (image.getpalette() or [])[:3]
    if any(first):
        message = f"its palette gives number 0 the colour {first}, where black means no defect; save it as greyscale"
        raise _refuse(message)
    return np.asarray(image)


def decode_raw(data: bytes, *, max_pixels: int, name: str = "") -> tuple[ImageHeader, NDArray[np.generic]]:
    """Decode an image file as it is stored: depth kept, alpha dropped, turned upright as EXIF says.

    Args:
        data: the whole file.
        max_pixels: files whose header claims more are refused before anything is decoded.
        name: file name; where it ends in another format's suffix, the file is refused.

    Returns:
        The header, and the pixels as `(h, w)` or `(h, w, 3)` BGR.

    Raises:
        ImageRefusedError: it is no image of a known format, is truncated, damaged, too large, or holds several.
    """
    header = read_header(data, name=name)
    _check_header(header, max_pixels)
    _check_whole(data, header)
    return header, _pixels(data, header)
