"""With how many threads a model's time to answer was measured.

Revision ID: 0040
Revises: 0039
"""

from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Add it; of older figures nobody kept it, and they hold for whatever the line file names."""
    op.execute("ALTER TABLE serving_figures ADD COLUMN threads integer")
