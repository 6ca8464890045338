"""How long a model takes to answer: one timer, the runtime that serves, and a gate that names the number."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, open_contrast, parts_in, run_thread
from wafergate.domain.evaluation import Detections
from wafergate.domain.gate import GateDecision, Verdict
from wafergate.domain.latency import ServingFigures, summarise_times
from wafergate.domain.serving import Runtime, ServeProfile
from wafergate.jobs.decide import decide
from wafergate.jobs.latency import known_figures, measure_latency, time_detector
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.unit

IMAGE = np.zeros((8, 8, 3), np.uint8)
SERVING = ServingFigures("latency-1", "model-1", "here", Runtime.OPENVINO, (), 8, datetime(2026, 3, 1, tzinfo=UTC))


@given(st.lists(st.floats(1e-4, 10), min_size=1, max_size=140))
def test_percentiles_rise_and_lie_among_the_times(seconds: list[float]) -> None:
    found = summarise_times(2, seconds)
    least, most = 1000 * min(seconds), 1000 * max(seconds)
    assert least * (1 - 1e-9) <= found.median_ms <= found.p95_ms <= most * (1 + 1e-9)
    assert (found.calls, found.p99_ms is None) == (len(seconds), len(seconds) < 100)
    assert found.p99_ms is None or found.p95_ms <= found.p99_ms <= most * (1 + 1e-9)
    assert sum(1000 * value <= found.median_ms * (1 + 1e-9) for value in seconds) >= len(seconds) / 2


def test_no_answer_has_no_latency() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        summarise_times(1, [])


def test_one_image_and_two_are_timed_by_themselves() -> None:
    asked: list[int] = []

    def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        asked.append(len(images))
        time.sleep(0.002 * len(images))
        return [Detections.empty() for _ in images]

    alone, pair = time_detector(detect, [IMAGE])
    assert (alone.batch, pair.batch, set(asked)) == (1, 2, {1, 2})
    assert 2 <= alone.median_ms < 200
    assert pair.median_ms >= 4


@pytest.mark.parametrize(("tail", "calls"), [(False, 17), (True, 100)])
def test_answers_are_timed_after_those_that_warm_up_and_enough_of_them_where_the_slowest_are_limited(
    monkeypatch: pytest.MonkeyPatch, tail: bool, calls: int
) -> None:
    now = [0.0]
    monkeypatch.setattr("wafergate.jobs.latency.time", SimpleNamespace(perf_counter=lambda: now[0]))

    def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        now[0] += 0.3 if now[0] else 20.0
        return [Detections.empty() for _ in images]

    alone, pair = time_detector(detect, [IMAGE], tail=tail)
    assert (alone.calls, alone.p99_ms is None, pair.calls) == (calls, not tail, 17)
    assert f"{alone.calls} timed" in replace(SERVING, latency=(alone,)).sentence or tail


class Slow:
    """Runtimes that say what the judging one says, each as slowly as told."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = {Runtime(name): value for name, value in seconds.items()}

    def __call__(self, _serve: ServeProfile) -> dict[Runtime, Any]:
        return {runtime: self._loader(seconds) for runtime, seconds in self.seconds.items()}

    @staticmethod
    def _loader(seconds: float) -> Any:
        def load(model: Any, onnx: Path) -> Any:
            judging = open_contrast(model, onnx)

            def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
                time.sleep(seconds * len(images))
                return judging(images, min_score=min_score)

            return detect

        return load


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, str, str]:
    """Return the parts, a model and its evaluation, on a machine whose faster runtime takes 5 ms an image."""
    folder = tmp_path_factory.mktemp("latency")
    batch = Batch(images=dict.fromkeys(("particle", "scratch", "bridge", "void"), 14), normal=12, lots=10)
    write_sample(folder / "dies", seed=3, batches=(batch,), size=96)
    files = {p.relative_to(folder / "dies").as_posix(): p.read_bytes() for p in (folder / "dies").rglob("*.*")}
    parts = replace(parts_in(folder / "parts"), runtimes=Slow(onnxruntime=0.02, openvino=0.005))
    thread = run_thread(parts, line_of(), MemorySource(files))
    return parts, thread.model.id, thread.evaluation.id


def limited(**limits: Any) -> LineFile:
    line = line_of()
    serve = replace(line.hardware.serve, **limits)
    return line.model_copy(update={"hardware": line.hardware.model_copy(update={"serve": serve})})


def test_a_model_is_timed_in_the_runtime_that_serves_it_and_once_on_each_machine(
    judged: tuple[Parts, str, str],
) -> None:
    parts, model, _ = judged
    first = measure_latency(parts, line_of(), model)
    row = parts.facts.get(ServingFigures, first.id)
    assert (first.reused, row.runtime) == (True, Runtime.OPENVINO), "the gate had asked for it"
    assert [item.batch for item in row.latency] == [1, 2]
    assert row.latency[0].median_ms >= 5
    assert row.latency[1].median_ms >= 10
    assert "openvino: one image " in row.sentence
    elsewhere = replace(parts, machine=lambda _device, _backend: "the machine that serves", runtimes=lambda _serve: {})
    second = measure_latency(elsewhere, line_of(), model)
    assert second.id != first.id
    assert known_figures(parts, line_of(), model).id == second.id, "what was measured last judges"
    again = measure_latency(parts, line_of(), model, again=True)
    assert not again.reused
    assert known_figures(parts, line_of(), model).id == again.id


def test_what_another_runtime_or_other_threads_took_does_not_judge(judged: tuple[Parts, str, str]) -> None:
    parts, model, _ = judged
    fast = known_figures(parts, line_of(), model)
    named = limited(runtime=Runtime.ONNXRUNTIME, threads=1)
    row = known_figures(parts, named, model)
    assert (fast.runtime, row.runtime, row.threads) == (Runtime.OPENVINO, Runtime.ONNXRUNTIME, 1)
    assert known_figures(parts, named, model).id == row.id, "measured once"
    assert known_figures(parts, limited(threads=2), model).threads == 2
    before = replace(row, id="before", threads=None)
    assert before.speaks_for(limited(threads=2).hardware.serve), "nobody kept it"
    assert not before.speaks_for(limited(runtime=Runtime.OPENVINO).hardware.serve)


def test_too_few_answers_say_nothing_of_the_slowest(judged: tuple[Parts, str, str]) -> None:
    parts, model, evaluation = judged
    known = known_figures(parts, line_of(), model)
    few = tuple(replace(item, calls=37, p99_ms=None) for item in known.latency)
    parts.facts.save(replace(known, id="few", latency=few, created_at=parts.clock()))
    assert known_figures(parts, limited(latency_ms=90), model).id == "few"
    row = known_figures(parts, limited(latency_p99_ms=900), model)
    assert row.latency[0].calls >= 100
    rules = parts.facts.get(GateDecision, decide(parts, limited(latency_p99_ms=900), evaluation, actor="kim").id).rules
    assert Verdict.PASS in {rule.verdict for rule in rules if rule.subject == "latency_p99_ms"}


@pytest.mark.parametrize(
    ("limits", "subject"), [({"latency_ms": 2.0}, ""), ({"pair_latency_ms": 4.0}, "pair_latency_ms")]
)
def test_the_gate_fails_a_model_that_answers_too_late_with_the_number(
    judged: tuple[Parts, str, str], limits: dict[str, float], subject: str
) -> None:
    parts, model, evaluation = judged
    measure_latency(parts, line_of(), model, again=True)
    row = parts.facts.get(GateDecision, decide(parts, limited(**limits), evaluation, actor="kim").id)
    (rule,) = (rule for rule in row.rules if (rule.rule, rule.subject) == ("latency", subject))
    assert rule.verdict is Verdict.FAIL
    assert rule.value is not None
    assert f"{rule.value:.1f} ms, limit {next(iter(limits.values())):g} ms" in rule.evidence
