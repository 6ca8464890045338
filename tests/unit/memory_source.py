"""A source in memory: the port's smallest implementation."""

import io
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import cv2
import numpy as np

from wafergate.errors import SourceError


class MemorySource:
    """Files as a mapping from name to bytes."""

    def __init__(self, files: Mapping[str, bytes | str], refused: Sequence[tuple[str, str]] = ()) -> None:
        self._files = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
        self._refused = tuple(refused)
        self.title = "memory"

    def names(self) -> Sequence[str]:
        return sorted(self._files)

    def unsafe(self) -> Sequence[tuple[str, str]]:
        return self._refused

    def read(self, name: str) -> bytes:
        if name not in self._files:
            message = f"there is no file {name} in memory"
            raise SourceError(message)
        return self._files[name]

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name))


def picture(width: int = 40, height: int = 30, suffix: str = ".png", level: int = 90) -> bytes:
    """Return a uniform grey image file."""
    _, data = cv2.imencode(suffix, np.full((height, width), level, dtype=np.uint8))
    return bytes(data)
