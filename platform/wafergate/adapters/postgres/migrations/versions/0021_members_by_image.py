"""Split members are found by their image: how often was each looked at.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the index."""
    op.execute("CREATE INDEX ON split_member (image)")
