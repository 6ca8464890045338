"""A lot's sums know their run: which model judged a lot is still told when its images are gone.

Revision ID: 0028
Revises: 0027
"""

from alembic import op

revision = "0028"
down_revision = "0027"

TABLE = """
DROP TABLE inspection_lot;
CREATE TABLE inspection_lot (
    line text NOT NULL, lot text NOT NULL, run_id text NOT NULL, month date NOT NULL, model_id text NOT NULL,
    first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,
    images bigint NOT NULL, defective bigint NOT NULL, instances jsonb NOT NULL,
    PRIMARY KEY (line, lot, run_id, month)
);
CREATE INDEX ON inspection_lot (line, last_at);
"""

FUNCTION = """
CREATE OR REPLACE FUNCTION roll_inspection_month(of_line text, of_month date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_partitionwise_join = on AS $$
DECLARE
    first_at_ timestamptz := of_month::timestamp AT TIME ZONE 'UTC';
    until_ timestamptz := (of_month + interval '1 month') AT TIME ZONE 'UTC';
    days integer;
    lots integer;
BEGIN
    IF EXISTS (SELECT FROM inspection_month m
               WHERE m.line = of_line AND m.month = of_month AND m.dropped_at IS NOT NULL) THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_line, 2));
    CREATE TEMPORARY TABLE seen_ ON COMMIT DROP AS
        SELECT (captured_at AT TIME ZONE 'UTC')::date AS day, model_id, station, product, lot, run_id,
            count(*) AS images, count(*) FILTER (WHERE i.found > 0) AS defective,
            min(captured_at) AS first_at, max(captured_at) AS last_at
        FROM inspected_image i
        WHERE line = of_line AND captured_at >= first_at_ AND captured_at < until_ GROUP BY 1, 2, 3, 4, 5, 6;
    CREATE TEMPORARY TABLE said_ ON COMMIT DROP AS
        SELECT (i.captured_at AT TIME ZONE 'UTC')::date AS day, i.model_id, i.station, i.product, i.lot,
            i.run_id, d.defect_class, count(*) AS instances
        FROM inspected_image i JOIN detection d USING (line, captured_at, run_id, position)
        WHERE i.line = of_line AND i.captured_at >= first_at_ AND i.captured_at < until_ AND NOT d.weak
        GROUP BY 1, 2, 3, 4, 5, 6, 7;
    WITH fresh AS (
        SELECT s.*, coalesce(c.instances, '{}') AS instances
        FROM (SELECT day, model_id, station, product, sum(images)::bigint AS images,
                  sum(defective)::bigint AS defective FROM seen_ GROUP BY 1, 2, 3, 4) AS s
        LEFT JOIN (
            SELECT day, model_id, station, product, jsonb_object_agg(defect_class, instances) AS instances
            FROM (SELECT day, model_id, station, product, defect_class, sum(instances) AS instances
                  FROM said_ GROUP BY 1, 2, 3, 4, 5) AS by_class GROUP BY 1, 2, 3, 4
        ) AS c USING (day, model_id, station, product)
    ), gone AS (
        DELETE FROM inspection_day d
        WHERE d.line = of_line AND d.day >= of_month AND d.day < (of_month + interval '1 month')::date
            AND (d.day, d.model_id, d.station, d.product) NOT IN (SELECT day, model_id, station, product FROM fresh)
        RETURNING 1
    ), mended AS (
        INSERT INTO inspection_day AS d (line, day, model_id, station, product, images, defective, instances)
        SELECT of_line, day, model_id, station, product, images, defective, instances FROM fresh
        ON CONFLICT (line, day, model_id, station, product) DO UPDATE
            SET images = EXCLUDED.images, defective = EXCLUDED.defective, instances = EXCLUDED.instances
            WHERE (d.images, d.defective, d.instances)
                IS DISTINCT FROM (EXCLUDED.images, EXCLUDED.defective, EXCLUDED.instances)
        RETURNING 1
    ) SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM mended) INTO days;
    WITH fresh AS (
        SELECT s.*, coalesce(c.instances, '{}') AS instances
        FROM (SELECT lot, run_id, model_id, min(first_at) AS first_at, max(last_at) AS last_at,
                  sum(images)::bigint AS images, sum(defective)::bigint AS defective
              FROM seen_ WHERE lot <> '' GROUP BY 1, 2, 3) AS s
        LEFT JOIN (
            SELECT lot, run_id, jsonb_object_agg(defect_class, instances) AS instances
            FROM (SELECT lot, run_id, defect_class, sum(instances) AS instances
                  FROM said_ GROUP BY 1, 2, 3) AS by_class GROUP BY 1, 2
        ) AS c USING (lot, run_id)
    ), gone AS (
        DELETE FROM inspection_lot d
        WHERE d.line = of_line AND d.month = of_month AND (d.lot, d.run_id) NOT IN (SELECT lot, run_id FROM fresh)
        RETURNING 1
    ), mended AS (
        INSERT INTO inspection_lot AS d
            (line, lot, run_id, month, model_id, first_at, last_at, images, defective, instances)
        SELECT of_line, lot, run_id, of_month, model_id, first_at, last_at, images, defective, instances FROM fresh
        ON CONFLICT (line, lot, run_id, month) DO UPDATE
            SET first_at = EXCLUDED.first_at, last_at = EXCLUDED.last_at, images = EXCLUDED.images,
                defective = EXCLUDED.defective, instances = EXCLUDED.instances
            WHERE (d.first_at, d.last_at, d.images, d.defective, d.instances) IS DISTINCT FROM
                (EXCLUDED.first_at, EXCLUDED.last_at, EXCLUDED.images, EXCLUDED.defective, EXCLUDED.instances)
        RETURNING 1
    ) SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM mended) INTO lots;
    DROP TABLE seen_, said_;
    RETURN days + lots;
END $$;
"""


def upgrade() -> None:
    """Make the table anew and count every month again: nothing has been dropped yet that it could not count."""
    op.execute(TABLE)
    op.execute(FUNCTION)
    op.execute("SELECT roll_inspection_month(line, month) FROM inspection_month ORDER BY line, month")
