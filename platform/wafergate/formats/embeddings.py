"""Embeddings of a set of images as one NumPy file: float32, one row for each part of an image a model was shown.

The first column is the place of the image in the set, which float32 holds exactly up to 16 million; the others are the
embedding. The same embeddings give the same bytes.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.errors import StorageError

__all__ = ["read_embeddings", "write_embeddings"]

_PAIR = 2


def write_embeddings(embeddings: Sequence[NDArray[np.float32]]) -> bytes:
    """Return the file of the embeddings `(k, c)` of each image, in the order of the set; at least one image."""
    places = np.repeat(np.arange(len(embeddings)), [len(item) for item in embeddings])
    file = io.BytesIO()
    table = np.column_stack([places, np.concatenate(list(embeddings))]).astype(np.float32)
    np.save(file, table, allow_pickle=False)
    return file.getvalue()


def read_embeddings(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the embeddings `(rows, c)` and the image each row shows, `(rows,)`.

    Raises:
        StorageError: the bytes are no such file.
    """
    try:
        table = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        message = f"a NumPy file of embeddings was expected, found something else: {error}"
        raise StorageError(message) from error
    if table.dtype != np.float32 or table.ndim != _PAIR or table.shape[1] < _PAIR:
        message = (
            f"embeddings must be a float32 table with a place and a vector a row, found {table.dtype} {table.shape}"
        )
        raise StorageError(message)
    return table[:, 1:], table[:, 0].astype(np.int64)
