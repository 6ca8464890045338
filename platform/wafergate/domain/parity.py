"""Whether the exported file says what the trained checkpoint says, on the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.matching import flatten_scene, match

__all__ = ["ExportParity", "compare_exports"]

_AGREE = 0.95  # overlap from which two boxes are the same detection
_COUNTED = 0.10  # score from which a detection is asked for its counterpart
_ASKED = 0.05  # a counterpart may score a little lower than what is counted
_FOUND = 0.50  # overlap from which an instance counts as found


@dataclass(frozen=True, slots=True)
class ExportParity:
    """The trained checkpoint and the exported file on the same images.

    Attributes:
        images: how many.
        detections: of both together, from a score of 0.10 on.
        agreed: those for which the other one has a detection of the same class with an overlap (IoU) of at least 0.95.
        score_gap: largest difference between the scores of two counterparts, 0..1; 0 without any.
        recall: class to the share of its instances found by the checkpoint and by the export, at an IoU of 0.5 and a
            score of 0.10; classes without instances are left out.
    """

    images: int
    detections: int
    agreed: int
    score_gap: float
    recall: Mapping[str, tuple[float, float]]

    @property
    def recall_gap(self) -> tuple[str, float]:
        """The class whose recall differs most, and by how much; empty and 0 without instances."""
        gaps = {name: abs(checkpoint - export) for name, (checkpoint, export) in self.recall.items()}
        return max(gaps.items(), key=lambda item: item[1], default=("", 0.0))


def compare_exports(
    checkpoint: Sequence[Detections], export: Sequence[Detections], truth: Sequence[Truth], classes: Sequence[str]
) -> ExportParity:
    """Compare what two forms of one model say.

    Args:
        checkpoint: detections of the trained checkpoint on every image, down to a score of 0.05 or lower.
        export: of the exported file on the same images.
        truth: labelled boxes of the same images.
        classes: defect classes in the order of their indices.

    Raises:
        TrainingError: a score or a box is not a finite number.
    """
    both = [_counterparts(checkpoint, export, len(classes)), _counterparts(export, checkpoint, len(classes))]
    shares = [_found_shares(truth, said, classes) for said in (checkpoint, export)]
    return ExportParity(
        images=len(truth),
        detections=sum(count for count, _, _ in both),
        agreed=sum(agreed for _, agreed, _ in both),
        score_gap=max(gap for _, _, gap in both),
        recall={name: (shares[0][name], shares[1][name]) for name in shares[0]},
    )


def _from(said: Detections, least: float) -> Detections:
    keep = said.scores >= least
    return Detections(said.boxes[keep], said.scores[keep], said.classes[keep])


def _counterparts(first: Sequence[Detections], second: Sequence[Detections], classes: int) -> tuple[int, int, float]:
    """Return how many detections the first has, how many of them the second has too, and the largest score gap."""
    counted = [_from(said, _COUNTED) for said in first]
    wanted = [Truth(said.boxes.astype(np.float64), said.classes) for said in counted]
    scene = flatten_scene(wanted, [_from(said, _ASKED) for said in second], classes)
    found = match(scene, (_AGREE,)).found
    scores = np.concatenate([np.zeros(0), *(said.scores for said in counted)])
    gaps = np.abs(found - scores)[found >= 0]
    return len(found), int(np.count_nonzero(found >= 0)), float(gaps.max(initial=0.0))


def _found_shares(truth: Sequence[Truth], said: Sequence[Detections], classes: Sequence[str]) -> dict[str, float]:
    scene = flatten_scene(truth, [_from(item, _COUNTED) for item in said], len(classes))
    found = match(scene, (_FOUND,)).found >= 0
    own = {name: found[scene.truth.classes == index] for index, name in enumerate(classes)}
    return {name: float(hits.mean()) for name, hits in own.items() if len(hits)}
