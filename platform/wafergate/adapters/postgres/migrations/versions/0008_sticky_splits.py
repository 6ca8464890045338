"""Sides that outlast a dataset version: members know their image, and a test set can be retired.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"

CHANGES = """
ALTER TABLE split_member ADD COLUMN image text;
UPDATE split_member SET image = sample.image
    FROM dataset_split, sample
    WHERE dataset_split.id = split_member.split_id AND sample.dataset_id = dataset_split.dataset_id
        AND sample.position = split_member.position;
ALTER TABLE split_member ALTER COLUMN image SET NOT NULL;

CREATE TABLE renewal (
    id text PRIMARY KEY, line text NOT NULL, split_id text NOT NULL REFERENCES dataset_split, test_digest text NOT NULL,
    images integer NOT NULL, looks integer NOT NULL, actor text NOT NULL, reason text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON renewal (line, created_at);
"""


def upgrade() -> None:
    """Name each member's image and make room for renewals."""
    op.execute(CHANGES)
