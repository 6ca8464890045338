"""What people decide about what is in quarantine.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = """
CREATE TABLE quarantine_change (
    id text PRIMARY KEY, quarantined_id text NOT NULL REFERENCES quarantine, step integer NOT NULL CHECK (step > 0),
    line text NOT NULL, state text NOT NULL CHECK (state IN ('released', 'dropped')), actor text NOT NULL,
    reason text NOT NULL, created_at timestamptz NOT NULL,
    UNIQUE (quarantined_id, step)
);
CREATE INDEX ON quarantine_change (line);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(TABLES)
