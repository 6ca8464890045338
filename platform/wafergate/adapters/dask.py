"""A Dask scheduler and its workers, checked before anything is sent to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wafergate import __version__
from wafergate.errors import ConfigError, ServiceError

__all__ = ["open_workers"]


@contextmanager
def open_workers(address: str, *, patience_s: float = 10.0) -> Iterator[tuple[Any, int]]:
    """Lend a client, on which Prefect tasks can be submitted, and how many threads its workers have in all.

    Raises:
        ConfigError: the package is not installed, or a worker has another version of wafergate.
        ServiceError: the scheduler does not answer or has no worker.
    """
    try:
        from prefect_dask.client import PrefectDaskClient
    except ImportError as error:
        message = f"WAFERGATE_DASK_SCHEDULER is {address}, which needs: pip install 'wafergate[dask]'"
        raise ConfigError(message) from error
    try:
        client = PrefectDaskClient(address, timeout=patience_s, set_as_default=False)
    except (OSError, TimeoutError) as error:
        message = (
            f"the Dask scheduler at {address} does not answer: start one with `dask scheduler`, or unset "
            "WAFERGATE_DASK_SCHEDULER to work on this machine"
        )
        raise ServiceError(message) from error
    with client:
        yield client, _threads(client, address, patience_s)


def _threads(client: Any, address: str, patience_s: float) -> int:
    try:
        client.wait_for_workers(1, timeout=patience_s)
    except TimeoutError as error:
        message = f"the Dask scheduler at {address} has no worker: start one with `dask worker {address} --nthreads 1`"
        raise ServiceError(message) from error
    versions = client.run(_version, on_error="return")
    for worker, version in versions.items():
        if version != __version__:
            message = (
                f"every Dask worker must have wafergate {__version__} installed; {worker} answers {version!r}: "
                "install it there and start the worker again"
            )
            raise ConfigError(message)
    return sum(client.nthreads().values())


def _version() -> str:
    return __version__
