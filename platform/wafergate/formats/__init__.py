"""Readers and writers of annotation formats: bytes in, values out."""

from collections.abc import Callable, Mapping, Sequence

from wafergate.domain.samples import RawSample, Reading
from wafergate.formats import coco, deeppcb, images, masks, voc, yolo
from wafergate.formats.options import ReadOptions
from wafergate.ports import Source

__all__ = ["READERS", "WRITERS", "ReadOptions", "Reader", "Writer"]

Reader = Callable[[Source, ReadOptions], Reading]
"""Reads a whole source; lists what cannot be read and goes on; raises SourceError only where nothing is its format."""

Writer = Callable[[Sequence[RawSample]], dict[str, bytes]]
"""Returns label files by name; images are expected under their samples' names beside them."""

READERS: Mapping[str, Reader] = {
    "coco": coco.read,
    "deeppcb": deeppcb.read,
    "images": images.read,
    "masks": masks.read,
    "voc": voc.read,
    "yolo": yolo.read,
}

WRITERS: Mapping[str, Writer] = {
    "coco": coco.write,
    "deeppcb": deeppcb.write,
    "masks": masks.write,
    "voc": voc.write,
    "yolo": yolo.write,
}
