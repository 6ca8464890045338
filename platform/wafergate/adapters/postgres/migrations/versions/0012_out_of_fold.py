"""Estimates by grouped k-fold, and the folds behind them.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"

TABLES = """
CREATE TABLE fold_run (
    id text PRIMARY KEY, dataset_id text NOT NULL REFERENCES dataset_version, fold integer NOT NULL,
    folds integer NOT NULL, taught integer NOT NULL, judged integer NOT NULL, predictions text NOT NULL,
    seconds double precision NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON fold_run (dataset_id);
CREATE TABLE out_of_fold (
    id text PRIMARY KEY, line text NOT NULL, dataset_id text NOT NULL REFERENCES dataset_version,
    candidate text NOT NULL, folds integer NOT NULL, epochs integer NOT NULL, seed integer NOT NULL,
    iou double precision NOT NULL, confidence double precision NOT NULL, images integer NOT NULL,
    groups integer NOT NULL, classes jsonb NOT NULL, thresholds jsonb NOT NULL, escapes jsonb NOT NULL,
    overkill jsonb NOT NULL, baseline_accuracy double precision NOT NULL, confusion jsonb NOT NULL,
    predictions text NOT NULL, warnings jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON out_of_fold (line, created_at);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(TABLES)
