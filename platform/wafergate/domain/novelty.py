"""What a model's training images look like to the model itself, against which new ones are measured."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

__all__ = ["Familiar", "ModelReference"]


@dataclass(frozen=True, slots=True)
class ModelReference:
    """What a model says of its own training images, made once.

    Attributes:
        id: from the model.
        model_id: the model version.
        images: how many training images it was shown: all, or as many as suffice, spread evenly.
        dimensions: length of its embedding; 0 where its exported file gives none.
        predictions: its detections on each, file in S3 (SHA-256), Parquet; the names are the images' SHA-256.
        embeddings: its embeddings of each, file in S3 (SHA-256), see `formats/embeddings.py`; None without any.
        created_at: when.
    """

    id: str
    model_id: str
    images: int
    dimensions: int
    predictions: str
    embeddings: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Familiar:
    """A normal distribution over the embeddings of training images, and how far they themselves lie from it.

    Attributes:
        mean: `(c,)`.
        precision: `(c, c)`, the inverse of the shrunk covariance.
        unit: the distance that counts as a novelty of 1: that of the median training image, held out.
        trained: `(n,)` novelty of each training image, measured by a fit that left it out.
    """

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    unit: float
    trained: NDArray[np.float64]
