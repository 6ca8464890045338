"""What a model says of its own training images.

Revision ID: 0026
Revises: 0025
"""

from alembic import op

revision = "0026"
down_revision = "0025"

TABLES = """
CREATE TABLE model_reference (
    id text PRIMARY KEY, model_id text NOT NULL REFERENCES model_version, images integer NOT NULL,
    dimensions integer NOT NULL, predictions text NOT NULL, embeddings text, created_at timestamptz NOT NULL
);
CREATE INDEX ON model_reference (model_id);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLES)
