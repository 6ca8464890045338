"""Numbers with their noun."""

import pytest

from wafergate.domain.words import counted

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "image", "0 images"), (1, "image", "1 image"), (2, "box", "2 boxes"), (1, "box", "1 box"),
     (3, "class", "3 classes"), (12_000, "patch", "12,000 patches"), (12, "epoch", "12 epochs")],
)  # fmt: skip
def test_one_is_one_and_the_rest_are_many(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said
