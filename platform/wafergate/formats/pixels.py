"""Decode image files as they are stored, after everything that can be checked without decoding."""

import functools
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.samples import QuarantineReason
from wafergate.formats.header import ImageHeader, ImageRefusedError, read_header

__all__ = ["decode_raw"]

_JPEG_END = b"\xff\xd9"


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


def _pixels(data: bytes, header: ImageHeader) -> NDArray[np.generic]:
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
    if pixels.shape[:2] != (header.height, header.width):
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        message = f"its header claims {header.width} x {header.height} pixels, its data hold {size}"
        raise _refuse(message)
    return pixels


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
