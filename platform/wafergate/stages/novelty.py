"""How far an image lies from what its model was trained on, in the model's own embedding.

The distance is Mahalanobis', to one normal distribution over the embeddings of the training images: what Rippel et al.
('Modeling the distribution of normal data in pre-trained deep features for anomaly detection', ICPR 2020) found best on
features a network has learnt for another end. A line has few images, hardly more than an embedding has dimensions: the
covariance is shrunk towards a multiple of the identity by the weight that minimises the expected squared error (Ledoit
and Wolf, 'A well-conditioned estimator for large-dimensional covariance matrices', J. Multivariate Analysis 88, 2004).
"""

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.novelty import Familiar

__all__ = ["LEAST_IMAGES", "fit", "measure", "shrunk_covariance"]

LEAST_IMAGES = 10
"""With fewer training images there is no distribution to be far from."""

_FOLDS = 5
_TINY = 1e-12

Matrix = NDArray[np.float64]


def shrunk_covariance(rows: Matrix) -> tuple[Matrix, float]:
    """Return Ledoit and Wolf's covariance `(c, c)` of centred rows `(n, c)`, and its shrinkage, 0..1."""
    n, c = rows.shape
    sample = rows.T @ rows / n
    scale = float(np.trace(sample)) / c
    apart = float((sample**2).sum()) / c - scale**2
    error = (float(((rows**2).sum(axis=1) ** 2).mean()) - float((sample**2).sum())) / (n * c)
    weight = 1.0 if apart <= 0 else float(np.clip(error / apart, 0, 1))
    return (1 - weight) * sample + weight * scale * np.eye(c), weight


def fit(embeddings: NDArray[np.float32], image: NDArray[np.int64]) -> Familiar:
    """Fit what is familiar to training images.

    An image that took part in a fit lies nearer to it than a new one of the same kind would, so what `trained` says of
    each comes from the four fifths of the images that it is not among.

    Args:
        embeddings: `(rows, c)`, one or more rows an image.
        image: `(rows,)`, which image each row shows, 0 to n - 1, every one of them at least once.

    Raises:
        ValueError: there are fewer than `LEAST_IMAGES` images.
    """
    count = int(image.max()) + 1 if len(image) else 0
    if count < LEAST_IMAGES:
        message = f"novelty needs at least {LEAST_IMAGES} training images, found {count}"
        raise ValueError(message)
    rows = embeddings.astype(np.float64)
    apart = np.zeros(len(rows))
    for fold in range(_FOLDS):
        out = image % _FOLDS == fold
        apart[out] = _distances(rows[out], *_distribution(rows[~out]))
    held_out = np.zeros(count)
    np.maximum.at(held_out, image, apart)
    unit = max(float(np.median(held_out)), _TINY)
    mean, precision = _distribution(rows)
    return Familiar(mean, precision, unit, held_out / unit)


def measure(familiar: Familiar, embedding: NDArray[np.float32]) -> float:
    """Return the novelty of one image: 1 is as far from training as the median training image was, held out.

    Args:
        familiar: what was fitted.
        embedding: `(k, c)`, one row for each part of the image the model was shown; the farthest counts.
    """
    return float(_distances(embedding.astype(np.float64), familiar.mean, familiar.precision).max() / familiar.unit)


def _distribution(rows: Matrix) -> tuple[Matrix, Matrix]:
    mean = rows.mean(axis=0)
    covariance, _ = shrunk_covariance(rows - mean)
    # Embeddings that never vary would make it singular; then everything else is infinitely new, or as good as.
    covariance += np.eye(len(mean)) * max(float(np.trace(covariance)) / len(mean), 1.0) * _TINY
    return mean, np.asarray(np.linalg.inv(covariance), np.float64)


def _distances(rows: Matrix, mean: Matrix, precision: Matrix) -> Matrix:
    away = rows - mean
    squared = np.einsum("ij,jk,ik->i", away, precision, away, optimize=True)
    return np.asarray(np.sqrt(np.clip(squared, 0, None)), np.float64)
