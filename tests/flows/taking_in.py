"""Intake of one source on the real services, in a process that can be killed."""

import os
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from tests.unit.small_line import parts_in
from wafergate import wiring
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections
from wafergate.adapters.s3 import S3Files
from wafergate.adapters.source import open_source
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.validate import examine
from wafergate.line import load_line
from wafergate.settings import Settings

__all__ = ["real_parts", "take_in", "take_in_and_tell"]


def real_parts(values: Settings, work: Path) -> Parts:
    """Return parts whose rows and files go to the real services."""
    return replace(
        parts_in(work),
        facts=PostgresFacts(values.database_url.get_secret_value(), clock=wiring.now),
        inspections=PostgresInspections(values.database_url.get_secret_value(), clock=wiring.now),
        files=S3Files(
            values.s3_endpoint,
            values.s3_access_key.get_secret_value(),
            values.s3_secret_key.get_secret_value(),
            bucket=values.s3_bucket,
            cache=work,
            cache_bytes=10**6,
            secure=values.s3_secure,
        ),
        clock=wiring.now,
    )


def take_in(parts: Parts, folder: Path, *, validate: bool) -> Outcome:
    """Take in the COCO export of a folder under the line file beside it, as `wafergate intake` does."""
    line = load_line(folder.with_suffix(".toml"))
    done = ingest(parts, line, open_source(folder), "coco")
    return examine(parts, line, done.id) if validate else done


def take_in_and_tell(
    environment: Mapping[str, str], folder: Path, work: Path, begun: Connection, *, validate: bool
) -> None:
    """Do it in a process of its own, telling when the work itself begins."""
    os.environ.clear()
    os.environ.update(environment)
    parts = real_parts(wiring.settings(), work)
    begun.send(True)
    take_in(parts, folder, validate=validate)
