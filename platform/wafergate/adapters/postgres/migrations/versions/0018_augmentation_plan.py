"""Augmentation plans before a pixel is made; composites have two parents.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"

TABLES = """
CREATE TABLE augmentation_plan (
    id text PRIMARY KEY, split_id text NOT NULL REFERENCES dataset_split, originals integer NOT NULL,
    images integer NOT NULL, synthetic integer NOT NULL, classes jsonb NOT NULL, caps jsonb NOT NULL,
    notes jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON augmentation_plan (split_id);
CREATE TABLE planned_image (
    plan_id text NOT NULL REFERENCES augmentation_plan, position integer NOT NULL, origin text NOT NULL,
    operations jsonb NOT NULL, boxes jsonb NOT NULL, width integer NOT NULL, height integer NOT NULL,
    donor text NOT NULL,
    PRIMARY KEY (plan_id, position)
);
ALTER TABLE training_set ADD COLUMN plan_id text REFERENCES augmentation_plan;
ALTER TABLE training_set ADD COLUMN synthetic integer NOT NULL DEFAULT 0;
ALTER TABLE training_item ADD COLUMN donor text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    """Add the tables and columns; what was made before them holds no composite."""
    op.execute(TABLES)
