"""Checkpoints of trainings, steps to smaller batches, and what memory a training held.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"

TABLES = """
CREATE TABLE training_checkpoint (
    id text PRIMARY KEY, model_id text NOT NULL, epoch integer NOT NULL, last text NOT NULL, best text,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON training_checkpoint (model_id);
CREATE TABLE memory_step (
    id text PRIMARY KEY, model_id text NOT NULL, epoch integer NOT NULL, batch integer NOT NULL,
    before integer NOT NULL, after integer NOT NULL, budget_mib double precision NOT NULL, detail text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON memory_step (model_id);
ALTER TABLE model_version ADD COLUMN micro_batch integer NOT NULL DEFAULT 0;
ALTER TABLE model_version ADD COLUMN peak_memory_mib double precision NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    """Add the tables and columns; 0 in an older model means that nobody looked."""
    op.execute(TABLES)
