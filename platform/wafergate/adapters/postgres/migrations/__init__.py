"""Alembic migrations, applied by `migrate`."""
