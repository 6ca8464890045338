"""Chunks of a lot on the workers of a Dask scheduler.

A module of its own: Prefect loads a flow's file under a name that no worker could import.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.opening import is_transient
from flows.spread import spread, worker_parts
from wafergate.adapters.s3_source import SCHEME
from wafergate.domain.quarantine import Released
from wafergate.domain.samples import RawSample
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.inspect_lot import ChunkDone, Hands, Inspector, inspect_chunk, open_inspector
from wafergate.line import LineFile
from wafergate.wiring import open_source

__all__ = ["hands_on"]

_opened: dict[tuple[str, str], Inspector] = {}
"""The champion of the last chunk on this worker: the next one is of the same lot, and opening takes its time."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Images of a lot, for a worker that has the same services and can read the source at the same place."""

    line: LineFile
    source: str
    model_id: str
    images: Sequence[RawSample]
    once: bool
    released: Released


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient, cache_policy=NO_CACHE)
def inspect_there(chunk: Chunk) -> ChunkDone:
    """Inspect and save a chunk, on a Dask worker."""
    parts, key = worker_parts(), (chunk.model_id, chunk.line.digest)
    if key not in _opened:
        model = parts.facts.get(ModelVersion, chunk.model_id)
        _opened.clear()
        _opened[key] = open_inspector(parts, chunk.line, model)
    source = open_source(chunk.source)
    once, released = chunk.once, chunk.released
    return inspect_chunk(parts, chunk.line, source, _opened[key], chunk.images, once=once, released=released)


def hands_on(line: LineFile, source: str, scheduler: str) -> Hands | None:
    """Return what hands chunks to the workers of a Dask scheduler; a folder must lie at the same path there.

    None where no scheduler is named: then this process works them off.
    """
    if not scheduler:
        return None
    place = source if source.startswith(SCHEME) else str(Path(source).absolute())

    def hand(
        model_id: str, chunks: Iterable[Sequence[RawSample]], once: bool, released: Released
    ) -> Iterator[ChunkDone]:
        return spread(inspect_there, (Chunk(line, place, model_id, some, once, released) for some in chunks), scheduler)

    return hand
