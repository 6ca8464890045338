"""What computes the champion: every runtime says what the judging one says, or it is not chosen."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests import rows
from tests.unit.small_line import line_of, parts_in
from wafergate.adapters.onnx.decode import INPUTS, InputForm
from wafergate.adapters.onnx.letterbox import letterbox
from wafergate.adapters.onnx.run import _feed, detect_batch
from wafergate.adapters.onnx.runtimes import installed_runtimes, open_model
from wafergate.adapters.onnx_detector import serving_loaders
from wafergate.domain.evaluation import Detections
from wafergate.domain.models import Channels, Decoder
from wafergate.domain.samples import Sample
from wafergate.domain.serving import (
    Agreement,
    Runtime,
    RuntimeChoice,
    RuntimeFigures,
    ServeProfile,
    compare_runtimes,
    fastest,
)
from wafergate.domain.splits import Side, SplitMember
from wafergate.errors import ConfigError, HardwareError, TrainingError
from wafergate.jobs.parts import Parts
from wafergate.jobs.serve import choose_runtime, serving_detector
from wafergate.line import LineFile
from wafergate.ports import Detector

pytestmark = pytest.mark.unit
SIDE = 32
ONE = Detections(np.array([[4, 4, 20, 20]], np.float32), np.array([0.7], np.float32), np.array([0]))


@pytest.fixture(scope="module")
def network() -> bytes:
    """Return a model of two convolutions, its mean a second output."""
    random = np.random.default_rng(0)
    weights = [random.normal(0, 0.3, shape).astype(np.float32) for shape in ((8, 3, 3, 3), (6, 8, 3, 3))]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "a"], ["x"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["x"], ["y"]),
            helper.make_node("Conv", ["y", "b"], ["output"], pads=[1, 1, 1, 1]),
            helper.make_node("GlobalAveragePool", ["output"], ["mean"]),
        ],
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 6, SIDE, SIDE]),
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch", 6, 1, 1]),
        ],
        [numpy_helper.from_array(item, name) for item, name in zip(weights, "ab", strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"made": "here"})
    onnx.checker.check_model(model)
    return model.SerializeToString()


MANY_FIRST = """
import sys, threading
import numpy as np
from pathlib import Path
from wafergate.adapters.onnx.runtimes import open_model
from wafergate.domain.serving import Runtime

sys.setswitchinterval(1e-5)
model, runtime = Path(sys.argv[1]).read_bytes(), Runtime(sys.argv[2])
opened = open_model(model, name="m", runtime=runtime, threads=2, side_by_side=True)
start = threading.Barrier(16)


def first(place):
    start.wait()
    for _ in range(50 * place):  # so that some arrive while another is inside
        pass
    opened.run(np.zeros((1, 3, 32, 32), np.float32))


threads = [threading.Thread(target=first, args=(place,)) for place in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_the_first_images_may_come_from_many_threads_at_once(network: bytes, runtime: Runtime, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(network)
    for _ in range(2):  # each in a process that has not asked before
        subprocess.run([sys.executable, "-c", MANY_FIRST, str(model), runtime], check=True, timeout=60)


@pytest.mark.parametrize("runtime", installed_runtimes())
@pytest.mark.parametrize("side_by_side", [False, True])
def test_every_runtime_computes_what_onnx_runtime_computes(
    network: bytes, runtime: Runtime, side_by_side: bool
) -> None:
    fed = np.random.default_rng(1).random((5, 3, SIDE, SIDE), np.float32)
    judged = open_model(network, name="m", threads=1)
    opened = open_model(network, name="m", runtime=runtime, threads=2, side_by_side=side_by_side)
    assert opened.lanes == (2 if side_by_side else 0)
    assert list(opened.gives) == list(judged.gives) == ["output", "mean"]
    assert opened.metadata == judged.metadata == {"made": "here"}
    tolerance = 0.05 if runtime is Runtime.OPENVINO_BF16 else 1e-5
    for found, expected in zip(opened.run(fed), judged.run(fed), strict=True):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_an_image_gets_the_same_answer_whatever_stands_beside_it(network: bytes, runtime: Runtime) -> None:
    fed = np.random.default_rng(2).random((7, 3, SIDE, SIDE), np.float32)
    opened = open_model(network, name="m", runtime=runtime, threads=2, side_by_side=True)
    (together, _), alone = opened.run(fed), [opened.run(fed[place : place + 1])[0] for place in range(7)]
    assert np.allclose(together, np.concatenate(alone), atol=1e-6)
    with ThreadPoolExecutor(4) as pool:
        crowded = [item[0] for item in pool.map(opened.run, np.split(np.repeat(fed, 20, axis=0), 140))]
    assert np.array_equal(np.concatenate(crowded), np.repeat(np.concatenate(alone), 20, axis=0)), "threads mixed"


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_what_is_no_model_is_refused_by_name(runtime: Runtime) -> None:
    with pytest.raises(TrainingError, match=r"m\.onnx must be an ONNX model"):
        open_model(b"not a model", name="m.onnx", runtime=runtime)


@pytest.mark.parametrize("runtime", installed_runtimes())
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cuda:all"])
def test_a_card_that_is_asked_for_and_not_there_is_no_processor_in_silence(
    network: bytes, runtime: Runtime, device: str
) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's ONNX Runtime computes on a card")
    with pytest.raises(HardwareError, match=rf"device = '{device}' needs a CUDA card .* set device = 'auto' or 'cpu'"):
        open_model(network, name="m", runtime=runtime, device=device)
    assert installed_runtimes(device) == (Runtime.ONNXRUNTIME,)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_runtime_for_cards_whose_libraries_are_missing_is_no_processor_in_silence(
    network: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's ONNX Runtime computes on a card")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(HardwareError, match=r"device = 'cuda:0' needs CUDA and cuDNN .* cannot load them here"):
        open_model(network, name="m", device="cuda:0")
    assert open_model(network, name="m", threads=2, side_by_side=True).lanes == 2, "on the processor, as without a card"


def test_the_serve_profile_says_where_and_on_how_many_threads() -> None:
    loaders = serving_loaders(ServeProfile(device="cpu", threads=3))
    assert {(load.device, load.threads) for load in loaders.values()} == {("cpu", 3)}
    assert {load.threads for load in serving_loaders(ServeProfile(threads=3), most=2).values()} == {2}
    assert {load.threads for load in serving_loaders(ServeProfile(), most=2).values()} == {2}
    assert {load.threads for load in serving_loaders(ServeProfile()).values()} == {0}


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_pixels_enter_as_opencv_would_write_them(reverse: bool, scale: float) -> None:
    square = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    target = np.empty((3, SIDE, SIDE), np.float32)
    _feed(square, target, InputForm(scale=scale, reverse_channels=reverse, centred=True))
    assert np.allclose(target, cv2.dnn.blobFromImages([square], scale, swapRB=reverse)[0], rtol=2e-7, atol=0)


@given(st.integers(1, 90), st.integers(1, 90), st.booleans(), st.sampled_from(list(Decoder)))
def test_pixels_and_border_enter_as_the_letterboxed_square_does_to_the_last_bit(
    width: int, height: int, cut: bool, decoder: Decoder
) -> None:
    image = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = image[: height // 2 + 1, width // 3 :] if cut else image
    image.flags.writeable = cut
    form, target = INPUTS[decoder], np.empty((3, SIDE, SIDE), np.float32)
    square, placement = letterbox(image, SIDE, centred=form.centred)
    assert _feed(image, target, form) == placement
    shown = square[..., ::-1] if form.reverse_channels else square
    assert np.array_equal(target, (shown.transpose(2, 0, 1) * form.scale).astype(np.float32))


def test_an_image_leaves_nothing_to_the_next_one() -> None:
    """Both are written into the same memory, and neither fills the square."""
    random, seen = np.random.default_rng(7), []
    tall, wide = (random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((SIDE, 9), (9, SIDE)))

    def forward(fed: NDArray[np.float32]) -> tuple[NDArray[np.float32], None]:
        seen.append(fed.copy())
        return np.zeros((len(fed), 0, 6), np.float32), None

    for shown in ([tall], [wide], [wide, tall], [tall, wide], [tall]):
        detect_batch(forward, shown, decoder=Decoder.END_TO_END, image_size=SIDE, min_score=0.5)
    one, other, both, turned, again = seen
    assert np.array_equal(both, np.concatenate([other, one]))
    assert np.array_equal(turned, both[::-1])
    assert np.array_equal(one, again)


@given(st.integers(1, 90), st.integers(1, 90), st.booleans(), st.sampled_from(list(Decoder)))
def test_a_channel_shown_three_times_enters_as_three_equal_channels(
    width: int, height: int, cut: bool, decoder: Decoder
) -> None:
    grey = np.random.default_rng(width * height).integers(0, 256, (height, width), dtype=np.uint8)
    shown = np.broadcast_to(grey[..., None], (height, width, 3))[: height // 2 + 1 if cut else height]
    once, thrice = np.empty((2, 3, SIDE, SIDE), np.float32)
    placed = _feed(shown, once, INPUTS[decoder])
    assert placed == _feed(np.ascontiguousarray(shown), thrice, INPUTS[decoder])
    assert np.array_equal(once, thrice)


@given(st.floats(-0.06, 0.06), st.integers(0, 8))
def test_runtimes_agree_up_to_two_hundredths_of_score_and_a_tenth_of_overlap(change: float, shift: int) -> None:
    other = replace(ONE, boxes=ONE.boxes + np.float32([shift, 0, shift, 0]), scores=ONE.scores + np.float32(change))
    found = compare_runtimes([ONE], [other], [0.6])
    overlap = (16 - shift) / (16 + shift)
    agrees = abs(float(other.scores[0] - ONE.scores[0])) <= 0.02 and overlap >= 0.9
    assert (found.differing == 0) == agrees
    assert compare_runtimes([other], [ONE], [0.6]).differing == found.differing


def test_rounding_at_the_threshold_is_no_difference_and_a_lost_detection_is() -> None:
    just_below = replace(ONE, scores=np.array([0.695], np.float32))
    assert compare_runtimes([ONE], [just_below], [0.699]).differing == 0
    assert compare_runtimes([ONE], [Detections.empty()], [0.69]).differing == 1
    assert compare_runtimes([Detections.empty()], [ONE], [0.69]).differing == 1
    assert compare_runtimes([Detections.empty()], [ONE], [0.8]) == Agreement(0, 0, 0.0), "what does not count"


def test_the_fastest_that_agrees_is_chosen() -> None:
    same, other = Agreement(10, 0, 0.01), Agreement(10, 1, 0.01)
    judge = RuntimeFigures(Runtime.ONNXRUNTIME, 40, same)
    assert fastest([judge, RuntimeFigures(Runtime.OPENVINO, 50, same)]) is Runtime.OPENVINO
    assert fastest([judge, RuntimeFigures(Runtime.OPENVINO, 50, other)]) is Runtime.ONNXRUNTIME
    assert fastest([judge, RuntimeFigures(Runtime.OPENVINO, 0, same, "cannot open it")]) is Runtime.ONNXRUNTIME
    nothing = RuntimeFigures(Runtime.OPENVINO, 50, Agreement(0, 0, 0.0))
    assert fastest([judge, nothing]) is Runtime.ONNXRUNTIME, "nothing was detected that could differ"


def _saying(said: Detections, seconds: float) -> Callable[[object, Path], Detector]:
    def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        time.sleep(seconds)
        return [said for _ in images]

    return lambda _model, _onnx: detect


def _refusing(_model: object, _onnx: Path) -> Detector:
    message = "no such operator"
    raise TrainingError(message)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    made = parts_in(tmp_path)
    digest = made.files.put(made.encode(np.zeros((8, 8, 3), np.uint8)))
    onnx_digest = made.files.put(b"a model")
    sample = Sample("data-dies", 0, "a.png", digest, None, 8, 8, (), {})
    made.facts.save(rows.dataset("dies"), [sample])
    made.facts.save(rows.split("dies"), [SplitMember("split-dies", 0, "a.png", Side.VALIDATION, "a", digest)])
    made.facts.save(replace(rows.model("dies", "a"), onnx=onnx_digest, channels=Channels.IMAGE))
    return made


def _line(runtime: str = "auto") -> LineFile:
    line = line_of()
    serve = replace(line.hardware.serve, runtime=Runtime(runtime))
    return line.model_copy(update={"hardware": line.hardware.model_copy(update={"serve": serve})})


def test_a_machine_is_measured_once_and_a_fast_runtime_that_says_something_else_stays_out(parts: Parts) -> None:
    (model,) = parts.facts.find(type(rows.model("dies", "a")))
    loaders = {
        Runtime.ONNXRUNTIME: _saying(ONE, 0.02),
        Runtime.OPENVINO: _saying(ONE, 0.002),
        Runtime.OPENVINO_BF16: _saying(Detections.empty(), 0.0),
    }
    made = replace(parts, runtimes=lambda _serve: loaders)
    first = choose_runtime(made, _line(), model)
    row = parts.facts.get(RuntimeChoice, first.id)
    assert row.chosen is Runtime.OPENVINO
    assert [item.agreement.differing for item in row.measured] == [0, 0, 1]
    assert all(item.images_per_s > 0 for item in row.measured)
    assert choose_runtime(made, _line(), model) == (first.id, True)
    assert serving_detector(made, _line("onnxruntime"), model)([], min_score=0.5) == []
    alone = replace(parts, runtimes=lambda _serve: {Runtime.ONNXRUNTIME: _saying(ONE, 0.0)})
    with pytest.raises(ConfigError, match="auto, onnxruntime; found 'openvino'"):
        serving_detector(alone, _line("openvino"), model)


def test_a_runtime_that_cannot_open_the_model_is_told_and_the_judging_one_must(parts: Parts) -> None:
    (model,) = parts.facts.find(type(rows.model("dies", "a")))
    loaders = {Runtime.ONNXRUNTIME: _saying(ONE, 0.0), Runtime.OPENVINO: _refusing}
    row_id = choose_runtime(replace(parts, runtimes=lambda _serve: loaders), _line(), model).id
    row = parts.facts.get(RuntimeChoice, row_id)
    assert (row.chosen, row.measured[1].refused) == (Runtime.ONNXRUNTIME, "no such operator")
    broken = {Runtime.ONNXRUNTIME: _refusing, Runtime.OPENVINO: _saying(ONE, 0.0)}
    elsewhere = replace(parts, runtimes=lambda _serve: broken, machine=lambda _device, _backend: "another machine")
    with pytest.raises(TrainingError, match="no such operator"):
        choose_runtime(elsewhere, _line(), model)


def test_a_runtime_that_rounds_is_never_taken_by_itself_however_fast(parts: Parts) -> None:
    (model,) = parts.facts.find(type(rows.model("dies", "a")))
    loaders = {
        Runtime.ONNXRUNTIME: _saying(ONE, 0.02),
        Runtime.OPENVINO: _saying(Detections.empty(), 0.0),
        Runtime.OPENVINO_BF16: _saying(ONE, 0.0),
    }
    row = parts.facts.get(
        RuntimeChoice, choose_runtime(replace(parts, runtimes=lambda _serve: loaders), _line(), model).id
    )
    assert [item.agreement.differing for item in row.measured] == [0, 1, 0]
    assert row.chosen is Runtime.ONNXRUNTIME
