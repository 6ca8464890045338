"""Wait until a part answers, and say why when it does not."""

import time
from pathlib import Path

import psycopg
import urllib3
from minio.error import MinioException

from wafergate.adapters.embedded import processes
from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.ports import holder
from wafergate.adapters.embedded.state import ProcessRecord
from wafergate.errors import ServiceError

POLL_SECONDS = 0.1
HICCUP_SECONDS = 10.0  # how long a part that ran before may stay silent until it counts as failed
# What a server that is not ready yet, or is gone, makes a client raise.
FOREIGN = (psycopg.Error, urllib3.exceptions.HTTPError, MinioException, OSError, ValueError, KeyError)


def trouble(context: Context, part: Part, record: ProcessRecord) -> str:
    """Return why a part does not serve right now; empty if it does, and nobody else in its place."""
    process = processes.find(record)
    if process is None:
        return "its process ended"
    try:
        if not part.answers(context, record):
            return "it is not ready"
    except FOREIGN as error:
        return str(error).strip() or repr(error)
    port = context.state.ports.get(part.ports[0]) if part.ports else None
    if port and not processes.listens(process, port):
        return f"{holder(port)} answers on its port {port}"
    return ""


def recovers(context: Context, part: Part, record: ProcessRecord) -> bool:
    """Say whether a running part answers within 10 s."""
    deadline = time.monotonic() + HICCUP_SECONDS
    while trouble(context, part, record):
        if time.monotonic() > deadline or processes.find(record) is None:
            return False
        time.sleep(POLL_SECONDS)
    return True


def wait(context: Context, part: Part, record: ProcessRecord, log: Path) -> None:
    """Return when a freshly started part answers.

    Raises:
        ServiceError: It ended, or took longer than `part.start_seconds`.
    """
    deadline = time.monotonic() + part.start_seconds
    while True:
        reason = trouble(context, part, record)
        if processes.find(record) is None:
            raise ServiceError(f"{part.name} ended while it started ({processes.last_line(log)}): see {log}")
        if not reason:
            return
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{part.name} does not answer {part.start_seconds:.0f} s after its start ({reason}): see {log}, "
                "then `wafergate up` again"
            )
        time.sleep(POLL_SECONDS)
