"""A challenger beside the champion on the same test images.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLE = """
CREATE TABLE comparison (
    id text PRIMARY KEY, evaluation_id text NOT NULL REFERENCES evaluation,
    champion_id text NOT NULL REFERENCES model_version, images integer NOT NULL, left_out integer NOT NULL,
    paired jsonb NOT NULL, reason text NOT NULL, predictions text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON comparison (evaluation_id);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(TABLE)
