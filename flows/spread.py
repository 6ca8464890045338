"""One task for each of many items: in this process, or on the workers of a Dask scheduler."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from wafergate.adapters.dask import open_workers
from wafergate.errors import ServiceError
from wafergate.jobs.parts import Parts
from wafergate.wiring import open_parts_with

__all__ = ["spread", "worker_parts"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items for each worker thread: one that it works on, one that is on its way


def spread(work: Callable[[Item], Result], items: Iterable[Item], scheduler: str) -> Iterator[Result]:
    """Yield `work(item)` in the order of the items, as soon as each is done.

    On Dask a few items for each worker are under way, so that neither they nor their results pile up. A Prefect task
    as `work` runs there as a task run of this flow run, with its own retries.

    Args:
        work: a function or task at the top of a module that every worker has installed; it and the item are pickled.
        items: taken as they are needed.
        scheduler: address of the Dask scheduler; empty works in this process.

    Raises:
        ServiceError: the scheduler does not answer, has no worker, or lost the workers that had an item.
        ConfigError: a worker has another version of wafergate.
    """
    if not scheduler:
        yield from map(work, items)
        return
    from distributed import KilledWorker

    with open_workers(scheduler) as (client, threads):
        running: deque[Any] = deque()
        try:
            for item in items:
                running.append(client.submit(work, item, pure=False))
                if len(running) >= _AHEAD * threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except KilledWorker as error:
            message = f"the Dask workers at {scheduler} died of an item, one after the other; see their logs"
            raise ServiceError(message) from error
        finally:
            for future in running:
                future.cancel()


def worker_parts() -> Parts:
    """Return the parts of the Dask worker this runs on; a model computes with no more threads than the worker has."""
    from distributed import get_worker

    return open_parts_with(get_worker().state.nthreads)
