"""What a candidate needs of the hardware, and which one is trained: the best of those that fit (rules M1, M13, M14)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wafergate.domain.latency import Latency
from wafergate.domain.serving import Runtime

__all__ = ["BriefTraining", "BrokenLimit", "CandidateStanding", "MemoryUse", "ModelChoice", "Probe", "RungResult"]


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Peak memory of real training steps with so many images at a time, MiB; see `TrainedArtefact`."""

    images: int
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Probe:
    """What one candidate was measured to need on one machine; measured once.

    Attributes:
        id: from candidate, input size, number of classes, images at a time asked for, and machines.
        candidate: name in the catalogue.
        image_size: pixels.
        machine: processor or card and versions, in words.
        memory: with one image at a time and with all that were asked for or, where those did not fit, with twice as
            many each time as far as memory went; fewest first.
        latency: of the exported model at batch 1 and 2 in `runtime`; empty where not even one image fitted.
        size_mib: of the exported model.
        ended: why no larger number of images was tried; empty when all asked for were.
        created_at: when.
        runtime: what computed the exported model: the one `[hardware.serve]` names, or the fastest in float32.
    """

    id: str
    candidate: str
    image_size: int
    machine: str
    memory: tuple[MemoryUse, ...]
    latency: tuple[Latency, ...]
    size_mib: float
    ended: str
    created_at: datetime
    runtime: Runtime = Runtime.ONNXRUNTIME

    @property
    def memory_mib(self) -> float | None:
        """Peak with one image at a time; None where that did not fit."""
        return self.memory[0].peak_mib if self.memory else None

    def largest(self, budget_mib: float) -> int:
        """Return how many images at a time stayed within a budget, MiB; 0 means no limit."""
        return max((use.images for use in self.memory if not budget_mib or use.peak_mib <= budget_mib), default=0)


@dataclass(frozen=True, slots=True)
class RungResult:
    """A brief training judged on validation.

    Attributes:
        epochs: how many it had.
        lowest_recall: recall of the weakest class as far as at least half of its detections are right, 0..1.
        weakest: that class.
        map50: mean AP at an IoU of 0.5 over classes, 0..1.
    """

    epochs: int
    lowest_recall: float
    weakest: str
    map50: float


@dataclass(frozen=True, slots=True)
class BriefTraining:
    """What a brief training came to, kept so that a choice that was interrupted goes on after it.

    Attributes:
        id: from everything that the result rests on.
        training_set_id: what was learnt from.
        candidate: its name.
        result: what it came to.
        created_at: when.
    """

    id: str
    training_set_id: str
    candidate: str
    result: RungResult
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BrokenLimit:
    """A limit of `[hardware]` that a candidate broke: its key, what was measured and the limit, in the limit's unit."""

    key: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class CandidateStanding:
    """One candidate's way through the choice.

    Attributes:
        candidate: its name.
        licences: SPDX identifier by part: code, weights, images.
        memory_mib: training with one image at a time; None where it was not measured.
        latency_ms: median for one image; None where it was not measured.
        size_mib: of the exported model; None where it was not measured.
        rungs: brief trainings, shortest first.
        dropped_by: `image size`, `licence`, `weights`, `memory`, `latency`, `size`, `training` or `validation`; empty
            for the winner.
        reason: one sentence with the number that dropped it and the limit.
        broken: the same as figures, where it was a limit of the hardware.
    """

    candidate: str
    licences: Mapping[str, str]
    memory_mib: float | None = None
    latency_ms: float | None = None
    size_mib: float | None = None
    rungs: tuple[RungResult, ...] = ()
    dropped_by: str = ""
    reason: str = ""
    broken: BrokenLimit | None = None


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which candidate is trained in full on a training set, and what dropped every other."""

    id: str
    line: str
    training_set_id: str
    winner: str
    standings: tuple[CandidateStanding, ...]
    created_at: datetime
