"""Choose TCP ports on the loopback address once, and name who holds one that is taken."""

import contextlib
import random
import socket
import time
from collections.abc import Collection, Mapping

import psutil

from wafergate.errors import ConfigError, ServiceError

LOOPBACK = "127.0.0.1"
# Below the kernel's range for outgoing connections (32768 and up on Linux), so that a remembered port is not
# handed to some client while the stack is down.
FIRST, LAST = 20000, 29999
# What people type into a browser keeps the number its documentation names, where that is free.
PREFERRED = {"prefect": 4200, "dashboard": 8501}
TRIES = 200
# SeaweedFS' maintenance worker looks for the admin server's gRPC this far above its port, whatever it is told.
GRPC_OFFSET = 10000
WITH_GRPC = {"s3_admin"}
# A killed process is gone from the process list before the system has closed its last socket.
RELEASE_SECONDS = 10.0


def variable(name: str) -> str:
    """Return the environment variable that sets the port of this name."""
    return f"WAFERGATE_PORT_{name.upper()}"


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


class Claims(contextlib.ExitStack):
    """The ports that an `up` on its way means to use: another one that starts meanwhile chooses others.

    A bound UDP socket of the same number stands for each. None of the servers uses UDP, every user of the machine sees
    the claim, and the kernel lets go of it when its holder ends, however it ends.
    """

    def take(self, *numbers: int) -> bool:
        """Claim some ports together; return whether nobody else had claimed one of them."""
        with contextlib.ExitStack() as sockets:
            try:
                for number in numbers:
                    claim = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    claim.bind((LOOPBACK, number))
            except OSError:
                return False
            self.enter_context(sockets.pop_all())
        return True


def choose(name: str, taken: Collection[int], claims: Claims) -> int:
    """Return a free port for a service, outside `taken`; its companion for gRPC is free as well where it has one.

    Args:
        name: the port's name.
        taken: ports that other services of this stack have.
        claims: takes up the port, until the server listens on it.

    Raises:
        ServiceError: None was found.
    """
    preferred = [PREFERRED[name]] if name in PREFERRED else []
    shift = GRPC_OFFSET if name in WITH_GRPC else 0
    candidates = [*preferred, *(port - shift for port in random.sample(range(FIRST, LAST + 1), TRIES))]
    for port in candidates:
        numbers = {port, port + shift}
        # Claimed before it is looked at: whoever had the claim before may listen by now.
        if not numbers & set(taken) and claims.take(*numbers) and all(map(is_free, numbers)):
            return port
    raise ServiceError(
        f"no free port for {name} between {FIRST} and {LAST} in {TRIES} tries: set {variable(name)} to a free one"
    )


def wanted(name: str, environ: Mapping[str, str]) -> int | None:
    """Return the port that the environment asks for, or None.

    Raises:
        ConfigError: The value is not a port number an ordinary user may bind.
    """
    text = environ.get(variable(name), "")
    if not text:
        return None
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise ConfigError(f"{variable(name)} must be a port number from 1024 to 65535, found {text!r}")
    return int(text)


def require_free(name: str, port: int, *, seconds: float = 0.0) -> None:
    """Check that a remembered or requested port can be used, waiting for it up to so many seconds.

    Raises:
        ServiceError: Somebody else listens there; the message names them where the system tells.
    """
    deadline = time.monotonic() + seconds
    while not is_free(port):
        if time.monotonic() >= deadline:
            raise ServiceError(
                f"port {port} of {name} is held by {holder(port)}: end that process (if it belongs to another "
                f"wafergate folder, with `wafergate down` there), or set {variable(name)} to a free port"
            )
        time.sleep(0.05)


def holder(port: int) -> str:
    """Describe the process that listens on a port, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return "a process of another user"
            try:
                return f"{psutil.Process(connection.pid).name()!r} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                break
    return "another process"
