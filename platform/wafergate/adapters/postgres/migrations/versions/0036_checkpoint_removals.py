"""Checkpoints that are no longer in the store.

Revision ID: 0036
Revises: 0035
"""

from alembic import op

revision = "0036"
down_revision = "0035"

_TABLE = """
CREATE TABLE checkpoint_removal (
    id text PRIMARY KEY, checkpoint_id text NOT NULL REFERENCES training_checkpoint, model_id text NOT NULL,
    epoch integer NOT NULL, bytes bigint NOT NULL, actor text NOT NULL, reason text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON checkpoint_removal (model_id);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(_TABLE)
