"""Pictures of stored images, with what a model found drawn on them."""

from wafergate.adapters.images import decode
from wafergate.domain.inspection import FoundBox
from wafergate.formats.annotate import annotated_jpeg
from wafergate.ports import FileReader

__all__ = ["load_annotated"]


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
