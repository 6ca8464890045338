"""How well the exported file agrees with the trained checkpoint.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the comparison; models from before were never compared."""
    op.execute("ALTER TABLE model_version ADD COLUMN parity jsonb")
