"""What the first bytes of an image file tell, without decoding it; Pillow reads the header."""

import functools
import importlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from struct import error as StructError  # noqa: N812 - the library's own name is `error`
from typing import Any

from PIL import Image

from wafergate.domain.samples import QuarantineReason
from wafergate.errors import SourceError

__all__ = ["BROKEN", "IMAGE_SUFFIXES", "ImageHeader", "ImageRefusedError", "read_header"]

BROKEN = (
    SyntaxError,
    OSError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    StructError,
)
"""What Pillow's parsers raise on damaged files."""

_WIDTH, _HEIGHT = 0x0100, 0x0101  # TIFF 6.0, section 8
_PHOTOMETRIC, _WHITE_IS_ZERO = 0x0106, 0  # section 4
_EXTRA_SAMPLES, _STRAIGHT = 0x0152, 2  # section 18: unassociated alpha
_BITS_A_SAMPLE = 0x0102
_JPEG_TABLES = 0xDB  # of 64 steps of 8 bits, each under its number
_JPEG_PLAIN = frozenset({0xE0, _JPEG_TABLES, 0xC4, 0xDD})  # JFIF, quantisation and Huffman tables, restart interval
_JPEG_FRAMES = frozenset({0xC0, 0xC2})
_JPEG_MODES = {1: "L", 3: "RGB"}  # components
_ORIENTATION = 0x0112  # EXIF 2.32, table 4: 1 upright, 2..4 mirrored or turned by 180 degrees, 5..8 by 90 or 270


class ImageRefusedError(SourceError):
    """An image file does not enter; `reason` is the quarantine code, `detail` one sentence for a person."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    magic: tuple[bytes, ...]
    suffixes: tuple[str, ...]
    plugin: str  # module and class of Pillow, opened directly: no probing of formats nobody agreed to


_KINDS = (
    _Kind("JPEG", (b"\xff\xd8\xff",), (".jpg", ".jpeg", ".jpe", ".jfif"), "JpegImagePlugin:JpegImageFile"),
    _Kind("PNG", (b"\x89PNG\r\n\x1a\n",), (".png",), "PngImagePlugin:PngImageFile"),
    _Kind("BMP", (b"BM",), (".bmp", ".dib"), "BmpImagePlugin:BmpImageFile"),
    _Kind("TIFF", (b"II*\0", b"MM\0*"), (".tif", ".tiff"), "TiffImagePlugin:TiffImageFile"),
    _Kind("WebP", (b"RIFF",), (".webp",), "WebPImagePlugin:WebPImageFile"),
    _Kind("GIF", (b"GIF87a", b"GIF89a"), (".gif",), "GifImagePlugin:GifImageFile"),
    _Kind("PNM", (b"P2", b"P3", b"P5", b"P6"), (".pgm", ".ppm", ".pnm"), "PpmImagePlugin:PpmImageFile"),
    _Kind(
        "JPEG 2000",
        (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        (".jp2", ".j2k", ".jpx"),
        "Jpeg2KImagePlugin:Jpeg2KImageFile",
    ),
)

IMAGE_SUFFIXES = frozenset(suffix for kind in _KINDS for suffix in kind.suffixes)
"""File-name endings, lower case, that make a file an image for the readers."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header claims.

    Attributes:
        kind: `JPEG`, `PNG`, `BMP`, `TIFF`, `WebP`, `GIF`, `PNM` or `JPEG 2000`.
        width: pixels, after turning upright as EXIF says.
        height: pixels, after turning upright as EXIF says.
        mode: as Pillow names it.
        frames: pictures or pages in the file.
        orientation: EXIF value, 1..8; 1 is upright.
        body: byte offset at which the parser stopped: before the pixel data, after embedded thumbnails.
        white_is_zero: whether a TIFF counts grey from white to black.
        straight_alpha: whether a TIFF has colours of 8 bits that its alpha is not yet multiplied with.
    """

    kind: str
    width: int
    height: int
    mode: str
    frames: int
    orientation: int
    body: int
    white_is_zero: bool = False
    straight_alpha: bool = False

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def suffix(self) -> str:
        """The usual ending of such a file's name, e.g. `.jpg`."""
        return next(kind.suffixes[0] for kind in _KINDS if kind.name == self.kind)


def _refuse(detail: str) -> ImageRefusedError:
    return ImageRefusedError(QuarantineReason.UNREADABLE_IMAGE, detail)


def _kind_of(data: bytes) -> _Kind:
    if not data:
        message = "it is empty (0 bytes)"
        raise _refuse(message)
    for kind in _KINDS:
        if data.startswith(kind.magic) and (kind.name != "WebP" or data[8:12] == b"WEBP"):
            return kind
    known = ", ".join(kind.name for kind in _KINDS)
    message = f"it is not an image of a known format ({known}); it begins with {data[:8]!r}"
    raise _refuse(message)


def _check_suffix(kind: _Kind, name: str) -> None:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in IMAGE_SUFFIXES and suffix not in kind.suffixes:
        message = f"its content is {kind.name}, its name says {suffix}; rename it to {kind.suffixes[0]}"
        raise ImageRefusedError(QuarantineReason.WRONG_SUFFIX, message)


def _orientation_of(image: Any, kind: str) -> int:
    """Return the EXIF orientation; 1 where there is none or the EXIF block is broken, as decoders have it too."""
    if kind == "TIFF":
        found = image.tag_v2.get(_ORIENTATION, 1)
    elif "exif" in image.info:
        exif = Image.Exif()
        try:
            exif.load(image.info["exif"])
            found = exif.get(_ORIENTATION, 1)
        except BROKEN:
            return 1
    else:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _stored_size(image: Any, kind: str) -> tuple[int, int]:
    """Return width and height as stored; Pillow gives those of a turned TIFF, and of no other, turned already."""
    return (image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]) if kind == "TIFF" else image.size


def _read_plain_jpeg(data: bytes) -> ImageHeader | None:
    """Read a JPEG that begins as most do: JFIF block, tables, one baseline or progressive frame (ITU-T T.81, annex B).

    Pillow's general reader takes four times as long, and holds the interpreter's lock that other threads wait for.

    Returns:
        The header; None where anything else stands there, which Pillow then tells or refuses.
    """
    at, size, mode = 2, (0, 0), ""
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], data[at + 2] << 8 | data[at + 3]
        end = at + 2 + length
        if end > len(data):
            return None
        if marker == 0xDA:
            return ImageHeader("JPEG", *size, mode, 1, 1, end) if mode else None
        if marker in _JPEG_FRAMES and not mode and length >= 8:
            height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
            if data[at + 4] != 8 or data[at + 9] not in _JPEG_MODES or not width or not height:
                return None
            size, mode = (width, height), _JPEG_MODES[data[at + 9]]
        elif marker not in _JPEG_PLAIN or (marker == _JPEG_TABLES and length % 65 != 2):
            return None
        at = end
    return None


@functools.cache
def _opener(plugin: str) -> Callable[[io.BytesIO], Any]:
    module, _, name = plugin.partition(":")
    opener: Callable[[io.BytesIO], Any] = getattr(importlib.import_module(f"PIL.{module}"), name)
    return opener


@functools.cache
def _silence_pillow() -> None:
    # A broken tag among thousands of files is told with the file's name or does not matter, and is no line on stderr.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_header(data: bytes, *, name: str = "") -> ImageHeader:
    """Read an image file's header; costs 2 to 20 microseconds and touches no pixel.

    Args:
        data: the whole file.
        name: the file's name; where it ends in another format's suffix, the file is refused.

    Raises:
        ImageRefusedError: it is empty, of no known format, broken, or named as another format.
    """
    kind = _kind_of(data)
    _check_suffix(kind, name)
    if kind.name == "JPEG" and (plain := _read_plain_jpeg(data)):
        return plain
    stream = io.BytesIO(data)
    _silence_pillow()
    try:
        # Opened by its own class, because Image.open would warn or stop at a pixel count of its own choosing:
        # the limit is the line file's (IntakePolicy.max_pixels), and the caller checks it.
        image = _opener(kind.plugin)(stream)
        frames = int(getattr(image, "n_frames", 1))
        orientation = _orientation_of(image, kind.name)
        width, height = (int(side) for side in _stored_size(image, kind.name))
    except Image.DecompressionBombError as error:  # some of Pillow's parsers ask for its own limit themselves
        detail = f"its {kind.name} header claims more pixels than Pillow opens"
        raise ImageRefusedError(QuarantineReason.TOO_LARGE, detail) from error
    except BROKEN as error:
        message = f"its {kind.name} header is broken ({' '.join(str(error).split())})"
        raise _refuse(message) from error
    if min(width, height) < 1:
        message = f"its {kind.name} header claims {width} x {height} pixels"
        raise _refuse(message)
    if orientation >= 5:
        width, height = height, width
    body, tags = stream.tell(), image.tag_v2 if kind.name == "TIFF" else {}
    white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    straight = _STRAIGHT in tuple(tags.get(_EXTRA_SAMPLES, ())) and set(tags.get(_BITS_A_SAMPLE, ())) == {8}
    return ImageHeader(kind.name, width, height, image.mode, frames, orientation, body, white_is_zero, straight)
