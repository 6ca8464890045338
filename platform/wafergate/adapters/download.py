"""Fetch a file over HTTP, whole or not at all."""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wafergate.errors import ConfigError, ServiceError, StorageError
from wafergate.ports import Progress

__all__ = ["download"]

SECONDS = 30.0
"""Silence after which a server counts as gone."""

PART = 2**20


class _StayEncrypted(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in {urlsplit(req.full_url).scheme, "https"}:
            message = f"{req.full_url} sends to {newurl}, which is not encrypted"
            raise urllib.error.URLError(message)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, target: Path, *, progress: Progress) -> None:
    """Write what lies at an address to a file; the proxies of the environment are used.

    Args:
        url: `https://…` or `http://…`.
        target: the file to write; removed when the download breaks off.
        progress: told the kibibytes so far and, where the server says, how many there are.

    Raises:
        ConfigError: the address is of another kind.
        ServiceError: the server cannot be reached, has no such file, or stopped before its end.
        StorageError: the file cannot be written.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"a download needs an address such as https://host/file, found {url!r}"
        raise ConfigError(message)
    opener = urllib.request.build_opener(_StayEncrypted)
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            _copy(answer, target, url, progress)
    except urllib.error.HTTPError as error:
        target.unlink(missing_ok=True)
        message = f"{parts.hostname} answers {error.code} ({error.reason}) to {url}"
        raise ServiceError(message) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        target.unlink(missing_ok=True)
        reason = getattr(error, "reason", error)
        why = "its name is not known here" if isinstance(reason, socket.gaierror) else str(reason) or "no answer"
        message = f"{parts.hostname} cannot be reached ({why})"
        raise ServiceError(message) from error
    except OSError as error:
        target.unlink(missing_ok=True)
        message = f"{target} cannot be written ({error.strerror}); make room there or set WAFERGATE_WORK_DIR"
        raise StorageError(message) from error


def _copy(answer: Any, target: Path, url: str, progress: Progress) -> None:
    said = answer.headers.get("Content-Length", "")
    total, done = int(said) if said.isdigit() else 0, 0
    with target.open("wb") as file:
        while part := answer.read(PART):
            file.write(part)
            done += len(part)
            progress("downloading, KiB", done // 1024, total // 1024)
    if done < total:
        message = f"{url} broke off after {done:,} of {total:,} bytes"
        raise ConnectionError(message)
