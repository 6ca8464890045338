"""Under which licence the weights were that a model started from.

Revision ID: 0038
Revises: 0037
"""

from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Add it; of older models nobody kept it, so that of their candidate's own weights counts."""
    op.execute("ALTER TABLE model_version ADD COLUMN start_licence text")
