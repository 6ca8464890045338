"""Files of a source that can only be read once or not at a place: copied to an unnamed temporary file."""

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from typing import BinaryIO, cast

from wafergate.spool import no_room

__all__ = ["unnamed"]


def unnamed(pieces: Iterable[bytes]) -> BinaryIO:
    """Return a temporary file that holds these pieces, at its beginning; it goes when it is closed.

    Raises:
        StorageError: there is no room for it.
    """
    with ExitStack() as on_error:
        file = on_error.enter_context(tempfile.TemporaryFile())
        try:
            file.writelines(pieces)
            file.seek(0)
        except OSError as error:
            raise no_room(error) from error
        on_error.pop_all()  # from here on the caller closes it
    return cast("BinaryIO", file)
