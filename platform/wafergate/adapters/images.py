"""Decode and examine image files with OpenCV; Pillow reads their headers."""

import hashlib
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.samples import ImageRecord, QuarantineReason
from wafergate.errors import SourceError
from wafergate.formats.header import ImageHeader, ImageRefusedError
from wafergate.formats.pixels import decode_raw
from wafergate.stages.measure import measure

__all__ = ["Examiner", "ImageRefusedError", "decode", "encode_png"]

Pixels = NDArray[np.uint8]

OPENCV_MAX_PIXELS = 1 << 30
"""What OpenCV itself decodes at most."""

_DARK_16_BIT = 4096


def _refuse(detail: str) -> ImageRefusedError:
    return ImageRefusedError(QuarantineReason.UNREADABLE_IMAGE, detail)


def _to_bytes(pixels: NDArray[np.generic]) -> Pixels:
    """Bring pixels to 8 bits; the table at `decode` says how."""
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    if pixels.dtype != np.uint16:
        message = f"its pixels are {pixels.dtype}, whose black and white are nowhere agreed; save it with 8 or 16 bits"
        raise _refuse(message)
    brightest = int(pixels.max())
    if 0 < brightest < _DARK_16_BIT:
        message = (
            f"its brightest value is {brightest} of 65535: {brightest.bit_length()} bits in a 16-bit file would turn "
            "black at 8 bits; scale it to the full range"
        )
        raise _refuse(message)
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=1 / 257), dtype=np.uint8)


def _open(data: bytes, *, max_pixels: int, name: str) -> tuple[ImageHeader, Pixels, int]:
    """Return header, 8-bit pixels as `(h, w)` or `(h, w, 3)`, and the bits per channel the file holds."""
    header, raw = decode_raw(data, max_pixels=max_pixels, name=name)
    depth = 1 if header.mode == "1" else raw.dtype.itemsize * 8
    pixels = _to_bytes(raw)
    if header.white_is_zero and depth == 16:  # of other depths OpenCV turns it itself
        pixels = np.asarray(cv2.bitwise_not(pixels), dtype=np.uint8)
    return header, pixels, depth


def decode(data: bytes, *, max_pixels: int = OPENCV_MAX_PIXELS, name: str = "") -> Pixels:
    """Decode an image file to what every later step sees: `(h, w, 3)`, 8 bits, BGR.

    | file                                | what becomes of it                                                   |
    |-------------------------------------|----------------------------------------------------------------------|
    | greyscale                           | the grey level in all three channels                                 |
    | 1 bit                               | 0 and 255                                                            |
    | palette                             | its colours                                                          |
    | alpha channel                       | dropped; the colours below it stay as stored                         |
    | 16 bits                             | divided by 257, rounded: full range to full range                    |
    | 16 bits, brightest value below 4096 | refused: 12 bits in a 16-bit file would turn black                   |
    | TIFF that counts from white         | turned to count from black                                           |
    | PNM of another brightest value      | scaled from that value to full range                                 |
    | 32 bits, floating point             | refused: black and white are nowhere agreed                          |
    | CMYK, YCbCr, Lab                    | converted by OpenCV's formulas; colour profiles are not applied      |
    | turned by EXIF                      | turned upright; width and height are those after turning             |
    | animated, several pages             | refused: which picture the labels mean is not known                  |
    | more than `max_pixels`              | refused from the header, `too_large`, before anything is decoded     |
    | truncated or damaged                | refused; JPEG by its end marker, PNG by its checksums, others by the |
    |                                     | decoder. Bytes changed inside JPEG or raw pixels cannot be noticed   |
    | named as another format             | refused, if `name` is given                                          |
    | another format, empty               | refused                                                              |

    Args:
        data: the whole file.
        max_pixels: of `[intake]` for files nobody has examined; those that entered were held against it.
        name: file name, to check its suffix against the content.

    Raises:
        ImageRefusedError: as the table says, with the quarantine reason.
    """
    _, pixels, _ = _open(data, max_pixels=max_pixels, name=name)
    return _in_colour(pixels)


def _in_colour(pixels: Pixels) -> Pixels:
    if pixels.ndim == 3:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def encode_png(pixels: Pixels) -> bytes:
    """Encode `(h, w)` or `(h, w, 3)` (BGR) as PNG, lossless, at the fastest compression level.

    Raises:
        SourceError: it is not an image of 8 bits.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or not pixels.size:
        message = f"a PNG needs (h, w) or (h, w, 3) bytes, found {pixels.dtype} {pixels.shape}"
        raise SourceError(message)
    written, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not written:
        message = f"an image of {pixels.shape} cannot be written as PNG"
        raise SourceError(message)
    return bytes(data)


class Examiner:
    """Tells everything about an image file from one decode; safe to call from several threads."""

    def __init__(self, *, max_pixels: int = 100_000_000) -> None:
        self._max_pixels = max_pixels

    def __call__(self, data: bytes, *, now: datetime, name: str = "") -> ImageRecord:
        """Return the record of an image file; conversions and refusals are those of `decode`.

        Args:
            data: the whole file.
            now: when it is seen.
            name: file name, to check its suffix against the content.

        Raises:
            ImageRefusedError: it does not enter, with the quarantine reason.
        """
        return self._measured(data, now, *_open(data, max_pixels=self._max_pixels, name=name))

    def look(self, data: bytes, *, now: datetime, name: str = "") -> tuple[ImageRecord, Pixels]:
        """Return the record and what `decode` returns, from one decode; arguments and refusals are the call's.

        The pixels are to be read only: a greyscale file's one channel is in memory once, and its last stride is 0.
        """
        header, pixels, depth = _open(data, max_pixels=self._max_pixels, name=name)
        shown = pixels if pixels.ndim == 3 else np.broadcast_to(pixels[..., None], (*pixels.shape, 3))
        return self._measured(data, now, header, pixels, depth), shown

    def _measured(self, data: bytes, now: datetime, header: ImageHeader, pixels: Pixels, depth: int) -> ImageRecord:
        grey = pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        found = measure(grey)
        return ImageRecord(
            id=hashlib.sha256(data).hexdigest(),
            width=header.width,
            height=header.height,
            mode=header.mode,
            bit_depth=depth,
            bytes=len(data),
            perceptual_hash=found.perceptual_hash,
            brightness=found.brightness,
            contrast=found.contrast,
            sharpness=found.sharpness,
            noise=found.noise,
            saturation_share=found.saturation_share,
            edge_density=found.edge_density,
            created_at=now,
        )
