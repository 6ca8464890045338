"""What computes an exported model where it serves, and how a machine chooses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, MinLen

from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.matching import flatten_scene, match
from wafergate.domain.models import HardwareProfile

__all__ = ["Agreement", "Runtime", "RuntimeChoice", "RuntimeFigures", "ServeProfile", "compare_runtimes", "fastest"]

_SAME = 0.9  # overlap from which two boxes are the same detection
_SCORE = 0.02  # how far the scores of one detection may lie apart: a few units in the last place of bfloat16


class Runtime(StrEnum):
    """What computes the model; float32 but for the last, which rounds to bfloat16 where the processor can."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"


@dataclass(frozen=True, slots=True)
class ServeProfile(HardwareProfile):
    """`[hardware.serve]`.

    Attributes:
        runtime: what computes the champion when a lot is inspected; `auto` measures once on each machine and takes
            the fastest in float32 that agrees.
        latency_ms: median time for one image at batch 1, milliseconds; 0 means no limit.
        latency_p99_ms: time that 99 of 100 answers for one image take at most, milliseconds; 0 means no limit.
        pair_latency_ms: median time for two images at once, milliseconds; 0 means no limit.
        size_mib: size of the exported model, MiB; 0 means no limit.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    runtime: Runtime = Runtime.AUTO
    latency_ms: Annotated[float, Ge(0)] = 0.0
    latency_p99_ms: Annotated[float, Ge(0)] = 0.0
    pair_latency_ms: Annotated[float, Ge(0)] = 0.0
    size_mib: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a runtime says what ONNX Runtime says, which the model was judged by.

    Attributes:
        detections: of both together, at or above their class's operating threshold.
        differing: those for which the other one has no detection of the same class with an overlap (IoU) of at least
            0.9 and a score within 0.02.
        score_gap: largest difference between the scores of two counterparts, 0..1.
    """

    detections: Annotated[int, Ge(0)]
    differing: Annotated[int, Ge(0)]
    score_gap: float


@dataclass(frozen=True, slots=True)
class RuntimeFigures:
    """What one runtime was measured to do; a rate of 0 and a reason where it cannot run."""

    runtime: Runtime
    images_per_s: float
    agreement: Agreement
    refused: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """Which runtime inspects with a model on a machine; measured once.

    Attributes:
        id: from the model's exported file, its thresholds and the machine.
        model_id: the model.
        machine: processor or card and versions, in words.
        images: on how many of the model's own validation images they were compared.
        measured: every runtime there is, ONNX Runtime first.
        chosen: the fastest in float32 of those that agree with it.
        created_at: when.
    """

    id: Annotated[str, MinLen(1)]
    model_id: str
    machine: str
    images: int
    measured: tuple[RuntimeFigures, ...]
    chosen: Runtime
    created_at: datetime


def compare_runtimes(
    judged: Sequence[Detections], other: Sequence[Detections], thresholds: Sequence[float]
) -> Agreement:
    """Compare what two runtimes say of the same images, at the thresholds that decide.

    A detection is asked for its counterpart where it counts, and the counterpart may lie 0.02 below the threshold:
    thresholds are often set by the score of one detection, which rounding puts on either side of it.

    Args:
        judged: what ONNX Runtime says of every image, down to half the thresholds or lower.
        other: what the other runtime says, down to the same.
        thresholds: operating threshold of each class, by index.
    """
    both = [_unmatched(judged, other, thresholds), _unmatched(other, judged, thresholds)]
    return Agreement(
        detections=sum(count for count, _, _ in both),
        differing=sum(missing for _, missing, _ in both),
        score_gap=max(gap for _, _, gap in both),
    )


def _unmatched(
    first: Sequence[Detections], second: Sequence[Detections], thresholds: Sequence[float]
) -> tuple[int, int, float]:
    """Return how many detections of the first count, how many have no counterpart, and the largest score gap."""
    levels = np.asarray(thresholds, np.float64)
    counted = [_from(said, levels) for said in first]
    wanted = [Truth(said.boxes.astype(np.float64), said.classes) for said in counted]
    scene = flatten_scene(wanted, [_from(said, levels - _SCORE) for said in second], len(levels))
    found = match(scene, (_SAME,)).found
    scores = np.concatenate([np.zeros(0), *(said.scores for said in counted)])
    gaps = np.where(found >= 0, np.abs(found - scores), np.inf)
    same = gaps <= _SCORE
    return len(found), int(np.count_nonzero(~same)), float(gaps[same].max(initial=0.0))


def _from(said: Detections, levels: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Detections:
    keep = said.scores >= levels[said.classes]
    return Detections(said.boxes[keep], said.scores[keep], said.classes[keep])


def fastest(measured: Sequence[RuntimeFigures]) -> Runtime:
    """Return the fastest runtime of those that differ in no detection; equal rates by their order.

    The first one is what the others were held against, and serves where nothing was detected that could differ.

    One that rounds to bfloat16 is measured and never taken by itself: some images cannot show what it does to a score
    beside a threshold on all others, and the gate judged in float32. A line file may name it.
    """
    reference, *others = measured
    able = [
        item
        for item in others
        if not item.refused
        and item.agreement.detections
        and not item.agreement.differing
        and item.runtime is not Runtime.OPENVINO_BF16
    ]
    return max([reference, *able], key=lambda item: item.images_per_s).runtime
