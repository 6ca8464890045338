"""Learning curves, and the short trainings behind them.

Revision ID: 0022
Revises: 0021
"""

from alembic import op

revision = "0022"
down_revision = "0021"

TABLES = """
CREATE TABLE curve_run (
    id text PRIMARY KEY, dataset_id text NOT NULL REFERENCES dataset_version, taught integer NOT NULL,
    judged integer NOT NULL, images jsonb NOT NULL, score double precision NOT NULL, classes jsonb NOT NULL,
    seconds double precision NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE learning_curve (
    id text PRIMARY KEY, line text NOT NULL, dataset_id text NOT NULL REFERENCES dataset_version,
    split_id text REFERENCES dataset_split, folds integer NOT NULL, candidate text NOT NULL, epochs integer NOT NULL,
    score double precision NOT NULL, confidence double precision NOT NULL, seed integer NOT NULL,
    sizes jsonb NOT NULL, more integer NOT NULL, runs jsonb NOT NULL, classes jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON learning_curve (line, created_at);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(TABLES)
