"""Migrations and the rights of the two roles that work on the schema."""

from pathlib import Path

import psycopg
from psycopg import sql

from wafergate.adapters.postgres.errors import translated
from wafergate.adapters.postgres.tables import ALERT_CHANGES

__all__ = ["migrate"]

_UPDATED = {  # no column named: all of them
    "champion": (),
    "alert": ALERT_CHANGES,
    "inspection_day": ("images", "defective", "instances"),
}
_CALLED = ("make_inspection_month", "roll_inspection_month")
_MIGRATION_LOCK = 7_204_117_001


def migrate(admin_url: str, *, application: str, dashboard: str) -> None:
    """Bring the schema to this version and give the two roles their rights; safe to call at any time.

    Args:
        admin_url: `postgresql://…` of the role that owns the schema.
        application: role that may read, insert, and update only what has a state; never the ledger.
        dashboard: role that may only read.

    Raises:
        ServiceError: the server does not answer or refuses.
    """
    with translated(admin_url), psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        _upgrade(admin_url)
        owner = guard.info.user
        for role in {application, dashboard} - {owner}:
            _grant(guard, role, writes=role == application)


def _upgrade(admin_url: str) -> None:
    # Only here: nothing else needs them, and no other command is to wait for them.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, pool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(admin_url), poolclass=pool.NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()


def _grant(connection: psycopg.Connection[tuple[object, ...]], role: str, *, writes: bool) -> None:
    name = sql.Identifier(role)
    rights = sql.SQL("SELECT, INSERT" if writes else "SELECT")
    with connection.transaction():
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
        connection.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name))
        connection.execute(sql.SQL("GRANT {} ON ALL TABLES IN SCHEMA public TO {}").format(rights, name))
        if writes:
            for table, columns in _UPDATED.items():
                which = (
                    sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
                )
                connection.execute(sql.SQL("GRANT UPDATE {} ON {} TO {}").format(which, sql.Identifier(table), name))
            for function in _CALLED:
                connection.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.Identifier(function), name))
