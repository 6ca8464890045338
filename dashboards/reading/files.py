"""Stored files as the pages show them: images with what a model found on them, and the addresses of reports."""

from wafergate.adapters.images import decode
from wafergate.domain.inspection import FoundBox
from wafergate.formats.annotate import annotated_jpeg
from wafergate.ports import FileReader

__all__ = ["load_annotated", "load_picture", "page_link"]


def load_annotated(files: FileReader, image: str, found: tuple[FoundBox, ...]) -> bytes:
    """Return an image with boxes and classes as JPEG.

    Args:
        files: where images are.
        image: SHA-256 of the image.
        found: what is drawn.

    Raises:
        NotFoundError: it is not stored.
        StorageError: what is stored is not the image.
        ServiceError: the store does not answer.
    """
    return annotated_jpeg(decode(files.get(image)), found)


def load_picture(files: FileReader, digest: str) -> bytes:
    """Return a stored picture.

    Raises:
        NotFoundError: it is not stored.
        StorageError: what is stored is not the picture.
        ServiceError: the store does not answer.
    """
    return files.get(digest)


def page_link(files: FileReader, digest: str) -> str:
    """Return an address where a browser opens a stored page; nothing is asked of the store."""
    return files.link(digest, content_type="text/html; charset=utf-8")
