"""Golden parts: sets, each champion's answers, and every check.

Revision ID: 0029
Revises: 0028
"""

from alembic import op

revision = "0029"
down_revision = "0028"

TABLES = """
CREATE TABLE golden_set (
    id text PRIMARY KEY, line text NOT NULL, digest text NOT NULL, parts jsonb NOT NULL, left_out integer NOT NULL,
    sealed_by text NOT NULL, reason text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON golden_set (line, created_at);
CREATE TABLE golden_answers (
    id text PRIMARY KEY, set_id text NOT NULL REFERENCES golden_set, line text NOT NULL,
    model_id text NOT NULL REFERENCES model_version, answers jsonb NOT NULL, actor text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE golden_run (
    id text PRIMARY KEY, line text NOT NULL, set_id text NOT NULL REFERENCES golden_set,
    model_id text NOT NULL REFERENCES model_version, answers_id text NOT NULL, parts integer NOT NULL,
    differences jsonb NOT NULL, picture text NOT NULL, policy jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON golden_run (line, created_at);
"""


def upgrade() -> None:
    """Add the three tables."""
    op.execute(TABLES)
