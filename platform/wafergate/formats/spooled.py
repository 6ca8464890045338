"""Samples as readers find them, on disk."""

from collections.abc import Iterable, Mapping
from typing import Any

from wafergate.domain.geometry import Box
from wafergate.domain.samples import RawBox, RawSample
from wafergate.spool import Spool

__all__ = ["spooled"]


def spooled(samples: Iterable[RawSample] = (), *, ordered: bool = False) -> Spool[RawSample]:
    """Return samples that lie on disk, found again by name; `ordered` goes through them in the order of their names."""
    return Spool(samples, key=_name, ordered=ordered, pack=_packed, unpack=_unpacked)


def _name(sample: RawSample) -> str:
    return sample.name


def _packed(sample: RawSample) -> tuple[Any, ...]:
    # As plain values, because value objects are pickled by Python code: that takes four times as long.
    boxes = [(item.label, item.box.as_tuple(), item.polygon) for item in sample.boxes]
    return sample.name, boxes, sample.reference, sample.size, dict(sample.metadata), sample.has_row


def _unpacked(values: tuple[Any, ...]) -> RawSample:
    name, boxes, reference, size, metadata, has_row = values
    drawn = tuple(RawBox(label, Box(*corners), polygon) for label, corners, polygon in boxes)
    found: Mapping[str, str] = metadata
    return RawSample(name, drawn, reference, size, found, has_row)
