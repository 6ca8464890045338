"""Dataset versions of tiles, and what each tile was cut from.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = """
ALTER TABLE sample ADD COLUMN part jsonb;
CREATE TABLE tiling (
    id text PRIMARY KEY, dataset_id text NOT NULL REFERENCES dataset_version,
    parent_id text NOT NULL REFERENCES dataset_version, policy jsonb NOT NULL, images integer NOT NULL,
    tiles integer NOT NULL, left_out integer NOT NULL, classes jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON tiling (dataset_id);
"""


def upgrade() -> None:
    """Add the column and the table."""
    op.execute(TABLES)
