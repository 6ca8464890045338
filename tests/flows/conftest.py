"""One small line that is retrained for real once, and the command line over the session's services."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.flows.commands import CONSOLE_SILENT, ForkedCommands, Said
from wafergate.adapters.postgres import PostgresFacts
from wafergate.adapters.postgres.tables import KINDS
from wafergate.domain.gate import GateDecision
from wafergate.ports import FactStore
from wafergate.sample.generate import Batch, write_sample
from wafergate.settings import Settings
from wafergate.wiring import now

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
    epochs: int = 12,
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


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seventy drawn dies, each beside its golden reference, as a COCO export."""
    folder = tmp_path_factory.mktemp("source")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    return folder


@pytest.fixture(scope="session")
def wafergate(service_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    """The command line, with the services in its environment."""
    before = dict(os.environ)
    os.environ |= CONSOLE_SILENT | {"PREFECT_API_URL": service_settings.prefect_api_url, "OMP_NUM_THREADS": "2"}
    yield ForkedCommands(tmp_path_factory.mktemp("said"))
    os.environ.clear()
    os.environ |= before


@pytest.fixture(scope="session")
def facts(service_settings: Settings) -> Iterator[FactStore]:
    store = PostgresFacts(service_settings.database_url.get_secret_value(), clock=now)
    yield store
    store.close()


@pytest.fixture(scope="session")
def count_rows(service_settings: Settings) -> Callable[[], dict[str, int]]:
    """Return a function that counts the rows of every table."""

    def count() -> dict[str, int]:
        with psycopg.connect(service_settings.database_url.get_secret_value()) as connection:
            return {
                table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - our tables
                for table, _, _ in KINDS.values()
            }

    return count


def retrained(wafergate: ForkedCommands, facts: FactStore, line: Path, source: Path, *more: str) -> LineRun:
    """Retrain a line; fails unless it ends with a decision."""
    said = wafergate("retrain", "--line", str(line), "--source", str(source), "--format", "coco", "--as", "kim", *more)
    assert said.code == 0, said.err
    name = re.search(r'^name = "(.*)"', line.read_text(), re.MULTILINE).group(1)
    (decision,) = facts.find(GateDecision, line=name, limit=1)
    return LineRun(name, line, source, said, decision)


@pytest.fixture(scope="session")
def line_run(
    wafergate: ForkedCommands, facts: FactStore, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> LineRun:
    """The whole thread on a small line, run once through the command line."""
    line = write_line(tmp_path_factory.mktemp("line") / "small.toml", "small")
    return retrained(wafergate, facts, line, source)
