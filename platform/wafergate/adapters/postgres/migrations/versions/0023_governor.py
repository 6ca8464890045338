"""Every answer of the governor.

Revision ID: 0023
Revises: 0022
"""

from alembic import op

revision = "0023"
down_revision = "0022"

TABLE = """
CREATE TABLE governor_decision (
    id text PRIMARY KEY, line text NOT NULL, event text NOT NULL, verdict text NOT NULL, rules jsonb NOT NULL,
    model_id text NOT NULL, dataset_id text NOT NULL, actor text NOT NULL, policy jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON governor_decision (line, created_at);
CREATE INDEX ON governor_decision (line) WHERE verdict = 'retrain';
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLE)
