"""Inspections by line and month, detections as rows, and sums by day and by lot.

Revision ID: 0025
Revises: 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"

TABLES = """
ALTER TABLE inspected_image RENAME TO inspected_image_before;
ALTER TABLE inspected_image_before RENAME CONSTRAINT inspected_image_pkey TO inspected_image_before_pkey;
DROP INDEX inspected_image_lot_idx;

-- By line, then by month of capture: a line's months are dropped whole, and another line's stay. No foreign keys: a
-- run, its images and its detections are written in one transaction, and attaching a month to a table with a foreign
-- key would wait for every inspection that is being written.
CREATE TABLE inspected_image (
    run_id text NOT NULL, position integer NOT NULL, line text NOT NULL, model_id text NOT NULL, name text NOT NULL,
    image text NOT NULL, lot text NOT NULL, wafer text NOT NULL, die text NOT NULL, station text NOT NULL,
    product text NOT NULL, captured_at timestamptz NOT NULL, novelty double precision, found integer NOT NULL,
    PRIMARY KEY (run_id, position, line, captured_at)
) PARTITION BY LIST (line);
CREATE INDEX ON inspected_image (captured_at);
CREATE INDEX ON inspected_image (lot, captured_at) WHERE lot <> '';
CREATE INDEX ON inspected_image (novelty) WHERE novelty IS NOT NULL;

CREATE TABLE detection (
    run_id text NOT NULL, position integer NOT NULL, place integer NOT NULL, line text NOT NULL,
    captured_at timestamptz NOT NULL, weak boolean NOT NULL, defect_class text NOT NULL,
    score double precision NOT NULL, x1 double precision NOT NULL, y1 double precision NOT NULL,
    x2 double precision NOT NULL, y2 double precision NOT NULL
) PARTITION BY LIST (line);
CREATE INDEX ON detection (run_id, position);
CREATE INDEX ON detection (defect_class, score);
CREATE INDEX ON detection (defect_class, captured_at) WHERE NOT weak;

CREATE TABLE inspection_day (
    line text NOT NULL, day date NOT NULL, model_id text NOT NULL, station text NOT NULL, product text NOT NULL,
    images bigint NOT NULL, defective bigint NOT NULL, instances jsonb NOT NULL,
    PRIMARY KEY (line, day, model_id, station, product)
);
-- One row for each month of capture too: what is recounted within a month leaves the others as they are.
CREATE TABLE inspection_lot (
    line text NOT NULL, lot text NOT NULL, model_id text NOT NULL, month date NOT NULL,
    first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,
    images bigint NOT NULL, defective bigint NOT NULL, instances jsonb NOT NULL,
    PRIMARY KEY (line, lot, model_id, month)
);
CREATE INDEX ON inspection_lot (line, last_at);
CREATE TABLE inspection_month (
    line text NOT NULL, month date NOT NULL, dropped_at timestamptz,
    PRIMARY KEY (line, month)
);
"""

FUNCTIONS = """
CREATE FUNCTION inspection_partition(base text, of_line text, of_month date) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT base || '_' || substr(md5(of_line), 1, 12) || to_char(of_month, '_YYYY_MM')
$$;

-- The application's role may not create tables: this makes the room for one month and nothing else.
CREATE FUNCTION make_inspection_month(of_line text, of_month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    base text;
    parent text;
    leaf text;
BEGIN
    IF to_regclass(inspection_partition('detection', of_line, of_month)) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7204117003);
    FOREACH base IN ARRAY ARRAY['inspected_image', 'detection'] LOOP
        parent := base || '_' || substr(md5(of_line), 1, 12);
        leaf := inspection_partition(base, of_line, of_month);
        IF to_regclass(parent) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (captured_at)', parent, base);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%L)', base, parent, of_line);
        END IF;
        IF to_regclass(leaf) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', leaf, parent);
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, leaf,
                of_month::timestamp AT TIME ZONE 'UTC', (of_month + interval '1 month') AT TIME ZONE 'UTC'
            );
        END IF;
    END LOOP;
    INSERT INTO inspection_month VALUES (of_line, of_month, NULL) ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION add_counts(former jsonb, more jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(name, total), '{}') FROM (
        SELECT key AS name, sum(value::bigint) AS total
        FROM (SELECT * FROM jsonb_each_text(former) UNION ALL SELECT * FROM jsonb_each_text(more)) AS both_
        GROUP BY key
    ) AS added
$$;

-- Counts a line's month again and returns how many sums were not what they should be. Who writes an inspection holds
-- the same lock, shared, while it adds to the sums. A month whose images were dropped keeps its sums.
CREATE FUNCTION roll_inspection_month(of_line text, of_month date) RETURNS integer
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
        SELECT (captured_at AT TIME ZONE 'UTC')::date AS day, model_id, station, product, lot, count(*) AS images,
            count(*) FILTER (WHERE i.found > 0) AS defective, min(captured_at) AS first_at, max(captured_at) AS last_at
        FROM inspected_image i
        WHERE line = of_line AND captured_at >= first_at_ AND captured_at < until_ GROUP BY 1, 2, 3, 4, 5;
    CREATE TEMPORARY TABLE said_ ON COMMIT DROP AS
        SELECT (i.captured_at AT TIME ZONE 'UTC')::date AS day, i.model_id, i.station, i.product, i.lot,
            d.defect_class, count(*) AS instances
        FROM inspected_image i JOIN detection d USING (line, captured_at, run_id, position)
        WHERE i.line = of_line AND i.captured_at >= first_at_ AND i.captured_at < until_ AND NOT d.weak
        GROUP BY 1, 2, 3, 4, 5, 6;
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
        FROM (SELECT lot, model_id, min(first_at) AS first_at, max(last_at) AS last_at, sum(images)::bigint AS images,
                  sum(defective)::bigint AS defective FROM seen_ WHERE lot <> '' GROUP BY 1, 2) AS s
        LEFT JOIN (
            SELECT lot, model_id, jsonb_object_agg(defect_class, instances) AS instances
            FROM (SELECT lot, model_id, defect_class, sum(instances) AS instances
                  FROM said_ GROUP BY 1, 2, 3) AS by_class GROUP BY 1, 2
        ) AS c USING (lot, model_id)
    ), gone AS (
        DELETE FROM inspection_lot d
        WHERE d.line = of_line AND d.month = of_month
            AND (d.lot, d.model_id) NOT IN (SELECT lot, model_id FROM fresh)
        RETURNING 1
    ), mended AS (
        INSERT INTO inspection_lot AS d (line, lot, model_id, month, first_at, last_at, images, defective, instances)
        SELECT of_line, lot, model_id, of_month, first_at, last_at, images, defective, instances FROM fresh
        ON CONFLICT (line, lot, model_id, month) DO UPDATE
            SET first_at = EXCLUDED.first_at, last_at = EXCLUDED.last_at, images = EXCLUDED.images,
                defective = EXCLUDED.defective, instances = EXCLUDED.instances
            WHERE (d.first_at, d.last_at, d.images, d.defective, d.instances) IS DISTINCT FROM
                (EXCLUDED.first_at, EXCLUDED.last_at, EXCLUDED.images, EXCLUDED.defective, EXCLUDED.instances)
        RETURNING 1
    ) SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM mended) INTO lots;
    DROP TABLE seen_, said_;
    RETURN days + lots;
END $$;

REVOKE ALL ON FUNCTION make_inspection_month, roll_inspection_month FROM PUBLIC;
"""

MOVE = """
SELECT make_inspection_month(line, month) FROM (
    SELECT DISTINCT r.line, date_trunc('month', r.created_at AT TIME ZONE 'UTC')::date AS month
    FROM inspection_run r
) AS wanted ORDER BY line, month;
INSERT INTO inspected_image
    (run_id, position, line, model_id, name, image, lot, wafer, die, station, product, captured_at, found)
    SELECT i.run_id, i.position, r.line, r.model_id, i.name, i.image, i.lot, '', '', '', '', r.created_at,
        jsonb_array_length(i.detections)
    FROM inspected_image_before i JOIN inspection_run r ON r.id = i.run_id;
INSERT INTO detection
    SELECT i.run_id, i.position, box.place - 1, r.line, r.created_at, false, box.value ->> 0,
        (box.value ->> 1)::float8, (box.value ->> 2)::float8, (box.value ->> 3)::float8, (box.value ->> 4)::float8,
        (box.value ->> 5)::float8
    FROM inspected_image_before i JOIN inspection_run r ON r.id = i.run_id,
        jsonb_array_elements(i.detections) WITH ORDINALITY AS box (value, place);
DROP TABLE inspected_image_before;
SELECT roll_inspection_month(line, month) FROM inspection_month ORDER BY line, month;
"""


def upgrade() -> None:
    """Make the tables and move what was inspected so far; it was captured, as far as known, when it was inspected."""
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(MOVE)
