"""JSON read value by value is what `json.loads` makes of the whole, errors included."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wafergate.formats import json_stream
from wafergate.formats.json_stream import LIST, members

pytestmark = pytest.mark.unit

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["\ud83d", "é\n"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abé"), inner, max_size=3),
    max_leaves=9,
)
documents = values | st.dictionaries(st.sampled_from(["images", "x", "é"]), values, max_size=3)
indents = st.sampled_from([None, 0, 3])


def rebuilt(data: bytes) -> dict[str, Any]:
    """Put together again what was yielded."""
    found: dict[str, Any] = {}
    for key, value, element in members(io.BytesIO(data)):
        if element:
            found[key].append(value)
        else:
            found[key] = [] if value is LIST else value
    return found


def told(data: bytes, read: Callable[[bytes], object] = lambda data: json.loads(data.decode("utf-8-sig"))) -> str:
    """Return what is wrong, as `json.loads` or another reader tells it; empty where nothing is."""
    try:
        read(data)
    except ValueError as error:
        return str(error)
    return ""


@given(document=documents, indent=indents, plain=st.booleans(), piece=st.sampled_from([1, 2, 7, 1 << 16]))
@settings(max_examples=300, deadline=None)
def test_the_values_are_those_of_the_whole(document: object, indent: int | None, plain: bool, piece: int) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=plain)
    data = text.encode("utf-8-sig", "replace")
    whole = json.loads(data.decode("utf-8-sig"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_PIECE", piece)
        assert repr(rebuilt(data)) == repr(whole if isinstance(whole, dict) else {})


@given(
    document=documents,
    indent=indents,
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(b'{}[],:"\\1.e-tu \n\xc3\xff\x00')), max_size=3),
    cut=st.integers(0, 10**6),
    piece=st.sampled_from([1, 7, 1 << 16]),
)
@settings(max_examples=600, deadline=None)
def test_the_errors_are_those_of_the_whole(
    document: object, indent: int | None, changes: list[tuple[int, int]], cut: int, piece: int
) -> None:
    data = bytearray(json.dumps(document, indent=indent, ensure_ascii=False).encode("utf-8", "replace"))
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: len(data) - cut % 3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_PIECE", piece)
        found, whole = told(bytes(data), rebuilt), told(bytes(data))
    # What is wrong first is told first, so bytes that are no UTF-8 after a broken value go unnoticed.
    assert found == whole or (found and "utf-8" in whole)


def test_an_error_far_into_a_file_is_told_by_its_line_and_found_without_reading_on() -> None:
    rows = ",\n".join(json.dumps({"id": number}) for number in range(20_000))
    data = f'{{"images": [{rows},\n{{"id" 3}},\n{rows}]}}'.encode()
    stream = io.BytesIO(data)
    with pytest.raises(ValueError, match="Expecting ':' delimiter: line 20001 column 7 ") as raised:
        list(members(stream))
    assert str(raised.value) == told(data)
    assert stream.tell() < len(data) - 100_000


def test_one_element_at_a_time_is_in_memory() -> None:
    rows = ",".join(json.dumps({"id": number}) for number in range(50_000))
    stream = io.BytesIO(f'{{"images": [{rows}]}}'.encode())
    read = members(stream)
    assert next(read) == ("images", LIST, False)
    for number in range(100):
        assert next(read) == ("images", {"id": number}, True)
    assert stream.tell() <= 1 << 16
