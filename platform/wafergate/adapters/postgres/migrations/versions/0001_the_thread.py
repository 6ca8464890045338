"""The whole thread: from images to champion, inspection and drift.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE line_file (
    id text PRIMARY KEY, line text NOT NULL, text text NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE flow_run (
    id text PRIMARY KEY, flow text NOT NULL, line text NOT NULL, line_file text NOT NULL REFERENCES line_file,
    parameters jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON flow_run (line, created_at);

CREATE TABLE image (
    id text PRIMARY KEY, width integer NOT NULL, height integer NOT NULL, mode text NOT NULL,
    bit_depth integer NOT NULL, bytes bigint NOT NULL, perceptual_hash text NOT NULL,
    brightness double precision NOT NULL, contrast double precision NOT NULL, sharpness double precision NOT NULL,
    noise double precision NOT NULL, saturation_share double precision NOT NULL,
    edge_density double precision NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE quarantine (
    id text PRIMARY KEY, line text NOT NULL, path text NOT NULL, reason text NOT NULL, detail text NOT NULL,
    digest text, created_at timestamptz NOT NULL
);
CREATE INDEX ON quarantine (line, created_at);

CREATE TABLE dataset_version (
    id text PRIMARY KEY, line text NOT NULL, number integer NOT NULL CHECK (number > 0), source text NOT NULL,
    format text NOT NULL, images integer NOT NULL, normal_images integer NOT NULL, instances jsonb NOT NULL,
    image_counts jsonb NOT NULL, quarantined integer NOT NULL, taxonomy_signed boolean NOT NULL,
    licence text NOT NULL, created_at timestamptz NOT NULL,
    UNIQUE (line, number)
);
CREATE TABLE sample (
    dataset_id text NOT NULL REFERENCES dataset_version, position integer NOT NULL, name text NOT NULL,
    image text NOT NULL REFERENCES image, reference text REFERENCES image, width integer NOT NULL,
    height integer NOT NULL, boxes jsonb NOT NULL, metadata jsonb NOT NULL,
    PRIMARY KEY (dataset_id, position), UNIQUE (dataset_id, name)
);
CREATE TABLE validation_result (
    id text PRIMARY KEY, dataset_id text NOT NULL REFERENCES dataset_version, success boolean NOT NULL,
    findings jsonb NOT NULL, report text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON validation_result (dataset_id);

CREATE TABLE dataset_split (
    id text PRIMARY KEY, dataset_id text NOT NULL REFERENCES dataset_version, mode text NOT NULL,
    counts jsonb NOT NULL, images jsonb NOT NULL, normal_images jsonb NOT NULL, groups integer NOT NULL,
    evenness jsonb NOT NULL, optimal boolean NOT NULL, gap double precision NOT NULL, test_digest text NOT NULL,
    leak jsonb NOT NULL, warnings jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON dataset_split (dataset_id);
CREATE TABLE split_member (
    split_id text NOT NULL REFERENCES dataset_split, position integer NOT NULL, name text NOT NULL,
    side text NOT NULL, "group" text NOT NULL,
    PRIMARY KEY (split_id, position), UNIQUE (split_id, name)
);
CREATE TABLE training_set (
    id text PRIMARY KEY, split_id text NOT NULL REFERENCES dataset_split, channels text NOT NULL,
    originals integer NOT NULL, augmented integer NOT NULL, validation integer NOT NULL, plan jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON training_set (split_id);
CREATE TABLE training_item (
    training_set_id text NOT NULL REFERENCES training_set, position integer NOT NULL, origin text NOT NULL,
    operations jsonb NOT NULL, image text NOT NULL, width integer NOT NULL, height integer NOT NULL,
    boxes jsonb NOT NULL, side text NOT NULL,
    PRIMARY KEY (training_set_id, position)
);
CREATE TABLE training_epoch (
    id text PRIMARY KEY, model_id text NOT NULL, epoch integer NOT NULL, epochs integer NOT NULL,
    loss double precision NOT NULL, seconds double precision NOT NULL, map50 double precision,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON training_epoch (model_id, epoch);

CREATE TABLE model_version (
    id text PRIMARY KEY, line text NOT NULL, number integer NOT NULL CHECK (number > 0),
    training_set_id text NOT NULL REFERENCES training_set, split_id text NOT NULL REFERENCES dataset_split,
    dataset_id text NOT NULL REFERENCES dataset_version, candidate jsonb NOT NULL, classes jsonb NOT NULL,
    channels text NOT NULL, image_size integer NOT NULL, weights text NOT NULL, onnx text NOT NULL,
    decoder text NOT NULL, thresholds jsonb NOT NULL, start text, epochs integer NOT NULL, batch integer NOT NULL,
    seed integer NOT NULL, seconds double precision NOT NULL, size_mib double precision NOT NULL,
    latency_ms double precision NOT NULL, versions jsonb NOT NULL, created_at timestamptz NOT NULL,
    UNIQUE (line, number)
);
CREATE TABLE evaluation (
    id text PRIMARY KEY, model_id text NOT NULL REFERENCES model_version,
    split_id text NOT NULL REFERENCES dataset_split, side text NOT NULL, iou double precision NOT NULL,
    confidence double precision NOT NULL, images integer NOT NULL, classes jsonb NOT NULL, escapes jsonb NOT NULL,
    overkill jsonb NOT NULL, baseline_accuracy double precision NOT NULL, predictions text NOT NULL,
    look integer NOT NULL, created_at timestamptz NOT NULL, confusion jsonb NOT NULL, slices jsonb NOT NULL,
    real_false_alarm_share double precision
);
CREATE INDEX ON evaluation (model_id);
CREATE INDEX ON evaluation (split_id, side);
CREATE TABLE gate_decision (
    id text PRIMARY KEY, line text NOT NULL, model_id text NOT NULL REFERENCES model_version,
    evaluation_id text NOT NULL REFERENCES evaluation, verdict text NOT NULL
        CHECK (verdict IN ('pass', 'fail', 'undecided')),
    rules jsonb NOT NULL, policy jsonb NOT NULL, summary text NOT NULL, created_at timestamptz NOT NULL,
    UNIQUE (id, line, model_id, verdict)
);
CREATE INDEX ON gate_decision (line, created_at);

-- One champion a line, and only on a decision of this very model that passed: the database itself refuses the rest.
CREATE TABLE champion (
    line text PRIMARY KEY, model_id text NOT NULL, decision_id text NOT NULL, actor text NOT NULL,
    reason text NOT NULL, since timestamptz NOT NULL,
    verdict text NOT NULL DEFAULT 'pass' CHECK (verdict = 'pass'),
    FOREIGN KEY (decision_id, line, model_id, verdict) REFERENCES gate_decision (id, line, model_id, verdict)
);
CREATE TABLE ledger (
    seq bigint PRIMARY KEY, line text NOT NULL, kind text NOT NULL, subject text NOT NULL, actor text NOT NULL,
    reason text NOT NULL,
    details json NOT NULL,  -- json, not jsonb: the text that was hashed stays as it was written
    created_at timestamptz NOT NULL, previous text NOT NULL UNIQUE, hash text NOT NULL UNIQUE
);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE inspection_run (
    id text PRIMARY KEY, line text NOT NULL, model_id text NOT NULL REFERENCES model_version, source text NOT NULL,
    images integer NOT NULL, defective integer NOT NULL, instances jsonb NOT NULL, quarantined integer NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON inspection_run (line, created_at);
CREATE TABLE inspected_image (
    run_id text NOT NULL REFERENCES inspection_run, position integer NOT NULL, name text NOT NULL,
    image text NOT NULL, lot text NOT NULL, detections jsonb NOT NULL,
    PRIMARY KEY (run_id, position)
);
CREATE TABLE drift_report (
    id text PRIMARY KEY, line text NOT NULL, dataset_id text NOT NULL REFERENCES dataset_version,
    source text NOT NULL, reference_images integer NOT NULL, current_images integer NOT NULL,
    verdict text NOT NULL, share double precision NOT NULL, features jsonb NOT NULL, policy jsonb NOT NULL,
    report text, created_at timestamptz NOT NULL
);
CREATE INDEX ON drift_report (line, created_at);
CREATE TABLE alert (
    id text PRIMARY KEY, line text NOT NULL, cause text NOT NULL, subject text NOT NULL, title text NOT NULL,
    body text NOT NULL, state text NOT NULL, attempts integer NOT NULL, last_error text NOT NULL,
    created_at timestamptz NOT NULL, sent_at timestamptz
);
CREATE INDEX ON alert (state, created_at);
"""


def upgrade() -> None:
    """Create every table."""
    op.execute(TABLES)
