"""How a model's training cut its images.

Revision ID: 0035
Revises: 0034
"""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Add the policy; models of before were taught on the images of their dataset version as they are."""
    op.execute("ALTER TABLE model_version ADD COLUMN tile jsonb NOT NULL DEFAULT '{}'")
