"""What was inspected is known when its rows are dropped, and with which golden reference it was.

Revision ID: 0039
Revises: 0038
"""

from alembic import op

revision = "0039"
down_revision = "0038"

_TABLES = """
ALTER TABLE inspected_image ADD COLUMN reference text NOT NULL DEFAULT '';
CREATE TABLE inspected_before (
    line text NOT NULL, model_id text NOT NULL, name text NOT NULL, image text NOT NULL, reference text NOT NULL,
    run_id text NOT NULL
);
CREATE INDEX ON inspected_before USING hash (name);
"""


def upgrade() -> None:
    """Add them; of older images nobody kept the reference, so they count as seen beside any."""
    op.execute(_TABLES)
