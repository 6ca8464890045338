"""Which runtime inspects with a model on a machine.

Revision ID: 0032
Revises: 0031
"""

from alembic import op

revision = "0032"
down_revision = "0031"

TABLES = """
CREATE TABLE runtime_choice (
    id text PRIMARY KEY, model_id text NOT NULL REFERENCES model_version, machine text NOT NULL,
    images integer NOT NULL, measured jsonb NOT NULL, chosen text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON runtime_choice (model_id, created_at);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLES)
