"""Which images were inspected before, by their names.

Revision ID: 0033
Revises: 0032
"""

from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the index: 4 bytes a name, whatever its length."""
    op.execute("CREATE INDEX ON inspected_image USING hash (name)")
