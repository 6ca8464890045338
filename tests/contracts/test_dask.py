"""Work on two real Dask workers: the same results in the same order, and plain words when there is none."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
from distributed import Client, LocalCluster
from prefect import flow, task
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.hands import hands_on
from flows.spread import spread
from tests import rows
from tests.flows.small import write_line
from tests.unit.test_onnx_detector import SIZE, write_probe
from wafergate import wiring
from wafergate.domain.gate import Champion, LedgerKind
from wafergate.domain.inspection import InspectedImage
from wafergate.domain.models import Channels, Decoder
from wafergate.errors import ConfigError, ServiceError
from wafergate.jobs.follow import follow
from wafergate.jobs.inspect_lot import Hands, inspect_lot
from wafergate.line import LineFile, load_line
from wafergate.settings import Settings

pytestmark = pytest.mark.services
SERVED = '[hardware.serve]\nruntime = "onnxruntime"\n'


@pytest.fixture(scope="module")
def cluster(service_settings: Settings) -> Iterator[LocalCluster]:
    # The workers inherit the environment that names the services.
    with (
        temporary_settings({PREFECT_API_URL: service_settings.prefect_api_url}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as made,
    ):
        yield made


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def refuse(number: int) -> int:
    if number == 3:
        message = "required less than 3"
        raise ConfigError(message)
    return number


def die_once(mark: str) -> str:
    path = Path(mark)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


@task
def square_task(number: int) -> tuple[int, int]:
    return square(number)


@flow
def squares(scheduler: str) -> list[tuple[int, int]]:
    return list(spread(square_task, range(20), scheduler))


def test_two_workers_give_what_one_process_gives_in_the_same_order(cluster: LocalCluster) -> None:
    there = list(spread(square, range(50), cluster.scheduler_address))
    here = list(spread(square, range(50), ""))
    assert [value for value, _ in there] == [value for value, _ in here]
    assert {process for _, process in here} == {os.getpid()}
    assert len({process for _, process in there}) == 2
    assert os.getpid() not in {process for _, process in there}


def test_prefect_tasks_run_on_the_workers_as_part_of_their_flow(cluster: LocalCluster) -> None:
    found = squares(cluster.scheduler_address)
    assert [value for value, _ in found] == [number * number for number in range(20)]
    assert os.getpid() not in {process for _, process in found}


def test_items_are_taken_no_faster_than_they_are_worked_off(cluster: LocalCluster) -> None:
    taken = []
    items = (taken.append(number) or number for number in range(100))
    results = spread(square, items, cluster.scheduler_address)
    next(results)
    assert len(taken) <= 4
    results.close()


def test_an_error_on_a_worker_is_the_error_here(cluster: LocalCluster) -> None:
    with pytest.raises(ConfigError, match="required less than 3"):
        list(spread(refuse, range(9), cluster.scheduler_address))


def test_what_a_killed_worker_had_is_done_by_another(cluster: LocalCluster, tmp_path: Path) -> None:
    marks = [str(tmp_path / name) for name in "abc"]
    (tmp_path / "b").touch()
    (tmp_path / "c").touch()
    assert list(spread(die_once, marks, cluster.scheduler_address)) == ["a", "b", "c"]
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=30)


def test_a_scheduler_that_does_not_answer_or_has_no_worker_is_one_sentence() -> None:
    with pytest.raises(ServiceError, match=r"tcp://127\.0\.0\.1:9 does not answer: start one with `dask scheduler`"):
        list(spread(square, range(3), "tcp://127.0.0.1:9"))


def crowned(folder: Path) -> LineFile:
    """Return a line whose champion calls an image a particle as surely as its upper left pixel is red."""
    parts, name = wiring.open_parts(), f"spread-{uuid4().hex[:8]}"
    for row in (rows.dataset(name), rows.split(name), rows.training_set(name)):
        parts.facts.save(row)
    onnx = parts.files.put(write_probe(folder / "probe.onnx").read_bytes())
    model = replace(
        rows.model(name, "a"), onnx=onnx, decoder=Decoder.END_TO_END, image_size=SIZE, channels=Channels.IMAGE,
        classes=("particle",), thresholds={"particle": 0.5},
    )  # fmt: skip
    for row in (model, rows.evaluation(name, "a"), rows.decision(name, "a")):
        parts.facts.save(row)
    crown = Champion(name, model.id, rows.decision(name, "a").id, "kim", "because", parts.clock())
    parts.facts.promote(crown, kind=LedgerKind.PROMOTED, details={})
    return load_line(write_line(folder / f"{name}.toml", name, more=SERVED))


def inspected(line: LineFile, folder: Path, hands: Hands | None) -> list[InspectedImage]:
    """Inspect a folder; return what is stored, but for the line, its model and the time of it."""
    parts = wiring.open_parts()
    done = inspect_lot(parts, line, wiring.open_source(str(folder)), "images", chunk=64, hands=hands)
    assert (done.new, done.refused, len(done.runs)) == (250, 1, 4)
    images = parts.inspections.images(line=line.name)
    return sorted(
        (replace(image, line="", run_id="", model_id="", captured_at=rows.NOW) for image in images),
        key=lambda image: image.name,
    )


def test_a_folder_is_followed_by_the_workers_and_not_by_this_process(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "lot").mkdir()
    for number in (10, 200):
        cv2.imwrite(str(tmp_path / "lot" / f"die_{number}.png"), np.full((SIZE, SIZE, 3), number, np.uint8))
    line, folder = crowned(tmp_path), str(tmp_path / "lot")
    looks = iter((True, True, False))
    blind = replace(wiring.open_parts(), runtimes=dict, load_detector=refuse)
    done = follow(
        blind, line, wiring.open_arrivals(folder), "images", pause=lambda: next(looks),
        hands=hands_on(line, folder, cluster.scheduler_address),
    )  # fmt: skip
    assert (done.new, done.refused) == (2, 0)
    found = {image.name: len(image.detections) for image in blind.inspections.images(line=line.name)}
    assert found == {"die_10.png": 0, "die_200.png": 1}


def test_a_lot_inspected_on_two_workers_has_the_rows_of_one_process(cluster: LocalCluster, tmp_path: Path) -> None:
    folder = tmp_path / "lot"
    folder.mkdir()
    for number in range(250):  # four chunks, the last one short
        drawn = np.full((SIZE, SIZE, 3), number, np.uint8)
        cv2.imwrite(str(folder / f"die_{number:03d}.png"), drawn)
    (folder / "die_broken.png").write_bytes(b"no image")
    line, other = crowned(tmp_path), crowned(tmp_path)
    here = inspected(line, folder, None)
    there = inspected(other, folder, hands_on(other, str(folder), cluster.scheduler_address))
    assert there == here
    assert len(here) == 250
    found = [bool(image.detections) for image in here]
    assert found == [number >= 128 for number in range(250)]
    assert [bool(image.weak) for image in here] == [64 <= number < 128 for number in range(250)]
