"""Open an exported model in ONNX Runtime or OpenVINO; what follows does not know which."""

import importlib.util
import io
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.serving import Runtime
from wafergate.errors import ConfigError, TrainingError

__all__ = ["OpenModel", "installed_runtimes", "open_model"]

Floats = NDArray[np.float32]
Shape = Sequence[int | str]
_PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model ready to compute.

    Attributes:
        takes: shape of each input; a name or -1 stands for a free axis.
        gives: output name to its shape, in the order of the file.
        metadata: what was written into the file.
        run: computes `(n, 3, size, size)` float32 into one array of each output.
    """

    takes: Sequence[Shape]
    gives: Mapping[str, Shape]
    metadata: Mapping[str, str]
    run: Callable[[Floats], list[Floats]]


def installed_runtimes() -> tuple[Runtime, ...]:
    """Return the runtimes this machine has, ONNX Runtime first; bfloat16 only where the processor computes it."""
    if importlib.util.find_spec("openvino") is None:
        return (Runtime.ONNXRUNTIME,)
    rounding = "BF16" in _openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return (Runtime.ONNXRUNTIME, Runtime.OPENVINO, *((Runtime.OPENVINO_BF16,) if rounding else ()))


def open_model(
    model: bytes, *, name: str, runtime: Runtime = Runtime.ONNXRUNTIME, threads: int = 0, streams: int = 1
) -> OpenModel:
    """Open the bytes of an ONNX file.

    On a processor, several images side by side with a thread each beat one batch with all threads: nothing waits for
    the slowest thread of a layer. One stream answers a single image soonest.

    Args:
        model: the exported file.
        name: what messages call it.
        runtime: what computes it.
        threads: CPU threads in all; 0 leaves it to the runtime.
        streams: images computed side by side, each by its share of the threads; 0 takes one for each thread.

    Raises:
        TrainingError: the bytes are no model that the runtime can open.
        ConfigError: the runtime is not installed.
    """
    streams = min(streams or threads or _cores(), threads or _cores())
    opener = _in_onnxruntime if runtime is Runtime.ONNXRUNTIME else _in_openvino
    if opener is _in_openvino and importlib.util.find_spec("openvino") is None:
        message = (
            f"[hardware.serve] runtime {runtime.value!r} needs the package openvino: "
            "pip install 'wafergate[serve]', or set runtime = 'onnxruntime'"
        )
        raise ConfigError(message)
    try:
        return opener(model, threads, streams, runtime)
    except Exception as error:  # their errors share no base class but this one
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        title = "ONNX Runtime" if runtime is Runtime.ONNXRUNTIME else "OpenVINO"
        message = f"{name} must be an ONNX model, but {title} cannot open it: {reason}"
        raise TrainingError(message) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_onnxruntime(model: bytes, threads: int, streams: int, _runtime: Runtime) -> OpenModel:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads if streams == 1 else max(1, (threads or _cores()) // streams)
    options.log_severity_level = 3  # a warning for each constant it folds is of no use to anybody
    providers = [name for name in _PREFERRED if name in onnxruntime.get_available_providers()]
    if "CUDAExecutionProvider" in providers:
        streams = 1  # a card wants the batch whole
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    fed_as = inputs[0].name
    pool = ThreadPoolExecutor(streams) if streams > 1 else None

    def whole(fed: Floats) -> list[Floats]:
        return [np.asarray(item, np.float32) for item in session.run(None, {fed_as: fed})]

    def side_by_side(fed: Floats) -> list[Floats]:
        if pool is None or len(fed) == 1:
            return whole(fed)
        each = list(pool.map(whole, np.split(fed, len(fed))))
        return [np.concatenate(items) for items in zip(*each, strict=True)]

    return OpenModel(
        takes=[item.shape for item in inputs],
        gives={item.name: item.shape for item in outputs},
        metadata=session.get_modelmeta().custom_metadata_map,
        run=side_by_side,
    )


def _openvino_core() -> Any:
    import openvino  # only its converter, which is not used here, reports to its makers

    return openvino.Core()


def _in_openvino(model: bytes, threads: int, streams: int, runtime: Runtime) -> OpenModel:
    import onnx
    import openvino

    core = _openvino_core()
    read = core.read_model(io.BytesIO(model))
    takes = [_shape(item) for item in read.inputs]
    gives = {next(iter(item.names)): _shape(item) for item in read.outputs}
    if len(takes) == 1:
        read.reshape([1, *takes[0][1:]])
    precision = "bf16" if runtime is Runtime.OPENVINO_BF16 else "f32"
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
    queue = openvino.AsyncInferQueue(core.compile_model(read, "CPU", settings), streams)
    places = range(len(gives))

    def run(fed: Floats) -> list[Floats]:
        each: list[list[Floats]] = [[] for _ in fed]

        def keep(request: Any, place: int) -> None:
            each[place] = [np.array(request.get_output_tensor(output).data, np.float32) for output in places]

        queue.set_callback(keep)
        for place in range(len(fed)):
            queue.start_async({0: fed[place : place + 1]}, place)
        queue.wait_all()
        return [np.concatenate(items) for items in zip(*each, strict=True)]

    written = {item.key: item.value for item in onnx.load_model_from_string(model).metadata_props}
    return OpenModel(takes, gives, written, run)


def _shape(port: Any) -> list[int | str]:
    return [axis.get_length() if axis.is_static else -1 for axis in port.get_partial_shape()]
