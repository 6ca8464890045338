"""How each threshold came about, beside the thresholds themselves.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the operating points; models from before say nothing of theirs."""
    op.execute("ALTER TABLE model_version ADD COLUMN operating jsonb NOT NULL DEFAULT '[]'")
