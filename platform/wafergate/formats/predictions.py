"""Raw predictions as Parquet: every figure of an evaluation can be computed again from them.

One row an image, in the order of the set: `name` and `detections`, a list of class index, score and box. An image
without detection is a row with an empty list. The class names stand in the file's metadata.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections
from wafergate.errors import StorageError

__all__ = ["Predictions", "iterate_predictions", "read_predictions", "write_predictions"]

_CLASSES = b"wafergate.classes"
_ROW_GROUP = 1000  # images: some megabytes at 300 detections each
_CORNERS = ("x1", "y1", "x2", "y2")
_DETECTION = pa.struct(
    [("defect_class", pa.int32()), ("score", pa.float32()), *((corner, pa.float32()) for corner in _CORNERS)]
)
_SCHEMA = pa.schema([("name", pa.string()), ("detections", pa.list_(_DETECTION))])


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Raw predictions of a set of images.

    Attributes:
        names: of the images, in the order of the set.
        detections: of every image, down to the lowest score.
        classes: defect classes in the order of their indices.
    """

    names: tuple[str, ...]
    detections: tuple[Detections, ...]
    classes: tuple[str, ...]


def write_predictions(names: Sequence[str], detections: Sequence[Detections], classes: Sequence[str]) -> bytes:
    """Return predictions as a Parquet file; the same predictions give the same bytes.

    Args:
        names: of the images.
        detections: of the same images in the same order.
        classes: defect classes in the order of their indices.

    Raises:
        ValueError: names and detections differ in length.
    """
    if len(names) != len(detections):
        message = f"every image needs its detections, found {len(names)} names and {len(detections)} detections"
        raise ValueError(message)
    schema = _SCHEMA.with_metadata({_CLASSES: json.dumps(list(classes)).encode()})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:
        for start in range(0, len(names), _ROW_GROUP):
            end = start + _ROW_GROUP
            columns = [pa.array(names[start:end], pa.string()), _lists(detections[start:end])]
            writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=_ROW_GROUP)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _lists(detections: Sequence[Detections]) -> Any:
    offsets = np.zeros(len(detections) + 1, dtype=np.int32)
    np.cumsum([len(item) for item in detections], out=offsets[1:])
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(item.boxes for item in detections)])
    columns = [
        np.concatenate([np.zeros(0, np.int32), *(item.classes.astype(np.int32) for item in detections)]),
        np.concatenate([np.zeros(0, np.float32), *(item.scores for item in detections)]),
        *(np.ascontiguousarray(boxes[:, corner]) for corner in range(4)),
    ]
    values = pa.StructArray.from_arrays([pa.array(column) for column in columns], fields=list(_DETECTION))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=pa.list_(_DETECTION))


def iterate_predictions(content: bytes) -> Iterator[Predictions]:
    """Yield the predictions of a Parquet file part by part, a thousand images each, in the order of the set.

    Raises:
        StorageError: the bytes are no file of raw predictions.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        classes = _classes(file)
        for group in range(file.num_row_groups):
            for batch in file.read_row_group(group).to_batches():
                yield Predictions(tuple(batch.column("name").to_pylist()), _detections(batch), classes)
    except (pa.ArrowException, OSError, json.JSONDecodeError) as error:
        message = f"a Parquet file of raw predictions was expected, found something else: {error}"
        raise StorageError(message) from error


def _classes(file: Any) -> tuple[str, ...]:
    metadata = file.schema_arrow.metadata or {}
    found = file.schema_arrow.remove_metadata()
    if _CLASSES not in metadata or found.names != _SCHEMA.names:
        message = f"raw predictions need columns {', '.join(_SCHEMA.names)} and their classes, found {found.names}"
        raise StorageError(message)
    return tuple(json.loads(metadata[_CLASSES]))


def _detections(batch: Any) -> tuple[Detections, ...]:
    lists = batch.column("detections")
    values = lists.flatten()
    columns: list[NDArray[np.float32]] = [values.field(name).to_numpy() for name in ("score", *_CORNERS)]
    classes: NDArray[np.int64] = values.field("defect_class").to_numpy().astype(np.int64)
    boxes = np.stack(columns[1:], axis=1)
    bounds = (lists.offsets.to_numpy() - lists.offsets[0].as_py()).tolist()
    return tuple(
        Detections(boxes[first:last], columns[0][first:last], classes[first:last])
        for first, last in itertools.pairwise(bounds)
    )


def read_predictions(content: bytes) -> Predictions:
    """Return all predictions of a Parquet file.

    Raises:
        StorageError: the bytes are no file of raw predictions.
    """
    parts = list(iterate_predictions(content))
    classes = parts[0].classes if parts else _classes(pq.ParquetFile(pa.BufferReader(content)))
    return Predictions(
        tuple(name for part in parts for name in part.names),
        tuple(item for part in parts for item in part.detections),
        classes,
    )
