"""Novelty: the distance from training in a model's own embedding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from wafergate.errors import StorageError
from wafergate.formats.embeddings import read_embeddings, write_embeddings
from wafergate.stages.novelty import LEAST_IMAGES, fit, measure, shrunk_covariance

pytestmark = pytest.mark.unit


def cloud(rows: int, dimensions: int, seed: int) -> NDArray[np.float32]:
    """Return correlated embeddings with very unequal spreads."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dimensions, dimensions)) * np.linspace(0.05, 3, dimensions)
    return (rng.normal(size=(rows, dimensions)) @ mixing + 5).astype(np.float32)


@given(st.integers(3, 60), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_covariance_is_that_of_ledoit_and_wolf(rows: int, dimensions: int, seed: int) -> None:
    data = cloud(rows, dimensions, seed).astype(np.float64)
    centred = data - data.mean(axis=0)
    ours, weight = shrunk_covariance(centred)
    theirs, shrinkage = ledoit_wolf(centred, assume_centered=True)
    assert weight == pytest.approx(shrinkage if dimensions > 1 else weight, abs=1e-6)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


def test_new_images_of_the_same_kind_are_as_novel_as_training_ones_though_there_are_few() -> None:
    everything = cloud(460, 128, 1)
    known = fit(everything[:160], np.arange(160))
    new = np.array([measure(known, row[None]) for row in everything[160:]])
    assert np.median(known.trained) == pytest.approx(1)
    assert np.median(new) == pytest.approx(1, abs=0.05)
    in_sample = np.array([measure(known, row[None]) for row in everything[:160]])
    assert np.median(in_sample) < 0.9, "why each is measured by a fit that left it out"


def test_the_farther_an_image_lies_the_newer_it_is_and_one_new_tile_suffices() -> None:
    known = fit(cloud(200, 16, 2), np.arange(200))
    usual = cloud(1, 16, 3)
    steps = [measure(known, usual + np.float32(step)) for step in (0, 2, 5, 10)]
    assert steps == sorted(steps)
    assert steps[-1] > 2
    tiles = np.concatenate([usual, usual + np.float32(10), usual])
    assert measure(known, tiles) == pytest.approx(steps[-1])


def test_dimensions_that_never_vary_are_no_trouble_and_anything_else_there_is_new() -> None:
    flat = cloud(50, 8, 4)
    flat[:, 3] = 7
    known = fit(flat, np.arange(50))
    other = flat[:1].copy()
    other[0, 3] = 12
    assert measure(known, other) > measure(known, flat[:1])
    still = fit(np.ones((20, 4), np.float32), np.arange(20))
    assert measure(still, np.ones((1, 4), np.float32)) == 0
    assert measure(still, np.zeros((1, 4), np.float32)) > 1


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {LEAST_IMAGES}"):
        fit(cloud(LEAST_IMAGES - 1, 4, 0), np.arange(LEAST_IMAGES - 1))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.integers(1, 9), st.integers(0, 99))
def test_embeddings_come_back_as_they_were_written(parts: list[int], dimensions: int, seed: int) -> None:
    written = [cloud(count, dimensions, seed + place) for place, count in enumerate(parts)]
    data = write_embeddings(written)
    rows, image = read_embeddings(data)
    assert np.array_equal(rows, np.concatenate(written))
    assert np.bincount(image).tolist() == parts
    assert write_embeddings(written) == data


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"no file of numbers"])
def test_what_is_no_file_of_embeddings_is_refused(damage: bytes) -> None:
    with pytest.raises(StorageError, match="embeddings was expected"):
        read_embeddings(damage)
