"""Raw predictions survive Parquet bit by bit, and files that are something else are named."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.domain.evaluation import Detections
from wafergate.errors import StorageError
from wafergate.formats import predictions as module
from wafergate.formats.predictions import iterate_predictions, read_predictions, write_predictions

pytestmark = pytest.mark.unit

ROW = st.tuples(*[st.floats(-10, 5000, width=32)] * 4, st.floats(0, 1, width=32), st.integers(0, 79))


def detections_of(rows: list[tuple[float, ...]]) -> Detections:
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    return Detections(table[:, :4].copy(), table[:, 4].copy(), table[:, 5].astype(np.int64))


def assert_same(first: Detections, second: Detections) -> None:
    for name in ("boxes", "scores", "classes"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, err_msg=name)


@given(st.lists(st.tuples(st.text(max_size=20), st.lists(ROW, max_size=5)), max_size=8))
def test_reading_gives_back_what_was_written(images: list[tuple[str, list[tuple[float, ...]]]]) -> None:
    names, detections = [name for name, _ in images], [detections_of(rows) for _, rows in images]
    read = read_predictions(write_predictions(names, detections, ("open", "결함")))
    assert read.names == tuple(names)
    assert read.classes == ("open", "결함")
    assert len(read.detections) == len(detections)
    for written, again in zip(detections, read.detections, strict=True):
        assert_same(written, again)


def test_large_sets_stream_in_parts_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROW_GROUP", 10)
    detections = [detections_of([(i, 0, i + 1, 1, 0.5, 0)] * (i % 3)) for i in range(35)]
    content = write_predictions([str(i) for i in range(35)], detections, ["open"])
    parts = list(iterate_predictions(content))
    assert [len(part.names) for part in parts] == [10, 10, 10, 5]
    again = [item for part in parts for item in part.detections]
    for written, read in zip(detections, again, strict=True):
        assert_same(written, read)


def test_same_predictions_give_the_same_bytes() -> None:
    detections = [detections_of([(0, 0, 5, 5, 0.25, 1)]), Detections.empty()]
    assert write_predictions("ab", detections, "xy") == write_predictions("ab", detections, "xy")
    assert write_predictions("ab", detections, "xy") != write_predictions("ba", detections, "xy")


def test_names_and_detections_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="found 2 names and 1 detections"):
        write_predictions(["a", "b"], [Detections.empty()], ["x"])


def foreign_parquet() -> bytes:
    sink = io.BytesIO()
    pd.DataFrame({"score": [0.5]}).to_parquet(sink)
    return sink.getvalue()


def damaged() -> bytes:
    rng = np.random.default_rng(0)
    many = detections_of(rng.uniform(0, 1, (500, 6)).tolist())
    content = bytearray(write_predictions(["a"], [many], ["x"]))
    content[len(content) // 3] ^= 255
    return bytes(content)


@pytest.mark.parametrize("content", [b"", b"not parquet at all", foreign_parquet(), damaged()])
def test_other_or_damaged_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(StorageError, match="raw predictions"):
        read_predictions(content)
