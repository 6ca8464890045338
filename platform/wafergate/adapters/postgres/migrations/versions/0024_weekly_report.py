"""The page about a line's week.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"

TABLE = """
CREATE TABLE weekly_report (
    id text PRIMARY KEY, line text NOT NULL, since timestamptz NOT NULL, until timestamptz NOT NULL,
    language text NOT NULL, page text NOT NULL, paper text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON weekly_report (line, created_at);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLE)
