"""What lies on disk while a source is taken in is what a list in memory would be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wafergate.domain.geometry import Box
from wafergate.domain.samples import RawBox, RawSample
from wafergate.errors import StorageError
from wafergate.formats.spooled import spooled
from wafergate.spool import Spool

pytestmark = pytest.mark.unit

keys = st.text(max_size=3) | st.sampled_from(["a", "a/b", "a-b", "a.b", "\ud800", "\uffff", "\U0001f600", ""])
items = st.lists(st.tuples(keys, st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)))


def _first(item: tuple[str, object]) -> str:
    return item[0]


@given(items)
@settings(deadline=None)
def test_items_come_back_in_their_order_and_are_found_by_their_keys(rows: list[tuple[str, object]]) -> None:
    spool = Spool(rows, key=_first)
    assert (list(spool), len(spool), bool(spool)) == (rows, len(rows), bool(rows))
    for key in {key for key, _ in rows} | {"nobody"}:
        found = [row for row in rows if row[0] == key]
        assert (spool.all_of(key), spool.is_single(key), key in spool) == (found, len(found) == 1, bool(found))
        assert spool.get(key) == (found[-1] if found else None)


@given(items)
@settings(deadline=None)
def test_an_ordered_spool_is_sorted_as_text_is_and_keeps_the_order_of_equal_keys(
    rows: list[tuple[str, object]],
) -> None:
    assert list(Spool(rows, key=_first, ordered=True)) == sorted(rows, key=_first)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
drawn = st.builds(
    RawBox, st.text(max_size=3), st.builds(Box, *[numbers] * 4), st.lists(st.tuples(numbers, numbers)).map(tuple)
)


@given(
    st.lists(
        st.builds(
            RawSample,
            keys,
            st.lists(drawn, max_size=2).map(tuple),
            st.none() | keys,
            st.none() | st.tuples(st.integers(), st.integers()),
            st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=2),
        )
    )
)
@settings(deadline=None)
def test_samples_come_back_with_the_same_values_of_the_same_types(samples: list[RawSample]) -> None:
    """An id is made from the text of the values, and 1 and 1.0 are different texts."""
    assert list(map(repr, spooled(samples))) == list(map(repr, samples))


def test_what_is_looked_up_while_others_are_added_is_found() -> None:
    seen: Spool[str] = Spool(key=str)
    told = []
    for name in ("a", "b", "a", "c", "b"):
        told.append(name in seen)
        seen.append(name)
    assert told == [False, False, True, False, True]


def test_a_full_disk_is_told_with_what_to_do() -> None:
    spool: Spool[bytes] = Spool()
    spool._rows.execute("PRAGMA max_page_count = 9")
    with pytest.raises(StorageError, match=r"room in /.*full.*TMPDIR"):
        spool.extend(bytes(4000) for _ in range(20))
