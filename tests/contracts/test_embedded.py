"""The embedded services on their real parts; run in the order of the file, over one stack."""

import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import psycopg
import pytest
import urllib3
from minio import Minio
from minio.error import S3Error

from wafergate.adapters.embedded import down, ports, processes, status, up
from wafergate.adapters.embedded.state import ProcessRecord
from wafergate.errors import ConfigError, ServiceError
from wafergate.settings import load_settings

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

PARTS = ("postgres", "s3", "prefect", "worker", "dashboard")
UP = """
import json, sys
from pathlib import Path
from wafergate.adapters.embedded import up
told = []
state = up(Path(sys.argv[1]), progress=lambda part, text: told.append(f"{part}: {text}"), dashboard=Path(sys.argv[2]))
print(json.dumps({"started": state.started, "told": told}))
"""
NOWHERE = {
    "WAFERGATE_S3_ENDPOINT": "s3.example",
    "PREFECT_API_URL": "http://prefect.example/api",
    "PATH": os.environ["PATH"],
}


def without_ours(environ):
    return {k: v for k, v in environ.items() if not k.startswith(("WAFERGATE_", "PREFECT_"))}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text("import streamlit as st\nst.title('up')\n")
    return path


@pytest.fixture(scope="module")
def race(tmp_path_factory, app):
    """Two `up`s at once on a fresh folder: (home, what each reported)."""
    home = tmp_path_factory.mktemp("stack") / "home with space"
    command = [sys.executable, "-c", UP, str(home), str(app)]
    environment = without_ours(os.environ)
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        yield home, [json.loads(one.communicate(timeout=200)[0]) for one in both]
    finally:
        down(home)


@pytest.fixture
def home(race):
    return race[0]


@pytest.fixture
def again(home, app):
    """Call `up` on the running stack; returns (started, told)."""

    def call():
        told = []
        state = up(
            home,
            progress=lambda part, text: told.append(f"{part}: {text}"),
            environ=without_ours(os.environ),
            dashboard=app,
        )
        return set(state.started), told

    return call


@pytest.fixture
def settings(home):
    return load_settings({}, home)


def leader(home, name):
    record = json.loads((home / "services.json").read_text())["processes"][name]
    return processes.find(ProcessRecord(**record))


def s3_client(settings, secret=None):
    return Minio(
        settings.s3_endpoint,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=secret or settings.s3_secret_key.get_secret_value(),
        secure=False,
        region=settings.s3_region,
        http_client=urllib3.PoolManager(retries=False, timeout=10),
    )


def test_of_two_starts_at_once_one_starts_everything_and_the_other_finds_it_running(race):
    _, reports = race
    first, second = sorted(reports, key=lambda report: -len(report["started"]))
    assert set(first["started"]) == set(PARTS)
    assert second["started"] == []
    assert any("waiting for another" in text for text in second["told"])
    assert sum("already running" in text for text in second["told"]) == len(PARTS)


def test_a_second_start_changes_no_process_and_takes_a_moment(home, again):
    before = {name: leader(home, name).pid for name in PARTS}
    begun = time.monotonic()
    started, _ = again()
    assert started == set()
    assert time.monotonic() - begun < 5
    assert {name: leader(home, name).pid for name in PARTS} == before


def test_every_part_is_seen_running(home):
    services = status(home, environ={})
    assert {service.name: service.state for service in services} == dict.fromkeys(PARTS, "running")


def test_nothing_listens_or_talks_beyond_this_machine(home):
    listeners = 0
    for name in PARTS:
        one = leader(home, name)
        for process in (one, *one.children(recursive=True)):
            for connection in process.net_connections(kind="inet"):
                for address in (connection.laddr, connection.raddr):
                    assert not address or address.ip == "127.0.0.1", (name, connection)
                listeners += connection.status == psutil.CONN_LISTEN
    assert listeners >= 10  # SeaweedFS alone has ten


def test_seaweedfs_own_worker_finds_its_server(home):
    assert "connection refused" not in (home / "logs" / "s3.log").read_text()[-2000:]


def test_secrets_are_readable_by_their_owner_only(home):
    for path in (home / "services.json", home / "s3/identities.json", home / "s3/security.toml"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in ("logs", "postgres", "s3", "prefect"):
        assert stat.S_IMODE((home / folder).stat().st_mode) == 0o700
    assert not home.stat().st_mode & (stat.S_IROTH | stat.S_IRGRP)
    for log in (home / "logs").iterdir():
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_application_adds_and_reads_and_changes_nothing(settings):
    with psycopg.connect(settings.database_admin_url.get_secret_value()) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS fact (id bigint GENERATED ALWAYS AS IDENTITY, word text)")
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as application:
        application.execute("INSERT INTO fact (word) VALUES ('kept')")
        assert application.execute("SELECT word FROM fact LIMIT 1").fetchone() == ("kept",)
        for statement in (
            "UPDATE fact SET word = 'x'",
            "DELETE FROM fact",
            "TRUNCATE fact",
            "DROP TABLE fact",
            "CREATE TABLE other (id int)",
            "CREATE ROLE other",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                application.execute(statement)


def test_the_dashboard_reads_and_cannot_write_even_if_it_tries(settings):
    with psycopg.connect(settings.database_readonly_url.get_secret_value(), autocommit=True) as reader:
        assert reader.execute("SELECT word FROM fact LIMIT 1").fetchone() == ("kept",)
        reader.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("INSERT INTO fact (word) VALUES ('x')")


def test_no_role_gets_in_without_its_password(settings):
    for url in (settings.database_url, settings.database_admin_url, settings.database_readonly_url):
        parts = psycopg.conninfo.conninfo_to_dict(url.get_secret_value())
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**{**parts, "password": "wrong"})
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**{**parts, "user": "postgres", "password": "postgres"})


def test_the_application_cannot_enter_prefects_database(settings):
    parts = psycopg.conninfo.conninfo_to_dict(settings.database_url.get_secret_value())
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(**{**parts, "dbname": "prefect"})


def test_s3_gives_back_what_it_was_given(settings):
    content = os.urandom(12 * 1024**2 + 1)
    client = s3_client(settings)
    client.put_object(settings.s3_bucket, "some/file", io.BytesIO(content), len(content))
    assert client.get_object(settings.s3_bucket, "some/file").data == content


def test_s3_refuses_a_wrong_key(settings):
    with pytest.raises(S3Error) as caught:
        s3_client(settings, "wrong").list_buckets()
    assert caught.value.code in {"SignatureDoesNotMatch", "AccessDenied"}


def test_files_cannot_be_had_past_the_gateway(home, settings):
    port = json.loads((home / "services.json").read_text())["ports"]["s3_filer"]
    answer = urllib3.request("GET", f"http://127.0.0.1:{port}/buckets/{settings.s3_bucket}/some/file")
    assert answer.status == 401


def test_prefect_is_healthy_and_has_a_process_work_pool(settings):
    assert urllib3.request("GET", f"{settings.prefect_api_url}/health").json() is True
    assert urllib3.request("GET", f"{settings.prefect_api_url}/work_pools/wafergate").json()["type"] == "process"


@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_alone_is_repaired(home, again, name):
    others = {other: leader(home, other).pid for other in PARTS if other != name}
    leader(home, name).send_signal(signal.SIGKILL)
    started, _ = again()
    # A worker gives up by itself while its server is away; then it is started again as well.
    assert started == {name} or (name in {"prefect", "postgres"} and started == {name, "worker"})
    assert all(leader(home, other).pid == pid for other, pid in others.items() if other not in started)
    assert {service.state for service in status(home, environ={})} == {"running"}


def test_a_stranger_on_the_port_of_a_part_that_died_does_not_count_as_it(home, again):
    (before,) = [service for service in status(home, environ={}) if service.name == "dashboard"]
    psutil.Process(before.pid).kill()
    address = before.address.partition(":")[0], int(before.address.partition(":")[2])
    ports.require_free("dashboard", address[1], seconds=30)
    with ThreadingHTTPServer(address, type("Fine", (BaseHTTPRequestHandler,), {"do_GET": say_fine})) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        (seen,) = [service for service in status(home, environ={}) if service.name == "dashboard"]
        assert seen.state == "stopped"
        with pytest.raises(ServiceError, match=f"port {address[1]} of dashboard is held by .*{os.getpid()}"):
            again()
        stranger.shutdown()
    started, _ = again()
    assert started == {"dashboard"}


def say_fine(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"ok")


def test_what_was_written_survives_the_kills(settings):
    with psycopg.connect(settings.database_url.get_secret_value()) as application:
        assert application.execute("SELECT word FROM fact LIMIT 1").fetchone() == ("kept",)
    assert len(s3_client(settings).get_object(settings.s3_bucket, "some/file").data) == 12 * 1024**2 + 1


def test_a_process_that_took_over_a_recorded_id_is_not_ours():
    me = psutil.Process()
    assert processes.find(ProcessRecord(me.pid, me.create_time())) == me
    assert processes.find(ProcessRecord(me.pid, me.create_time() - 60)) is None


def test_a_postgres_that_still_serves_is_not_ended_because_its_record_went_wrong(home, again):
    file = home / "services.json"
    server, kept = leader(home, "postgres"), file.read_text()
    wrong = json.loads(kept)
    wrong["processes"]["postgres"] = {"pid": server.pid, "create_time": server.create_time() - 60}
    file.write_text(json.dumps(wrong))
    try:
        with pytest.raises(ServiceError, match=r"postgres serves on .* does not know: run `wafergate down`"):
            again()
        assert server.is_running()
    finally:
        file.write_text(kept)
    assert again()[0] == set()


def test_moving_the_port_of_a_running_part_is_refused(home, app):
    with pytest.raises(ServiceError, match="`wafergate down` first"):
        up(home, progress=lambda *_: None, environ={"WAFERGATE_PORT_S3": "31999"}, dashboard=app)


def test_a_stop_leaves_no_process_and_a_second_stop_finds_none(home):
    leaders = [leader(home, name) for name in PARTS]
    family = {process for one in leaders for process in (one, *one.children(recursive=True))}
    assert set(down(home)) == set(PARTS)
    assert not {one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE}
    assert processes.marked(str(home)) == []
    assert down(home) == ()
    assert {service.state for service in status(home, environ={})} == {"stopped"}


def test_a_taken_port_is_named_with_its_holder_and_what_to_do(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ServiceError) as caught:
            up(tmp_path, progress=lambda *_: None, environ={**NOWHERE, "WAFERGATE_PORT_POSTGRES": str(port)})
    for part in (f"port {port}", f"pid {os.getpid()}", "WAFERGATE_PORT_POSTGRES", "`wafergate down`"):
        assert part in str(caught.value)
    assert down(tmp_path) == ()


def test_a_port_that_a_killed_process_still_lets_go_of_is_waited_for():
    holder = socket.create_server(("127.0.0.1", 0))
    port = holder.getsockname()[1]
    with pytest.raises(ServiceError, match=f"port {port} of s3 is held"):
        ports.require_free("s3", port)
    closing = threading.Timer(0.3, holder.close)
    closing.start()
    ports.require_free("s3", port, seconds=30)
    closing.join()


def test_two_that_choose_at_once_choose_different_ports():
    chosen: list[int] = []
    with ports.Claims() as first, ports.Claims() as second:
        for claims in (first, second, first, second):
            chosen += [ports.choose("dashboard", (), claims), ports.choose("s3_admin", (), claims)]
    assert len(set(chosen)) == len(chosen)
    admins = chosen[1::2]
    assert not {port + ports.GRPC_OFFSET for port in admins} & set(chosen)


def test_a_claim_ends_with_its_holder_and_is_not_given_in_part():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((ports.LOOPBACK, 0))
        held = holder.getsockname()[1]
        with ports.Claims() as claims:
            assert not claims.take(held - 1, held)
            assert claims.take(held - 1)
    with ports.Claims() as claims:
        assert claims.take(held - 1, held)


def test_a_port_that_is_none_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="WAFERGATE_PORT_POSTGRES must be a port number"):
        up(tmp_path, progress=lambda *_: None, environ={**NOWHERE, "WAFERGATE_PORT_POSTGRES": "http"})


def test_parts_that_the_environment_places_elsewhere_are_not_started(tmp_path):
    told = []
    environ = {**NOWHERE, "WAFERGATE_DATABASE_URL": "postgresql://a:b@db.example/line"}
    state = up(tmp_path, progress=lambda part, text: told.append((part, text)), environ=environ)
    assert state.started == ()
    assert {part for part, text in told if "elsewhere" in text} == {"postgres", "s3", "prefect", "worker"}
    seen = {service.name: service for service in status(tmp_path, environ=environ)}
    assert seen["postgres"].state == "external"
    assert "b@" not in seen["postgres"].address


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match="WAFERGATE_HOME"):
        up(tmp_path / "file" / "home", progress=lambda *_: None, environ=NOWHERE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ServiceError, match="cannot be written"):
        up(tmp_path / "home", progress=lambda *_: None, environ=NOWHERE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_is_one_sentence(tmp_path):
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(tmp_path)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this system mounts nothing")
    try:
        with pytest.raises(ServiceError, match="MiB of free disk space"):
            up(tmp_path, progress=lambda *_: None, environ=NOWHERE)
        with (tmp_path / "rest").open("wb") as file, pytest.raises(OSError, match="No space"):
            file.write(bytes(17 * 1024**2))
        with pytest.raises(ServiceError, match="disk space"):
            up(tmp_path, progress=lambda *_: None, environ=NOWHERE)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_lost_passwords_are_said_instead_of_starting_over(tmp_path):
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    with pytest.raises(ServiceError, match=r"services\.json with its passwords is gone"):
        up(tmp_path, progress=lambda *_: None, environ=NOWHERE)
