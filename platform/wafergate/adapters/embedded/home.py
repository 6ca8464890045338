"""The home folder: made closed, checked for space, and explained when the file system refuses."""

import errno
import os
import shutil
from pathlib import Path

from wafergate.errors import ServiceError

LEAST_FREE_BYTES = 512 * 1024**2


def make_home(home: Path) -> None:
    """Make the folder and its folder of logs at need."""
    # PostgreSQL's own user must pass through when we are root; nobody may list the folder.
    home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    (home / "logs").mkdir(mode=0o700, exist_ok=True)


def log_file(home: Path, name: str) -> Path:
    """Return the log of a part."""
    return home / "logs" / f"{name}.log"


def storage_trouble(home: Path, error: OSError) -> str:
    """Say in one sentence what the file system refused and what to do."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"no disk space left for {home}: free some, or set WAFERGATE_HOME to a folder on another disk"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
        return (
            f"{error.filename or home} cannot be written ({error.strerror}): run as the user it belongs to, or set "
            "WAFERGATE_HOME to a folder of yours"
        )
    return f"{home} cannot be used ({error}): set WAFERGATE_HOME to another folder"


def check_space(home: Path) -> None:
    """Check that the services have room to start with.

    Raises:
        ServiceError: Less than 512 MiB are free.
    """
    free = shutil.disk_usage(home).free
    if free < LEAST_FREE_BYTES:
        raise ServiceError(
            f"{home} has {free // 1024**2} MiB of free disk space and the services need "
            f"{LEAST_FREE_BYTES // 1024**2}: free some, or set WAFERGATE_HOME to a folder on another disk"
        )
