"""Work on two real Dask workers: the same results in the same order, and plain words when there is none."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from prefect import flow, task

from flows.spread import spread
from wafergate.errors import ConfigError, ServiceError
from wafergate.settings import Settings

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def cluster(service_settings: Settings) -> Iterator[LocalCluster]:
    del service_settings  # the workers inherit the environment that names the services
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as made:
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
