"""JSON of any length, value by value, as `json.loads` reads it: the same values and the same errors."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

__all__ = ["LIST", "members", "undecodable"]

LIST: Final = object()
"""Stands for a list whose elements follow."""

_PIECE = 1 << 16  # bytes read at a time
_CUT = 16  # letters: how near to the end of what has been read an error, or a number, may come of the cut alone
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def members(stream: BinaryIO) -> Iterator[tuple[str, object, bool]]:
    """Yield the members of the object that a file holds; of one that holds anything else there are none.

    One value at a time is in memory. A member that is a list is yielded as `LIST`, and then each of its elements.

    Args:
        stream: the file, UTF-8, with or without a byte order mark.

    Yields:
        The member's key, a value, and whether that is an element of the member.

    Raises:
        ValueError: it is not JSON, which may show after members were yielded.
        RecursionError: a value is nested deeper than Python can follow.
    """
    text = _Text(stream)
    start = text.peek()
    if start == "{":
        yield from _object(text)
    elif start == "[":
        for _ in _list(text):
            pass
    else:
        text.value()
    if text.peek():
        raise text.error("Extra data")


def _object(text: "_Text") -> Iterator[tuple[str, object, bool]]:
    text.step()
    if text.peek() == "}":
        text.step()
        return
    while True:
        if text.peek() != '"':
            raise text.error("Expecting property name enclosed in double quotes")
        key = str(text.value())
        if text.peek() != ":":
            raise text.error("Expecting ':' delimiter")
        text.step()
        if text.peek() == "[":
            yield key, LIST, False
            for item in _list(text):
                yield key, item, True
        else:
            yield key, text.value(), False
        if text.ends("}"):
            return


def _list(text: "_Text") -> Iterator[object]:
    text.step()
    if text.peek() == "]":
        text.step()
        return
    while True:
        yield text.value()
        if text.ends("]"):
            return


class _Text:
    """A place in a text of which only what lies ahead has been read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._place, self._ended = "", 0, False
        self._bytes = 0  # read before what the decoder holds
        self._letters, self._lines, self._line_start = 0, 0, 0  # of what has been read and dropped

    def peek(self) -> str:
        """Return the next letter that is no space; empty at the end."""
        while True:
            self._place = _end_of_space(self._text, self._place)
            if self._place < len(self._text) or self._ended:
                return self._text[self._place : self._place + 1]
            self._more()

    def step(self) -> None:
        """Pass over one letter."""
        self._place += 1

    def ends(self, mark: str) -> bool:
        """Pass over the comma before a next item, or over the mark that ends them all; tell which it was."""
        found = self.peek()
        if found not in {mark, ","} or not found:
            raise self.error("Expecting ',' delimiter")
        self.step()
        return found == mark

    def value(self) -> object:
        """Return the next value and pass over it."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                cut = error.pos + _CUT > len(self._text) or error.msg.startswith("Unterminated string")
                if self._ended or not cut:
                    raise self.error(error.msg, error.pos) from None
            else:
                if self._ended or end + _CUT <= len(self._text):
                    self._place = end
                    return value
            self._more()

    def error(self, message: str, place: int | None = None) -> ValueError:
        """Return an error that tells where in the file it is; here where no place is given."""
        place = self._place if place is None else place
        line = self._lines + self._text.count("\n", 0, place) + 1
        newline = self._text.rfind("\n", 0, place)
        column = place - newline if newline >= 0 else self._letters + place - self._line_start + 1
        return ValueError(f"{message}: line {line} column {column} (char {self._letters + place})")

    def _more(self) -> None:
        """Drop what lies behind, and read as much again as lies ahead, so that a long value is not read too often."""
        self._lines += self._text.count("\n", 0, self._place)
        newline = self._text.rfind("\n", 0, self._place)
        self._line_start = self._letters + newline + 1 if newline >= 0 else self._line_start
        self._letters += self._place
        ahead = self._text[self._place :]
        data = self._stream.read(max(_PIECE, len(ahead)))
        self._text, self._place, self._ended = ahead + self._decoded(data), 0, not data

    def _decoded(self, data: bytes) -> str:
        held = len(self._decode.getstate()[0])
        try:
            text = self._decode.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise ValueError(undecodable(error, self._bytes - held)) from None
        self._bytes += len(data)
        return text


def undecodable(error: UnicodeDecodeError, before: int) -> str:
    """Return an error's own words with the place in the file, of which `before` bytes had been decoded before."""
    start, end = before + error.start, before + error.end - 1
    what = f"byte 0x{error.object[error.start]:02x}" if start == end else "bytes"
    where = f"{start}" if start == end else f"{start}-{end}"
    return f"'utf-8' codec can't decode {what} in position {where}: {error.reason}"


def _end_of_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
