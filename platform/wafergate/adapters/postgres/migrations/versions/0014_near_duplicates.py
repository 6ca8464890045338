"""Which images of a dataset version show the same part.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"

TABLES = """
CREATE TABLE near_duplicates (
    id text PRIMARY KEY, dataset_id text NOT NULL REFERENCES dataset_version, images integer NOT NULL,
    candidates bigint NOT NULL, pairs jsonb NOT NULL, groups integer NOT NULL, look_alikes integer NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON near_duplicates (dataset_id);
"""


def upgrade() -> None:
    """Create the table; splits from before were made without it."""
    op.execute(TABLES)
