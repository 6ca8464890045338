"""Drift reports of windows, with slices, cause and advice.

Revision ID: 0031
Revises: 0030
"""

from alembic import op

revision = "0031"
down_revision = "0030"

COLUMNS = """
ALTER TABLE drift_report
    ADD model_id text NOT NULL DEFAULT '', ADD "window" text NOT NULL DEFAULT 'folder',
    ADD since timestamptz, ADD until timestamptz, ADD reference text NOT NULL DEFAULT 'training',
    ADD slices jsonb NOT NULL DEFAULT '[]', ADD cause text, ADD advice text, ADD reason text NOT NULL DEFAULT '';
CREATE INDEX ON drift_report (model_id, created_at);
"""


def upgrade() -> None:
    """Add the columns; reports from before have no advice."""
    op.execute(COLUMNS)
