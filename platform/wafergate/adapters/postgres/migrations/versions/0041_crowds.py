"""Which images look like more others than a part is photographed.

Revision ID: 0041
Revises: 0040
"""

from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Add them; where a search of before left some out and nobody kept which, it is made anew when it is asked."""
    op.execute("ALTER TABLE near_duplicates ADD COLUMN crowds jsonb NOT NULL DEFAULT '[]'")
