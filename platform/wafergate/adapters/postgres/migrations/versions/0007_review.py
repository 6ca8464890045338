"""The review list, Data Docs with a validation, and the version a correction was made from.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = """
ALTER TABLE dataset_version ADD COLUMN parent text REFERENCES dataset_version;
ALTER TABLE validation_result ADD COLUMN docs text;

CREATE TABLE review_item (
    id text PRIMARY KEY, key text NOT NULL, dataset_id text NOT NULL REFERENCES dataset_version, line text NOT NULL,
    sample text NOT NULL, image text NOT NULL REFERENCES image, box_index integer, label text NOT NULL,
    box jsonb NOT NULL, kind text NOT NULL, score double precision NOT NULL, detail text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON review_item (dataset_id);
CREATE TABLE review_answer (
    id text PRIMARY KEY, item_id text NOT NULL REFERENCES review_item, key text NOT NULL,
    answer text NOT NULL CHECK (answer IN ('kept', 'corrected')), actor text NOT NULL, reason text NOT NULL,
    corrected_in text REFERENCES dataset_version, created_at timestamptz NOT NULL
);
CREATE INDEX ON review_answer (key);
"""


def upgrade() -> None:
    """Create the tables and add the columns."""
    op.execute(TABLES)
