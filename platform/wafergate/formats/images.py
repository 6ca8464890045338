"""Images alone: new parts to inspect or to watch, nobody has labelled them."""

from wafergate.domain.samples import RawSample, Reading
from wafergate.formats.layout import Layout
from wafergate.formats.options import ReadOptions
from wafergate.ports import Source

__all__ = ["read"]


def read(source: Source, options: ReadOptions) -> Reading:
    """Return every image that is no golden reference of another; none has boxes.

    Raises:
        SourceError: there are no images.
    """
    layout = Layout(source, options)
    layout.require_images("inspection")
    return layout.reading(map(RawSample, layout.images), [])
