"""Alerts: causes, pictures, pauses between tries, and who acknowledged.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"

CHANGES = """
ALTER TABLE alert
    ADD COLUMN key text NOT NULL DEFAULT '', ADD COLUMN attachments jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN next_try_at timestamptz, ADD COLUMN taken jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN told_by text NOT NULL DEFAULT '', ADD COLUMN acknowledged_by text NOT NULL DEFAULT '';
CREATE INDEX ON alert (line, key, created_at);
"""


def upgrade() -> None:
    """Widen the outbox."""
    op.execute(CHANGES)
