"""Weight files that people brought, with their licence.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"

TABLES = """
CREATE TABLE weight_file (
    id text PRIMARY KEY, candidate text NOT NULL, digest text NOT NULL, name text NOT NULL, bytes bigint NOT NULL,
    licence text NOT NULL, source text NOT NULL, added_by text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON weight_file (candidate, created_at);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLES)
