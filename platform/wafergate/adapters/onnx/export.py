"""Write a trained PyTorch module as ONNX and prove that the file computes the same."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.models import Decoder
from wafergate.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["METADATA_PREFIX", "export_module"]

METADATA_PREFIX = "wafergate."
OPSET = 17
TOLERANCE = 1e-3
"""Of a raw output, relative to its largest magnitude: float32 convolutions in another order differ by far less."""


def export_module(module: "nn.Module", target: Path, *, decoder: Decoder, image_size: int, classes: list[str]) -> None:
    """Write a module as ONNX: fixed square input, free batch axis, one output, what is needed to read it as metadata.

    The bytes depend on weights and library versions alone: no date, path or name of a machine enters the file.

    Args:
        module: takes `(n, 3, size, size)` float32 and returns one tensor.
        target: the file to write.
        decoder: how its output is laid out.
        image_size: side of the input, pixels.
        classes: defect classes in the order of their indices.

    Raises:
        TrainingError: the file does not compute what the module computes.
    """
    import onnx
    import torch

    module = module.to("cpu").float().eval()
    probe = torch.from_numpy(_probe(2, image_size))
    with torch.inference_mode():
        expected = module(probe).numpy()
    with torch.no_grad():
        torch.onnx.export(
            module,
            (probe,),  # a batch of 2: a batch of 1 would let an axis be dropped without notice
            str(target),
            dynamo=False,  # the other exporter needs onnxscript and writes stack traces with paths into the file
            opset_version=OPSET,
            input_names=["images"],
            output_names=["output"],
            dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        )
    graph = onnx.load(str(target))
    onnx.helper.set_model_props(
        graph,
        {
            f"{METADATA_PREFIX}decoder": decoder.value,
            f"{METADATA_PREFIX}image_size": str(image_size),
            f"{METADATA_PREFIX}classes": json.dumps(classes),
        },
    )
    # tracing leaves axes symbolic where a view was computed from the batch; only the batch is free
    for axis, length in zip(graph.graph.output[0].type.tensor_type.shape.dim[1:], expected.shape[1:], strict=True):
        axis.dim_value = length
    onnx.checker.check_model(graph)
    onnx.save(graph, str(target))
    _compare(target, probe.numpy(), expected, decoder)


def _probe(batch: int, size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((batch, 3, size, size), np.float32)


def _compare(target: Path, probe: NDArray[np.float32], expected: NDArray[Any], decoder: Decoder) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": probe})
    if found.shape != expected.shape:
        message = f"the exported model returns {found.shape} for a batch of 2, the trained one {expected.shape}"
        raise TrainingError(message)
    unordered = decoder is Decoder.END_TO_END
    apart = _rows_apart(found, expected) if unordered else float(np.abs(found - expected).max())
    error = apart / max(1.0, float(np.abs(expected).max()))
    if not error <= TOLERANCE:
        message = (
            f"the exported model must agree with the trained one to {TOLERANCE:g} of its range, found {error:.2g}; "
            "train again, and report the library versions if it stays so"
        )
        raise TrainingError(message)


def _rows_apart(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return how far the rows `(n, detections, 6)` lie from their nearest, whatever their order.

    Queries that score almost alike change places, and one that ranks just beyond the last may take its place: the
    furthest 2 in 100 are left out.
    """
    apart = [np.abs(one[:, None] - other[None]).max(axis=2) for one, other in zip(found, expected, strict=True)]
    nearest = np.concatenate([side for each in apart for side in (each.min(axis=0), each.min(axis=1))])
    return float(np.quantile(nearest, 0.98))
