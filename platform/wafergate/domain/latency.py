"""How long a model takes to answer where it serves (rule M14: one or two images, and soon)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import numpy as np
from annotated_types import Ge, MinLen

from wafergate.domain.serving import Runtime, ServeProfile

__all__ = ["BATCHES", "P99_CALLS", "Latency", "ServingFigures", "latency_limits", "summarise_times"]

BATCHES = (1, 2)
"""How many images are asked for at once."""

P99_CALLS = 100
"""Answers that must be timed before a 99th percentile says anything but which one was the slowest."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Time of one answer for so many images, milliseconds: decoded pixels in, boxes in their pixels out.

    Scaling to the model's input, the network and the suppression of double boxes are part of it; reading and decoding
    a file are not, for they depend on the store and not on the model.

    Attributes:
        batch: how many images were asked for at once.
        median_ms: of the answers.
        p95_ms: their 95th percentile.
        p99_ms: their 99th percentile; None where fewer than `P99_CALLS` were timed.
        calls: how many answers were timed; 0 where nobody kept that.
    """

    batch: Annotated[int, Ge(1)]
    median_ms: float
    p95_ms: float
    p99_ms: float | None
    calls: int = 0


@dataclass(frozen=True, slots=True)
class ServingFigures:
    """How long a trained model takes to answer on a machine, in the runtime that serves it there.

    Attributes:
        id: from model, machine, runtime and, where it was measured again, the time.
        model_id: the model.
        machine: processor or card and versions, in words.
        runtime: what computed it.
        latency: one image at a time, then two.
        images: how many different images of the model's validation side were shown; a tiled model answers whole ones.
        created_at: when.
        threads: CPU threads it was given, 0 for all; None where nobody kept that.
    """

    id: Annotated[str, MinLen(1)]
    model_id: str
    machine: str
    runtime: Runtime
    latency: tuple[Latency, ...]
    images: int
    created_at: datetime
    threads: int | None = None

    def speaks_for(self, serve: ServeProfile) -> bool:
        """Say whether it was measured in the runtime and with the threads that `[hardware.serve]` names."""
        return serve.runtime in {Runtime.AUTO, self.runtime} and self.threads in {None, serve.threads}

    @property
    def sentence(self) -> str:
        """The figures for a person."""
        told = [
            f"{'one image' if item.batch == 1 else f'{item.batch} images'} {item.median_ms:.1f} ms (p95 "
            f"{item.p95_ms:.1f}, {f'{item.calls} timed' if item.p99_ms is None else f'p99 {item.p99_ms:.1f}'})"
            for item in self.latency
        ]
        return f"{self.runtime}: {', '.join(told)}"


def summarise_times(batch: int, seconds: Sequence[float]) -> Latency:
    """Return median, 95th and, of `P99_CALLS` or more, 99th percentile of the times of single answers, seconds.

    Raises:
        ValueError: there are none.
    """
    if not seconds:
        message = "a latency needs at least one answer, found none"
        raise ValueError(message)
    median, p95, p99 = (float(value) for value in np.percentile(1000 * np.asarray(seconds), (50, 95, 99)))
    return Latency(batch, median, p95, p99 if len(seconds) >= P99_CALLS else None, len(seconds))


def latency_limits(latency: Sequence[Latency], serve: ServeProfile) -> tuple[tuple[str, str, float | None, float], ...]:
    """Return each time that `[hardware.serve]` may limit: its key, what it is, the time and the limit, ms.

    A time that was not measured, or of too few answers, is None, a limit that is not set 0.
    """
    told = {item.batch: item for item in latency}
    alone, pair = (told.get(batch) for batch in BATCHES)
    median, p99 = (alone.median_ms, alone.p99_ms) if alone else (None, None)
    return (
        ("latency_ms", "median time for one image at batch 1", median, serve.latency_ms),
        ("latency_p99_ms", "99th percentile for one image", p99, serve.latency_p99_ms),
        (
            "pair_latency_ms",
            "median time for two images at once",
            pair.median_ms if pair else None,
            serve.pair_latency_ms,
        ),
    )
