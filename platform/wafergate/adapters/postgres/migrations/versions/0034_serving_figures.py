"""How long a model takes to answer where it serves, and in which runtime a candidate was measured.

Revision ID: 0034
Revises: 0033
"""

from alembic import op

revision = "0034"
down_revision = "0033"

TABLES = """
CREATE TABLE serving_figures (
    id text PRIMARY KEY, model_id text NOT NULL REFERENCES model_version, machine text NOT NULL, runtime text NOT NULL,
    latency jsonb NOT NULL, images integer NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON serving_figures (model_id, created_at);
ALTER TABLE probe ADD COLUMN runtime text NOT NULL DEFAULT 'onnxruntime';
ALTER TABLE model_version DROP COLUMN latency_ms;
"""


def upgrade() -> None:
    """Add them; candidates of before were measured in ONNX Runtime, and models are measured again when they are asked.

    What a model took when a decision was made stands in the decision's rules.
    """
    op.execute(TABLES)
