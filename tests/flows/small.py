"""A line small enough to be retrained for real in a test: two classes, images of 96 pixels, a low gate."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.flows.commands import ForkedCommands, Said
from wafergate.domain.gate import GateDecision
from wafergate.ports import FactStore

__all__ = ["LineRun", "retrained", "write_line"]

LINE = """
[line]
name = "{name}"
classes = ["excess", "missing"]

[intake]
pattern = '(?P<lot>L\\d+)_(?P<wafer>W\\d+)_(?P<die>D\\d+)'
reference = "{{folder}}/{{stem}}_golden{{suffix}}"
licence = "Apache-2.0"

[taxonomy]
map = [
    {{ raw = "particle", defect_class = "excess", rationale = "something lies where nothing should" }},
    {{ raw = "bridge", defect_class = "excess", rationale = "something lies where nothing should" }},
    {{ raw = "scratch", defect_class = "missing", rationale = "something is gone" }},
    {{ raw = "void", defect_class = "missing", rationale = "something is gone" }},
]
signed_by = "Lee"
signed_on = 2026-02-01

[split]
group_by = ["lot"]
test_per_class = 12
val_per_class = 6

[augment]
per_original = 1

[models]
candidate = "yolox-nano"
channels = "golden"
image_size = 96
epochs = {epochs}
batch = 8
learning_rate = 0.003
mosaic = 0.0
random_start = true

[hardware.train]
device = "cpu"

[gate]
recall = {recall}
critical_recall = {recall}
iou = 0.1
overkill = 1.0
approval = "{approval}"

[drift]
min_images = 20

[alerts]
channels = [{channels}]
{more}
"""


@dataclass(frozen=True, slots=True)
class LineRun:
    """A line that was retrained through the command line."""

    name: str
    line: Path
    source: Path
    said: Said
    decision: GateDecision


def write_line(
    path: Path,
    name: str,
    *,
    epochs: int = 24,
    recall: float = 0.001,
    approval: str = "auto",
    channels: Sequence[str] = (),
    more: str = "",
) -> Path:
    """Write a line file whose gate is low enough for a model of a minute."""
    listed = ", ".join(f'"{channel}"' for channel in channels)
    text = LINE.format(name=name, epochs=epochs, recall=recall, approval=approval, channels=listed, more=more)
    path.write_text(text, encoding="utf-8")
    return path


def retrained(wafergate: ForkedCommands, facts: FactStore, line: Path, source: Path, *more: str) -> LineRun:
    """Retrain a line; fails unless it ends with a decision."""
    said = wafergate("retrain", "--line", str(line), "--source", str(source), "--format", "coco", "--as", "kim", *more)
    assert said.code == 0, said.err
    (name,) = re.findall(r'^name = "(.*)"', line.read_text(), re.MULTILINE)
    (decision,) = facts.find(GateDecision, line=name, limit=1)
    return LineRun(name, line, source, said, decision)
