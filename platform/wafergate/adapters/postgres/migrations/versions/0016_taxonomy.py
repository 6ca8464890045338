"""Proposed taxonomies and the customer's agreement to them.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"

TABLES = """
CREATE TABLE taxonomy_version (
    id text PRIMARY KEY, line text NOT NULL, number integer NOT NULL CHECK (number > 0), map jsonb NOT NULL,
    actor text NOT NULL, created_at timestamptz NOT NULL, UNIQUE (line, number)
);
CREATE TABLE taxonomy_signature (
    id text PRIMARY KEY, taxonomy_id text NOT NULL REFERENCES taxonomy_version, line text NOT NULL,
    signed_by text NOT NULL, signed_on text NOT NULL, reference text NOT NULL, actor text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON taxonomy_signature (line);
"""


def upgrade() -> None:
    """Create the tables; what a line file said at intake stays with its dataset version."""
    op.execute(TABLES)
