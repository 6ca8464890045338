"""Inspected images into their tables with COPY, and into the sums by day and lot."""

from collections import defaultdict
from collections.abc import Sequence

from psycopg import sql
from psycopg.types.json import Jsonb

from wafergate.adapters.postgres.connections import Connection
from wafergate.domain.inspection import InspectedImage, InspectionRun, month_of, roll_days, roll_lots

__all__ = ["IMAGE_COLUMNS", "write_images"]

IMAGE_COLUMNS = (
    "run_id", "position", "line", "model_id", "name", "image", "reference", "captured_at", "lot", "wafer", "die",
    "station", "product", "novelty",
)  # fmt: skip
"""Columns of `inspected_image` that are fields of the value object."""

_ADD_DAY = """
INSERT INTO inspection_day AS d (line, day, model_id, station, product, images, defective, instances)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (line, day, model_id, station, product) DO UPDATE SET
    images = d.images + EXCLUDED.images, defective = d.defective + EXCLUDED.defective,
    instances = add_counts(d.instances, EXCLUDED.instances)
"""
_ADD_LOT = """
INSERT INTO inspection_lot
    (line, lot, run_id, month, model_id, first_at, last_at, images, defective, instances)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def write_images(connection: Connection, run: InspectionRun, images: Sequence[InspectedImage]) -> None:
    """Write the images of a run that is new, with their detections and sums; the caller holds the line's lock."""
    _copy_images(connection, images)
    _copy_detections(connection, images)
    _add_up(connection, run, images)


def _copy_images(connection: Connection, images: Sequence[InspectedImage]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, (*IMAGE_COLUMNS, "found")))
    with connection.cursor().copy(sql.SQL("COPY inspected_image ({}) FROM STDIN").format(names)) as stream:
        for image in images:
            stream.write_row((*(getattr(image, name) for name in IMAGE_COLUMNS), len(image.detections)))


def _copy_detections(connection: Connection, images: Sequence[InspectedImage]) -> None:
    statement = (
        "COPY detection (run_id, position, line, captured_at, place, weak, defect_class, score, x1, y1, x2, y2) "
        "FROM STDIN"
    )
    with connection.cursor().copy(statement) as stream:
        for image in images:
            key = (image.run_id, image.position, image.line, image.captured_at)
            strong = len(image.detections)
            for place, box in enumerate(image.detections + image.weak):
                stream.write_row((*key, place, place >= strong, *box))


def _add_up(connection: Connection, run: InspectionRun, images: Sequence[InspectedImage]) -> None:
    by_month = defaultdict(list)
    for image in images:
        by_month[month_of(image.captured_at)].append(image)
    days = [
        (day.line, day.day, day.model_id, day.station, day.product, day.images, day.defective, Jsonb(day.instances))
        for day in roll_days(images)
    ]
    lots = [
        (lot.line, lot.lot, run.id, month, lot.model_id, lot.first_at, lot.last_at, lot.images, lot.defective,
         Jsonb(lot.instances))
        for month, group in sorted(by_month.items())
        for lot in roll_lots(group)
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(_ADD_DAY, days)
        cursor.executemany(_ADD_LOT, lots)
