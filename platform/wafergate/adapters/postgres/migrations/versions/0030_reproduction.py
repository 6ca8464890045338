"""What a run ran with, which run trained a model, and trainings done again.

Revision ID: 0030
Revises: 0029
"""

from alembic import op

revision = "0030"
down_revision = "0029"

TABLES = """
ALTER TABLE flow_run ADD COLUMN code text NOT NULL DEFAULT '';
ALTER TABLE model_version ADD COLUMN run_id text NOT NULL DEFAULT '';
CREATE INDEX ON model_version (run_id) WHERE run_id <> '';
CREATE TABLE reproduction (
    id text PRIMARY KEY, line text NOT NULL, model_id text NOT NULL REFERENCES model_version, line_file text NOT NULL,
    onnx text NOT NULL, likeness text NOT NULL, agreement jsonb NOT NULL, thresholds jsonb NOT NULL,
    machine text NOT NULL, code jsonb NOT NULL, libraries jsonb NOT NULL, seconds double precision NOT NULL,
    actor text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON reproduction (model_id);
"""


def upgrade() -> None:
    """Add the columns and the table; of what is there already nobody noted them."""
    op.execute(TABLES)
