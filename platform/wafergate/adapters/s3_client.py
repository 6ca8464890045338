"""One way to reach an S3 through the MinIO client, and its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error

from wafergate.errors import NotFoundError, ServiceError

__all__ = ["CONNECTIONS", "connect", "translated"]

CONNECTIONS = 8
_WRONG_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


def connect(
    endpoint: str, access_key: str, secret_key: str, *, secure: bool, region: str | None, pause_s: float = 0.2
) -> Minio:
    """Return a client; the server is first spoken to when something is asked of it.

    What fails is asked twice more, the second time after 2 * `pause_s` seconds.
    """
    timeout = urllib3.Timeout(connect=5, read=60)
    retries = urllib3.Retry(total=2, backoff_factor=pause_s, status_forcelist=[500, 502, 503, 504])
    return Minio(
        endpoint,
        access_key=access_key,
        secret_key=secret_key,
        secure=secure,
        region=region or "us-east-1",
        http_client=urllib3.PoolManager(timeout=timeout, retries=retries, maxsize=CONNECTIONS),
    )


@contextmanager
def translated(endpoint: str, *, no_bucket: Exception, missing: str = "") -> Iterator[None]:
    """Raise the platform's errors for the client's.

    Args:
        endpoint: where the server is, for the message.
        no_bucket: what to raise where the bucket does not exist.
        missing: the file that is asked for, for the message.

    Raises:
        NotFoundError: the file is not there.
        ServiceError: the server does not answer, or refuses the key or the request.
    """
    where = f"S3 at {endpoint}"
    try:
        yield
    except S3Error as error:
        if error.code in _WRONG_KEY:
            message = f"{where} refuses the key ({error.code}): check WAFERGATE_S3_ACCESS_KEY and _SECRET_KEY"
            raise ServiceError(message) from error
        if error.code == "NoSuchBucket":
            raise no_bucket from error
        if error.code in {"NoSuchKey", "NoSuchObject"}:
            message = f"there is no file {missing} in the store"
            raise NotFoundError(message) from error
        message = f"{where} answers {error.code}: {error.message}; is its disk full? See `wafergate status`"
        raise ServiceError(message) from error
    except (urllib3.exceptions.HTTPError, MinioException, InvalidResponseError) as error:
        message = f"{where} does not answer: run `wafergate up`, or check WAFERGATE_S3_ENDPOINT"
        raise ServiceError(message) from error
