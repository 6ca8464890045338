"""The review queue of inspections, what people saw on its images, and what that says of the model.

Revision ID: 0027
Revises: 0026
"""

from alembic import op

revision = "0027"
down_revision = "0026"

# Inspections may be removed after a time; what people reviewed of them stays, so no key points at them.
TABLES = """
CREATE TABLE production_draw (
    id text PRIMARY KEY, line text NOT NULL, run_id text NOT NULL, model_id text NOT NULL REFERENCES model_version,
    day text NOT NULL, images integer NOT NULL, known integer NOT NULL, share double precision NOT NULL,
    drawn jsonb NOT NULL, policy jsonb NOT NULL, inspected_at timestamptz NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON production_draw (line, day);
CREATE TABLE production_item (
    id text PRIMARY KEY, draw_id text NOT NULL REFERENCES production_draw, line text NOT NULL, run_id text NOT NULL,
    model_id text NOT NULL, "position" integer NOT NULL,
    stratum text NOT NULL CHECK (stratum IN ('audit', 'near', 'far')), rank integer NOT NULL, detail text NOT NULL,
    name text NOT NULL, image text NOT NULL REFERENCES image, reference text REFERENCES image,
    metadata jsonb NOT NULL, detections jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON production_item (line, created_at DESC);
CREATE INDEX ON production_item (draw_id);
CREATE INDEX ON production_item (image);
CREATE TABLE production_export (
    id text PRIMARY KEY, line text NOT NULL, items jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE production_review (
    id text PRIMARY KEY, line text NOT NULL, export_id text NOT NULL REFERENCES production_export, actor text NOT NULL,
    reason text NOT NULL, images integer NOT NULL, boxes jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE reviewed_image (
    id text PRIMARY KEY, review_id text NOT NULL REFERENCES production_review, line text NOT NULL,
    image text NOT NULL REFERENCES image, item_id text NOT NULL REFERENCES production_item, boxes jsonb NOT NULL,
    changed integer NOT NULL, actor text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON reviewed_image (line, created_at DESC);
CREATE INDEX ON reviewed_image (image);
CREATE TABLE production_figures (
    id text PRIMARY KEY, line text NOT NULL, model_id text NOT NULL REFERENCES model_version,
    since timestamptz NOT NULL, until timestamptz NOT NULL, iou double precision NOT NULL,
    confidence double precision NOT NULL, share double precision NOT NULL, runs integer NOT NULL,
    inspected integer NOT NULL, images integer NOT NULL, waiting integer NOT NULL, uncovered integer NOT NULL,
    classes jsonb NOT NULL, escapes jsonb NOT NULL, overkill jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON production_figures (line, created_at DESC);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(TABLES)
