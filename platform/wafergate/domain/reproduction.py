"""A training done again, and how near its model came to the first one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wafergate.domain.parity import ExportParity

__all__ = ["LEAST_AGREED", "MOST_RECALL_GAP", "Likeness", "Reproduction", "judge_likeness"]

LEAST_AGREED = 0.97
"""Share of the detections that both models must have for them to be alike.

Other processors and cards round otherwise; what a training gives that differs by so little is the same model to a line.
"""

MOST_RECALL_GAP = 0.02
"""Largest difference of a class's share of found validation instances between two models that are alike."""


class Likeness(StrEnum):
    """How near the second model came."""

    IDENTICAL = "identical"  # the exported files have the same bytes
    ALIKE = "alike"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A model trained a second time from the same line file, images, weights and seed.

    Attributes:
        id: from the model, the machine and the code.
        line: the production line.
        model_id: the model that was trained again.
        line_file: SHA-256 of the line file that both trainings followed.
        onnx: SHA-256 of the second exported model in S3.
        likeness: how near it came.
        agreement: what both say of the validation images; first the stored model's, then the second one's.
        thresholds: operating score per class, stored and found again.
        machine: what the second training ran on.
        code: version of wafergate of both trainings, empty where the first one's is not known.
        libraries: library to its version in the stored training and in the second, where they differ.
        seconds: wall time of the second training.
        actor: who asked for it.
        created_at: when it ended.
    """

    id: str
    line: str
    model_id: str
    line_file: str
    onnx: str
    likeness: Likeness
    agreement: ExportParity
    thresholds: Mapping[str, tuple[float, float]]
    machine: str
    code: tuple[str, str]
    libraries: Mapping[str, tuple[str, str]]
    seconds: float
    actor: str
    created_at: datetime


def judge_likeness(first: str, second: str, agreement: ExportParity) -> Likeness:
    """Return how near two exported models are.

    Args:
        first: SHA-256 of the one.
        second: SHA-256 of the other.
        agreement: what they say of the same images.
    """
    if first == second:
        return Likeness.IDENTICAL
    agreed = agreement.agreed >= LEAST_AGREED * agreement.detections
    return Likeness.ALIKE if agreed and agreement.recall_gap[1] <= MOST_RECALL_GAP else Likeness.DIFFERENT
