"""What the tests of several jobs ask of the thread over drawn dies."""

import json
from typing import Any

import cv2
import numpy as np

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, run_thread
from wafergate.domain.gate import GateDecision, Verdict
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import promote

Files = dict[str, bytes]


def annotations(files: Files) -> dict[str, Any]:
    return dict(json.loads(files["annotations.json"]))


def rule(decision: GateDecision, name: str) -> list[tuple[str, Verdict]]:
    return [(item.subject, item.verdict) for item in decision.rules if item.rule == name]


def champions(parts: Parts, files: Files, count: int) -> list[str]:
    """Train and promote models that differ in their epochs; return their ids in order."""
    ids = []
    for epochs in range(2, 2 + count):
        thread = run_thread(parts, line_of(epochs=f"epochs = {epochs}"), MemorySource(files))
        promoted = promote(parts, thread.decision.id, actor="kim", reason=f"number {epochs}")
        assert promoted == (thread.model.id, False)
        assert promote(parts, thread.decision.id, actor="kim", reason="again") == (thread.model.id, True)
        ids.append(thread.model.id)
    return ids


def lot(files: Files, *, gain: float = 1.0) -> MemorySource:
    """Return images alone, golden references among them, brighter or darker than they were."""

    def turned(data: bytes) -> bytes:
        pixels = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
        return cv2.imencode(".png", np.clip(pixels * gain, 0, 255).astype(np.uint8))[1].tobytes()

    pictures = {name: data for name, data in files.items() if name.endswith(".png")}
    return MemorySource(pictures if gain == 1.0 else {name: turned(data) for name, data in pictures.items()})
