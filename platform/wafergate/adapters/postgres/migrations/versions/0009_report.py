"""The page and the picture sheet of a gate decision.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"

TABLE = """
CREATE TABLE decision_report (
    id text PRIMARY KEY, line text NOT NULL, decision_id text NOT NULL REFERENCES gate_decision,
    page text NOT NULL, sheet text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON decision_report (decision_id);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(TABLE)
