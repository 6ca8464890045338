"""Open an exported model in ONNX Runtime or OpenVINO; what follows does not know which."""

import contextlib
import importlib.util
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.devices import card_numbers
from wafergate.domain.serving import Runtime
from wafergate.errors import ConfigError, HardwareError, TrainingError

__all__ = ["OpenModel", "installed_runtimes", "loads_cuda", "open_model"]

Floats = NDArray[np.float32]
Shape = Sequence[int | str]
_CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model ready to compute.

    Attributes:
        takes: shape of each input; a name or -1 stands for a free axis.
        gives: output name to its shape, in the order of the file.
        metadata: what was written into the file.
        run: computes `(n, 3, size, size)` float32 into one array of each output; safe to call from several threads.
        lanes: how many images are computed fastest side by side, each a call of its own from a thread of its own;
            0 where a batch is taken whole.
    """

    takes: Sequence[Shape]
    gives: Mapping[str, Shape]
    metadata: Mapping[str, str]
    run: Callable[[Floats], list[Floats]]
    lanes: int


def installed_runtimes(device: str = "auto") -> tuple[Runtime, ...]:
    """Return the runtimes this machine has, ONNX Runtime first; bfloat16 only where the processor computes it.

    Args:
        device: as in `wafergate.domain.devices`; OpenVINO computes on the processor alone.
    """
    if card_numbers(device) or device == "cuda:all" or importlib.util.find_spec("openvino") is None:
        return (Runtime.ONNXRUNTIME,)
    rounding = "BF16" in _openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return (Runtime.ONNXRUNTIME, Runtime.OPENVINO, *((Runtime.OPENVINO_BF16,) if rounding else ()))


@cache
def loads_cuda() -> bool:
    """Tell whether ONNX Runtime computes on this machine's cards: built for them, and with what CUDA needs in reach.

    A build for cards names CUDA whether or not its libraries can be loaded, so a model of one node is opened on it.
    """
    import onnxruntime
    from onnx import TensorProto, helper

    if _CUDA not in onnxruntime.get_available_providers():
        return False
    _preload_cuda()
    takes, gives = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "one", [takes], [gives])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    providers = [_CUDA, "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    return _CUDA in session.get_providers()


@cache
def _preload_cuda() -> None:
    """Load CUDA's libraries from where pip installs them; ONNX Runtime looks there only when it is asked to."""
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        onnxruntime.preload_dlls()


def open_model(
    model: bytes,
    *,
    name: str,
    runtime: Runtime = Runtime.ONNXRUNTIME,
    device: str = "auto",
    threads: int = 0,
    side_by_side: bool = False,
) -> OpenModel:
    """Open the bytes of an ONNX file.

    On a processor, several images side by side with a thread each beat one batch with all threads: nothing waits for
    the slowest thread of a layer. A single image is answered soonest by all threads.

    Args:
        model: the exported file.
        name: what messages call it.
        runtime: what computes it.
        device: as in `wafergate.domain.devices`; `auto` takes a card where ONNX Runtime has one.
        threads: CPU threads in all; 0 leaves it to the runtime.
        side_by_side: whether many images are to come, and each is to be computed by one thread; a card wants
            batches whole all the same.

    Raises:
        TrainingError: the bytes are no model that the runtime can open.
        ConfigError: the runtime is not installed.
        HardwareError: a card is asked for, and this runtime has none.
    """
    lanes = (threads or _cores()) if side_by_side else 0
    providers = _providers(device, runtime)
    opener = partial(_in_onnxruntime, device, providers) if runtime is Runtime.ONNXRUNTIME else _in_openvino
    if opener is _in_openvino and importlib.util.find_spec("openvino") is None:
        message = (
            f"[hardware.serve] runtime {runtime.value!r} needs the package openvino: "
            "pip install 'wafergate[serve]', or set runtime = 'onnxruntime'"
        )
        raise ConfigError(message)
    try:
        return opener(model, threads, lanes, runtime)
    except HardwareError:
        raise
    except Exception as error:  # their errors share no base class but this one
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        title = "ONNX Runtime" if runtime is Runtime.ONNXRUNTIME else "OpenVINO"
        message = f"{name} must be an ONNX model, but {title} cannot open it: {reason}"
        raise TrainingError(message) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _providers(device: str, runtime: Runtime) -> list[tuple[str, dict[str, str]]]:
    """Return what ONNX Runtime computes with, first choice first."""
    import onnxruntime

    numbers = card_numbers(device)
    wanted, there = numbers != (), runtime is Runtime.ONNXRUNTIME and _CUDA in onnxruntime.get_available_providers()
    if wanted and device != "auto" and not there:
        message = (
            f"[hardware.serve] device = {device!r} needs a CUDA card and a build of ONNX Runtime that computes on it "
            f"(onnxruntime-gpu); {runtime.value} here has none: set device = 'auto' or 'cpu'"
        )
        raise HardwareError(message)
    card = [(_CUDA, {"device_id": str(numbers[0] if numbers else 0)})] if wanted and there else []
    if card:
        _preload_cuda()
    return [*card, ("CPUExecutionProvider", {})]


def _in_onnxruntime(
    device: str,
    providers: list[tuple[str, dict[str, str]]],
    model: bytes,
    threads: int,
    lanes: int,
    runtime: Runtime,
) -> OpenModel:
    import onnxruntime

    own_threads = lanes if len(providers) == 1 else 0
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if own_threads else threads
    options.log_severity_level = 3  # a warning for each constant it folds is of no use to anybody
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    if len(providers) > 1 and _CUDA not in session.get_providers():
        # built for cards, but a library of CUDA's is missing: it computes on the processor and says so in its log alone
        if device != "auto":
            message = (
                f"[hardware.serve] device = {device!r} needs CUDA and cuDNN as this onnxruntime-gpu was built for, but "
                "it cannot load them here; install them, or set device = 'auto' or 'cpu'"
            )
            raise HardwareError(message)
        return _in_onnxruntime(device, providers[1:], model, threads, lanes, runtime)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    fed_as = inputs[0].name

    def run(fed: Floats) -> list[Floats]:
        return [np.asarray(item, np.float32) for item in session.run(None, {fed_as: fed})]

    return OpenModel(
        takes=[item.shape for item in inputs],
        gives={item.name: item.shape for item in outputs},
        metadata=session.get_modelmeta().custom_metadata_map,
        run=run,
        lanes=own_threads,
    )


_FIRST_ASKED = Lock()


def _openvino_core() -> Any:
    import openvino  # only its converter, which is not used here, reports to its makers

    # Its table of numpy's types is made when the first type is asked for: two threads that ask at once, as the lanes of
    # the first images do, wait for each other for ever (seen with 2026.4).
    with _FIRST_ASKED:
        openvino.Type.f32.to_dtype()
    return openvino.Core()


def _in_openvino(model: bytes, threads: int, lanes: int, runtime: Runtime) -> OpenModel:
    import onnx

    core = _openvino_core()
    read = core.read_model(io.BytesIO(model))
    takes = [_shape(item) for item in read.inputs]
    gives = {next(iter(item.names)): _shape(item) for item in read.outputs}
    if len(takes) == 1:
        read.reshape([1, *takes[0][1:]])
    precision = "bf16" if runtime is Runtime.OPENVINO_BF16 else "f32"
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": lanes or 1}
    compiled = core.compile_model(read, "CPU", settings)
    free: SimpleQueue[Any] = SimpleQueue()  # a request for each thread that computes; more than lanes wait inside

    def alone(fed: Floats) -> list[Floats]:
        try:
            request = free.get_nowait()
        except Empty:
            request = compiled.create_infer_request()
        request.infer({0: fed}, share_inputs=True)
        found = [np.array(request.get_output_tensor(place).data, np.float32) for place in range(len(gives))]
        free.put(request)
        return found

    def run(fed: Floats) -> list[Floats]:
        each = [alone(fed[place : place + 1]) for place in range(len(fed))]
        return each[0] if len(each) == 1 else [np.concatenate(items) for items in zip(*each, strict=True)]

    written = {item.key: item.value for item in onnx.load_model_from_string(model).metadata_props}
    return OpenModel(takes, gives, written, run, lanes)


def _shape(port: Any) -> list[int | str]:
    return [axis.get_length() if axis.is_static else -1 for axis in port.get_partial_shape()]
