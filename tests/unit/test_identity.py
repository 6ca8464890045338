"""Digests: equal values give equal digests, however long the lists in them are."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.domain import identity
from wafergate.domain.geometry import Box
from wafergate.domain.identity import canonical_json, digest_of

pytestmark = pytest.mark.unit

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.builds(Box, *[st.integers(0, 9)] * 4),
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.lists(inner, max_size=7).map(tuple)
        | st.dictionaries(st.sampled_from("abc"), inner)
    ),
    max_leaves=30,
)


@given(values)
def test_a_digest_is_that_of_the_canonical_json_as_one_text(value: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for chunk in (1, 2, 3, 1000):
            patch.setattr(identity, "_CHUNK", chunk)
            assert digest_of(value) == hashlib.sha256(canonical_json(value).encode()).hexdigest()


@given(st.lists(values, max_size=9), values)
def test_an_iterator_counts_as_the_list_of_what_it_yields(items: list[object], other: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for chunk in (3, 4, 1000):
            patch.setattr(identity, "_CHUNK", chunk)
            assert digest_of(iter(items)) == digest_of(items)
            assert digest_of([other, iter(items), other]) == digest_of([other, items, other])
