"""Inspections on PostgreSQL: millions of images by line and month, with sums that are right in every transaction."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from math import inf
from typing import Any

import psycopg
from psycopg import sql

from wafergate.adapters.postgres.connections import Connection, Connections
from wafergate.adapters.postgres.errors import address, translated
from wafergate.adapters.postgres.inspection_rows import IMAGE_COLUMNS, write_images
from wafergate.adapters.postgres.tables import table_of
from wafergate.adapters.postgres.writing import append, columns_of, insert
from wafergate.domain.inspection import (
    ANY_CLASS,
    FoundBox,
    InspectedImage,
    InspectionDay,
    InspectionLot,
    InspectionMonth,
    InspectionRun,
    LotRun,
    SeenBefore,
    add_up_lots,
    counted,
    month_of,
    unseen,
)
from wafergate.errors import ServiceError
from wafergate.ports import Clock, LedgerDraft

__all__ = ["PostgresInspections"]

_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, IMAGE_COLUMNS))
_SELECT = sql.SQL("SELECT {} FROM inspected_image WHERE ").format(_COLUMNS)
# Named as the table whose rows it holds, for the conditions that follow.
_SELECT_LAST = """
SELECT {columns} FROM (
    SELECT DISTINCT ON (name, image) {columns}, found
    FROM inspected_image JOIN (SELECT id AS run_id, created_at AS ran_at FROM inspection_run) AS run USING (run_id)
    WHERE {asked} ORDER BY name, image, ran_at DESC, run_id, captured_at DESC, position
) AS inspected_image WHERE line = %s
"""
_WITH_CLASS = """
 AND EXISTS (
    SELECT FROM detection d
    WHERE d.line = inspected_image.line AND d.captured_at = inspected_image.captured_at
        AND d.run_id = inspected_image.run_id AND d.position = inspected_image.position
        AND NOT d.weak AND d.defect_class = %s
)
"""
_THESE = """
line = %(line)s AND (run_id, position) IN (SELECT * FROM unnest(%(runs)s::text[], %(positions)s::integer[]))
"""
_NEAR = """
(SELECT {} AS branch, run_id, position, abs(score - %s) AS gap FROM detection
 WHERE line = %s AND defect_class = %s AND captured_at >= %s AND score {} %s ORDER BY score {} LIMIT %s)
"""
_SEEN = """
SELECT name, image, reference, run_id FROM (
    SELECT name, image, reference, run_id, captured_at, position FROM inspected_image
    WHERE line = %(line)s AND model_id = coalesce(%(model)s, model_id) AND name = ANY(%(names)s)
    UNION ALL
    SELECT name, image, reference, run_id, '-infinity', 0 FROM inspected_before
    WHERE line = %(line)s AND model_id = coalesce(%(model)s, model_id) AND name = ANY(%(names)s)
) AS seen ORDER BY captured_at, run_id DESC, position DESC
"""
_KEEP_KEYS = """
INSERT INTO inspected_before (line, model_id, name, image, reference, run_id)
SELECT line, model_id, name, image, reference, run_id FROM {}
"""
_KEEP_KEY = """
INSERT INTO inspected_before (line, model_id, name, image, reference, run_id) VALUES (%s, %s, %s, %s, %s, %s)
"""
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))"  # who counts a line again holds it too
_LEAVES = ("inspected_image", "detection")
_PATIENCE = "10s"

_LOT_RUNS = """
SELECT {}, sum(l.images)::bigint, sum(l.defective)::bigint
FROM inspection_lot l JOIN inspection_run r ON r.id = l.run_id WHERE l.line = %s AND l.lot = %s
GROUP BY r.id ORDER BY r.created_at DESC, r.id
"""
_NEWEST_LOTS = """
SELECT line, lot, model_id, first_at, last_at, images, defective, instances FROM inspection_lot
WHERE line = %(line)s AND (lot, model_id) IN (
    SELECT lot, model_id FROM inspection_lot WHERE line = %(line)s
    GROUP BY lot, model_id
    HAVING max(last_at) >= coalesce(%(since)s, '-infinity'::timestamptz)
        AND min(first_at) < coalesce(%(until)s, 'infinity'::timestamptz)
    ORDER BY max(last_at) DESC, lot, model_id LIMIT %(limit)s
)
"""
_BOXES = """
SELECT d.run_id, d.position, d.weak, d.defect_class, d.score, d.x1, d.y1, d.x2, d.y2
FROM detection d JOIN unnest(%(runs)s::text[], %(positions)s::integer[]) AS wanted (run_id, position)
    USING (run_id, position)
WHERE d.line = %(line)s AND d.captured_at BETWEEN %(first)s AND %(last)s
ORDER BY d.run_id, d.position, d.place
"""


class PostgresInspections:
    """`InspectionStore` over a small connection pool; safe to share between threads."""

    def __init__(self, conninfo: str, *, clock: Clock, owner: str = "") -> None:
        """Remember where the database is.

        Args:
            conninfo: of the role that adds and reads.
            clock: now.
            owner: of the role that owns the tables; only `retain` needs it.
        """
        self._connections = Connections(conninfo)
        self._owner = owner
        self._clock = clock

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def save(self, run: InspectionRun, images: Iterable[InspectedImage]) -> int:
        """See `InspectionStore.save`."""
        images = list(images)
        # In a transaction of its own and before: whoever reads the line waits while a month is attached.
        with self._connections.transaction() as connection:
            for month in sorted({month_of(image.captured_at) for image in images}):
                connection.execute("SELECT make_inspection_month(%s, %s)", [run.line, month])
        with self._connections.transaction() as connection:
            connection.execute(_ALONE, [run.line])
            new = unseen(images, _seen(connection, run.line, run.model_id, [image.name for image in images]))
            if images and not new:
                return 0
            row = run if len(new) == len(images) else counted(run, new)
            if not insert(connection, table_of(InspectionRun), row):
                # its months were dropped by a version that forgot what they held
                keys = ((run.line, run.model_id, item.name, item.image, item.reference, run.id) for item in new)
                with connection.cursor() as cursor:
                    cursor.executemany(_KEEP_KEY, keys)
                return 0
            write_images(connection, run, new)
            return len(new)

    def seen(self, line: str, model_id: str | None, names: Sequence[str]) -> SeenBefore:
        """See `InspectionStore.seen`."""
        with self._connections.transaction() as connection:
            return _seen(connection, line, model_id, names)

    def images(
        self,
        *,
        line: str,
        run_id: str | None = None,
        lot: str | None = None,
        station: str | None = None,
        defect_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[InspectedImage]:
        """See `InspectionStore.images`."""
        tests = {"run_id =": run_id, "lot =": lot, "station =": station}
        where, values = _where(line, tests | {"captured_at >=": since, "captured_at <": until})
        return self._newest(line, (_SELECT + where, values), defect_class, limit)

    def seen_last(
        self,
        *,
        line: str,
        lot: str | None = None,
        station: str | None = None,
        defect_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[InspectedImage]:
        """See `InspectionStore.seen_last`."""
        tests = {"lot =": lot, "station =": station, "captured_at >=": since, "captured_at <": until}
        where, values = _where(line, tests)
        query = sql.SQL(_SELECT_LAST).format(columns=_COLUMNS, asked=where)
        return self._newest(line, (query, [*values, line]), defect_class, limit)

    def _newest(
        self, line: str, asked: tuple[sql.Composed, list[object]], defect_class: str | None, limit: int | None
    ) -> list[InspectedImage]:
        """Return the newest images of a query, of which those that show a class, or any."""
        query, values = asked
        if defect_class == ANY_CLASS:
            query += sql.SQL(" AND found > 0")
        elif defect_class:
            query, values = query + sql.SQL(_WITH_CLASS), [*values, defect_class]
        query += sql.SQL(" ORDER BY captured_at DESC, run_id, position")
        with self._connections.transaction() as connection:
            rows = connection.execute(_limited(query, limit), values).fetchall()
            return _with_boxes(connection, line, rows)

    def doubtful(
        self, *, line: str, thresholds: Mapping[str, float], since: datetime, limit: int
    ) -> list[InspectedImage]:
        """See `InspectionStore.doubtful`."""
        with self._connections.transaction() as connection:
            keys = _nearest(connection, line, thresholds, since, limit)
            wanted = {"line": line, "runs": [key[0] for key in keys], "positions": [key[1] for key in keys]}
            rows = connection.execute(_SELECT + sql.SQL(_THESE), wanted).fetchall()
            found = {(image.run_id, image.position): image for image in _with_boxes(connection, line, rows)}
            return [found[key] for key in keys]

    def novel(self, *, line: str, since: datetime, limit: int) -> list[InspectedImage]:
        """See `InspectionStore.novel`."""
        where, values = _where(line, {"captured_at >=": since})
        query = _SELECT + where + sql.SQL(" AND novelty IS NOT NULL ORDER BY novelty DESC, run_id, position")
        with self._connections.transaction() as connection:
            return _with_boxes(connection, line, connection.execute(_limited(query, limit), values).fetchall())

    def runs(self, line: str, limit: int | None = None) -> list[InspectionRun]:
        """See `InspectionStore.runs`."""
        table = table_of(InspectionRun)
        query = sql.SQL("SELECT {} FROM inspection_run WHERE line = %s ORDER BY created_at DESC, id").format(
            columns_of(table)
        )
        with self._connections.transaction() as connection:
            return [table.decode(row) for row in connection.execute(_limited(query, limit), [line])]  # type: ignore[misc]

    def days(self, line: str, since: date | None = None, until: date | None = None) -> list[InspectionDay]:
        """See `InspectionStore.days`."""
        where, values = _where(line, {"day >=": since, "day <": until})
        query = sql.SQL(
            "SELECT line, day, model_id, station, product, images, defective, instances FROM inspection_day "
            "WHERE {} ORDER BY day DESC, model_id, station, product"
        ).format(where)
        with self._connections.transaction() as connection:
            return [InspectionDay(*row) for row in connection.execute(query, values)]

    def lots(
        self, line: str, limit: int | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[InspectionLot]:
        """See `InspectionStore.lots`."""
        asked = {"line": line, "limit": limit, "since": since, "until": until}
        with self._connections.transaction() as connection:
            rows = connection.execute(_NEWEST_LOTS, asked)
            return add_up_lots(InspectionLot(*row) for row in rows)

    def lot_runs(self, line: str, lot: str) -> list[LotRun]:
        """See `InspectionStore.lot_runs`."""
        table = table_of(InspectionRun)
        columns = sql.SQL(", ").join(sql.Identifier("r", name) for name in table.columns)
        with self._connections.transaction() as connection:
            rows = connection.execute(sql.SQL(_LOT_RUNS).format(columns), [line, lot])
            return [LotRun(table.decode(row[:-2]), *row[-2:]) for row in rows]  # type: ignore[arg-type]

    def months(self, line: str, *, before: date | None = None) -> list[InspectionMonth]:
        """See `InspectionStore.months`."""
        with self._connections.transaction() as connection:
            return _months(connection, line, before)

    def reroll(self, line: str) -> dict[date, int]:
        """See `InspectionStore.reroll`."""
        with self._connections.transaction() as connection:
            months = connection.execute(
                "SELECT month FROM inspection_month WHERE line = %s AND dropped_at IS NULL ORDER BY month", [line]
            ).fetchall()
        changed = {}
        for (month,) in months:
            with self._connections.transaction() as connection:
                row = connection.execute("SELECT roll_inspection_month(%s, %s)", [line, month]).fetchone()
                changed[month] = row[0] if row else 0
        return changed

    def retain(
        self, line: str, *, before: date, ledger: Callable[[Sequence[InspectionMonth]], LedgerDraft]
    ) -> list[InspectionMonth]:
        """See `InspectionStore.retain`."""
        with translated(self._owner), psycopg.connect(self._owner, connect_timeout=5) as connection:
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_PATIENCE)))
            try:
                connection.execute(_ALONE, [line])
                return _drop(connection, line, before, ledger, self._clock())
            except psycopg.errors.LockNotAvailable as error:
                message = (
                    f"line {line!r} is being read or written at {address(self._owner)}: nothing was dropped within "
                    f"{_PATIENCE}; run it again when the line is quiet"
                )
                raise ServiceError(message) from error


def _seen(connection: Connection, line: str, model_id: str | None, names: Sequence[str]) -> SeenBefore:
    found: dict[tuple[str, str], dict[str, str]] = {}
    rows = connection.execute(_SEEN, {"line": line, "model": model_id, "names": list(names)})
    for name, image, reference, run_id in rows:
        found.setdefault((name, image), {})[reference] = run_id
    return found


def _limited(query: sql.Composed, limit: int | None) -> sql.Composed:
    return query if limit is None else query + sql.SQL(" LIMIT {}").format(sql.Literal(limit))


def _where(line: str, tests: Mapping[str, object]) -> tuple[sql.Composed, list[object]]:
    """Return the condition `line = … AND …` of the tests (`column operator`) whose value is given."""
    given = {test: value for test, value in tests.items() if value is not None}
    terms = [sql.SQL("{} {} %s").format(sql.Identifier(name), sql.SQL(sign)) for name, sign in map(str.split, given)]
    return sql.SQL(" AND ").join([sql.SQL("line = %s"), *terms]), [line, *given.values()]


def _nearest(
    connection: Connection, line: str, thresholds: Mapping[str, float], since: datetime, limit: int
) -> list[tuple[str, int]]:
    """Return run and position of the images nearest a threshold, from the nearest on.

    From each threshold the index is walked up and down for as many detections as images are asked for. Several may be
    of one image: the steps are doubled until no detection beyond them can be nearer than what was found.
    """
    steps = limit
    while True:
        pieces: list[sql.Composed] = []
        values: list[object] = []
        for name, threshold in thresholds.items():
            for sign, order in ((">=", ""), ("<", "DESC")):
                pieces.append(sql.SQL(_NEAR).format(sql.Literal(len(pieces)), sql.SQL(sign), sql.SQL(order)))
                values += [threshold, line, name, since, threshold, steps]
        if not pieces or limit < 1:
            return []
        gaps: dict[tuple[str, int], float] = {}
        walked = defaultdict(list)
        for branch, run_id, position, gap in connection.execute(sql.SQL(" UNION ALL ").join(pieces), values):
            gaps[run_id, position] = min(gap, gaps.get((run_id, position), gap))
            walked[branch].append(gap)
        nearest = sorted(gaps, key=lambda key: (gaps[key], key))[:limit]
        seen_to = min((max(found) for found in walked.values() if len(found) == steps), default=inf)
        if seen_to == inf or (len(nearest) == limit and gaps[nearest[-1]] <= seen_to):
            return nearest
        steps *= 2


def _with_boxes(connection: Connection, line: str, rows: Sequence[tuple[Any, ...]]) -> list[InspectedImage]:
    if not rows:
        return []
    captured = IMAGE_COLUMNS.index("captured_at")
    wanted = {
        "runs": [row[0] for row in rows],
        "positions": [row[1] for row in rows],
        "line": line,
        "first": min(row[captured] for row in rows),
        "last": max(row[captured] for row in rows),
    }
    boxes: dict[tuple[str, int, bool], list[FoundBox]] = defaultdict(list)
    for run_id, position, weak, *box in connection.execute(_BOXES, wanted):
        boxes[run_id, position, weak].append(tuple(box))
    return [
        InspectedImage(
            **dict(zip(IMAGE_COLUMNS, row, strict=True)),
            detections=tuple(boxes[row[0], row[1], False]),
            weak=tuple(boxes[row[0], row[1], True]),
        )
        for row in rows
    ]


def _leaf(connection: Connection, base: str, line: str, month: date) -> str | None:
    """Return the name of the table that holds a line's month, None where there is none."""
    query = "SELECT to_regclass(inspection_partition(%s, %s, %s))::text"
    found = connection.execute(query, [base, line, month]).fetchone()
    return found[0] if found else None


def _months(connection: Connection, line: str, before: date | None) -> list[InspectionMonth]:
    where, values = _where(line, {"month <": before})
    query = sql.SQL("SELECT month FROM inspection_month WHERE {} ORDER BY month").format(where)
    found = []
    for (month,) in connection.execute(query, values).fetchall():
        leaves = [_leaf(connection, base, line, month) for base in _LEAVES]
        counts = [_count(connection, leaf) for leaf in leaves if leaf]
        found += [InspectionMonth(line, month, *counts)] if counts else []
    return found


def _count(connection: Connection, table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    return row[0] if row else 0


def _drop(
    connection: Connection,
    line: str,
    before: date,
    ledger: Callable[[Sequence[InspectionMonth]], LedgerDraft],
    now: datetime,
) -> list[InspectionMonth]:
    dropped = _months(connection, line, before)
    for item in dropped:
        images = _leaf(connection, "inspected_image", line, item.month)
        connection.execute(sql.SQL(_KEEP_KEYS).format(sql.Identifier(images or "")))
        for base in _LEAVES:
            leaf = _leaf(connection, base, line, item.month)
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(leaf or "")))
        connection.execute(
            "UPDATE inspection_month SET dropped_at = %s WHERE line = %s AND month = %s", [now, line, item.month]
        )
    if dropped:
        append(connection, ledger(dropped), now)
    return dropped
