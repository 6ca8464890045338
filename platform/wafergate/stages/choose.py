"""Which candidates fit, and which of several briefly trained ones go on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wafergate.domain.choice import BrokenLimit, CandidateStanding, Probe, RungResult
from wafergate.domain.latency import latency_limits
from wafergate.domain.models import TrainProfile
from wafergate.domain.serving import ServeProfile
from wafergate.domain.words import counted

__all__ = ["drop_misfits", "halve", "rung_epochs"]


def drop_misfits(
    standing: CandidateStanding, probe: Probe, *, train: TrainProfile, serve: ServeProfile
) -> CandidateStanding:
    """Fill in what was measured, and drop the candidate by the first limit it breaks: memory, latency, size.

    Memory is that of training one image at a time, for fewer cannot be had; `latency_limits` says which
    times count as latency.
    """
    latency = probe.latency[0].median_ms if probe.latency else None
    measured = replace(standing, memory_mib=probe.memory_mib, latency_ms=latency, size_mib=probe.size_mib or None)
    if probe.memory_mib is None:
        within = f" into {train.memory_mib:g} MiB, the limit memory_mib in [hardware.train]" if train.memory_mib else ""
        return replace(measured, dropped_by="memory", reason=f"one image at a time does not fit{within}: {probe.ended}")
    times = [
        ("latency", f"{what} in {probe.runtime} is", value, limit, "ms", key, "serve")
        for key, what, value, limit in latency_limits(probe.latency, serve)
    ]
    memory = "training one image at a time takes"
    limits = (
        ("memory", memory, probe.memory_mib, train.memory_mib, "MiB", "memory_mib", "train"),
        *times,
        ("size", "the exported model has", probe.size_mib, serve.size_mib, "MiB", "size_mib", "serve"),
    )
    for name, what, value, limit, unit, key, profile in limits:
        if limit and value is not None and value > limit:
            reason = f"{what} {value:.1f} {unit}, the limit {key} in [hardware.{profile}] is {limit:g} {unit}"
            return replace(measured, dropped_by=name, reason=reason, broken=BrokenLimit(key, value, limit))
    return measured


def rung_epochs(candidates: int, epochs: int) -> tuple[int, ...]:
    """Return how long each round of brief trainings is: an eighth of a full training first, then twice as long.

    There are as many rounds as it takes to halve the candidates to one, but none as long as the full training.
    Successive halving is K. Jamieson and A. Talwalkar, 'Non-stochastic best arm identification and hyperparameter
    optimization', AISTATS 2016.
    """
    rounds: list[int] = []
    length = max(1, epochs // 8)
    while candidates > 1:
        rounds.append(length)
        candidates = (candidates + 1) // 2
        length = min(2 * length, max(1, epochs // 2))
    return tuple(rounds)


def halve(
    results: Mapping[str, RungResult], *, sizes: Mapping[str, float] | None = None
) -> tuple[Sequence[str], Mapping[str, str]]:
    """Keep the better half of a round, rounded up: by the recall of the weakest class, then by mean AP.

    That recall is counted where at least half of a class's detections are right (`domain.weakest`), so that none goes
    on for alarming everywhere.

    Args:
        results: of the round, by candidate.
        sizes: of the exported models, MiB: of two that are equal on validation the smaller one stays.

    Returns:
        The names kept, best first, and for each one dropped the sentence that says why.
    """
    mib = sizes or dict.fromkeys(results, 0.0)
    order = sorted(results, key=lambda name: (-results[name].lowest_recall, -results[name].map50, mib[name], name))
    kept = order[: (len(order) + 1) // 2]
    best = kept[-1]
    last = results[best]
    reasons = {}
    for name in order[len(kept) :]:
        own = results[name]
        figures = (
            f"after {counted(own.epochs, 'epoch')} recall of {own.weakest} on validation {own.lowest_recall:.2f} "
            f"(mean AP {own.map50:.2f})"
        )
        if (own.lowest_recall, own.map50) == (last.lowest_recall, last.map50):
            reasons[name] = f"{figures}, as {best} has, whose model is smaller: {mib[best]:.1f} of {mib[name]:.1f} MiB"
        else:
            reasons[name] = f"{figures}; {best} has {last.lowest_recall:.2f} ({last.map50:.2f})"
    return kept, reasons
