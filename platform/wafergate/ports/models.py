"""How models are trained, run and compared with data."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.doubts import LabelScores
from wafergate.domain.drift import DriftPolicy
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import ModelVersion

if TYPE_CHECKING:  # a command's help must not wait for pandas
    import pandas as pd

__all__ = ["Detector", "DetectorLoader", "DriftMeter", "LabelScorer", "PublishedWeights", "Trainer"]


class Trainer(Protocol):
    """Trains one candidate and exports it."""

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        """Train, telling each epoch as it ends and, where asked, its checkpoint; its files live until the next one.

        Raises:
            ConfigError: the architecture is unknown or the weights do not fit it.
            OutOfMemoryError: memory ran out; the last checkpoint told can be gone on from with a smaller micro-batch.
            HardwareError: the device asked for is not there.
            TrainingError: training or export failed.
        """


class PublishedWeights(Protocol):
    """What a backend knows of the weights that the makers of its models publish."""

    def address(self, architecture: str) -> str:
        """Return where they lie, as the installed backend says; empty where it names none.

        Raises:
            ConfigError: the backend is not installed or knows no such architecture.
        """

    def check(self, file: Path) -> None:
        """Read a weight file as a training will, without running code that it may carry.

        Raises:
            ConfigError: it is damaged, or holds anything but weights.
        """


class Detector(Protocol):
    """An exported model ready to run; safe to call from several threads."""

    def __call__(self, images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        """Detect in images `(h, w, 3)` uint8 with the model's channels; one result each, in their pixels."""


class DetectorLoader(Protocol):
    """Opens a model's exported file."""

    def __call__(self, model: ModelVersion, onnx: Path) -> Detector:
        """Return the detector.

        Raises:
            TrainingError: the file is not a model this loader can run.
        """


class DriftMeter(Protocol):
    """Measures how far each feature lies between a reference and now."""

    def __call__(self, reference: "pd.DataFrame", current: "pd.DataFrame", policy: DriftPolicy) -> Mapping[str, float]:
        """Return each column's distance, or its p-value where the method is a test."""

    def page(
        self, reference: "pd.DataFrame", current: "pd.DataFrame", policy: DriftPolicy, *, threshold: float
    ) -> bytes:
        """Return the same as a self-contained HTML page, its drift called by one threshold for every feature."""


class LabelScorer(Protocol):
    """Scores how well labels agree with predictions of models that had not learnt from them."""

    def __call__(
        self, truth: Sequence[Truth], detections: Sequence[Detections], *, classes: int, least: float
    ) -> list[LabelScores]:
        """Return the scores of every image.

        Args:
            truth: labelled boxes of every image.
            detections: of the same images in the same order, their scores probabilities.
            classes: how many classes there are.
            least: probability below which a prediction contradicts nothing.
        """
