"""A part of the embedded stack runs if its own process answers, and nobody in its place."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from wafergate.adapters.embedded.health import trouble
from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.processes import Launch, born, find
from wafergate.adapters.embedded.state import ProcessRecord, StateFile

LISTENING = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


def reaches(context: Context, _record: ProcessRecord) -> bool:
    socket.create_connection(("127.0.0.1", context.state.ports["one"]), timeout=5).close()
    return True


PART = Part("one", (), ("one",), lambda _context: Launch([], {}, Path()), reaches)


@pytest.fixture
def server() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    with subprocess.Popen([sys.executable, "-c", LISTENING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


def context_of(tmp_path: Path, port: int) -> Context:
    state = StateFile.load(tmp_path)
    state.ports["one"] = port
    return Context(tmp_path, state, {}, lambda *_: None)


def record_of(process: "subprocess.Popen[str]") -> ProcessRecord:
    return ProcessRecord(process.pid, psutil.Process(process.pid).create_time())


def test_a_process_that_answers_on_its_port_runs(server: tuple["subprocess.Popen[str]", int], tmp_path: Path) -> None:
    process, port = server
    assert trouble(context_of(tmp_path, port), PART, record_of(process)) == ""


@pytest.mark.skipif(not born(1), reason="only Linux tells the tick")
def test_a_process_is_known_again_after_a_correction_of_the_clock(server: tuple["subprocess.Popen[str]", int]) -> None:
    process, _ = server
    made = record_of(process).create_time
    assert find(ProcessRecord(process.pid, made + 3600, born(process.pid))) == psutil.Process(process.pid)
    boot, tick = born(process.pid).split()
    for other in (f"{boot} {int(tick) - 1}", f"{boot[::-1]} {tick}"):
        assert find(ProcessRecord(process.pid, made, other)) is None, "a later process, or one after another boot"


def test_a_state_file_of_before_still_names_its_processes(
    server: tuple["subprocess.Popen[str]", int], tmp_path: Path
) -> None:
    process, _ = server
    record = {"pid": process.pid, "create_time": record_of(process).create_time}
    before = {"version": 1, "ports": {}, "secrets": {}, "settings": {}, "processes": {"one": record}}
    (tmp_path / "services.json").write_text(json.dumps(before), encoding="utf-8")
    assert find(StateFile.load(tmp_path).processes["one"]) == psutil.Process(process.pid)


def test_another_server_on_its_port_is_not_the_part(
    server: tuple["subprocess.Popen[str]", int], tmp_path: Path
) -> None:
    process, _ = server
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        said = trouble(context_of(tmp_path, port), PART, record_of(process))
    assert said.endswith(f"answers on its port {port}")
    assert str(psutil.Process().pid) in said


def test_another_server_on_the_port_of_a_part_that_died_is_not_the_part(
    server: tuple["subprocess.Popen[str]", int], tmp_path: Path
) -> None:
    process, _ = server
    record = record_of(process)
    process.kill()
    process.wait()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        assert trouble(context_of(tmp_path, stranger.getsockname()[1]), PART, record) == "its process ended"
