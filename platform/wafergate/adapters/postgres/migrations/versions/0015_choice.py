"""What candidates need of the hardware, and which one is trained.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"

TABLES = """
CREATE TABLE probe (
    id text PRIMARY KEY, candidate text NOT NULL, image_size integer NOT NULL, machine text NOT NULL,
    memory jsonb NOT NULL, latency jsonb NOT NULL, size_mib double precision NOT NULL, ended text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE model_choice (
    id text PRIMARY KEY, line text NOT NULL, training_set_id text NOT NULL REFERENCES training_set,
    winner text NOT NULL, standings jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON model_choice (line, created_at);
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(TABLES)
