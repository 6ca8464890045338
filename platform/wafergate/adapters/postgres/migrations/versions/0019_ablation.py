"""What more augmentation bought.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"

TABLES = """
CREATE TABLE factor_run (
    id text PRIMARY KEY, training_set_id text NOT NULL REFERENCES training_set, factor integer NOT NULL,
    augmented integer NOT NULL, epochs integer NOT NULL, score double precision NOT NULL, classes jsonb NOT NULL,
    seconds double precision NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE ablation (
    id text PRIMARY KEY, line text NOT NULL, split_id text NOT NULL REFERENCES dataset_split, candidate text NOT NULL,
    originals integer NOT NULL, runs jsonb NOT NULL, finding text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON ablation (line, created_at);
"""


def upgrade() -> None:
    """Add the two tables."""
    op.execute(TABLES)
