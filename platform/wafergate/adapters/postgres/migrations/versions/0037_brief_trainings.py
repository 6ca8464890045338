"""What a brief training of a candidate came to, and on which machine memory ran out.

Revision ID: 0037
Revises: 0036
"""

from alembic import op

revision = "0037"
down_revision = "0036"

_TABLES = """
CREATE TABLE brief_training (
    id text PRIMARY KEY, training_set_id text NOT NULL REFERENCES training_set, candidate text NOT NULL,
    result jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON brief_training (training_set_id);
ALTER TABLE memory_step ADD COLUMN machine text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    """Add them; of older steps down nobody knows the machine, so they bind no training."""
    op.execute(_TABLES)
