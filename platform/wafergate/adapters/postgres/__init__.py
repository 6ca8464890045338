"""PostgreSQL through psycopg 3: every fact of the platform."""

from wafergate.adapters.postgres.facts import PostgresFacts
from wafergate.adapters.postgres.inspections import PostgresInspections
from wafergate.adapters.postgres.schema import migrate

__all__ = ["PostgresFacts", "PostgresInspections", "migrate"]
