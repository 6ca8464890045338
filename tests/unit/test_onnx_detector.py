"""The detector against files made by hand and against plain-Python arithmetic."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests import rows
from wafergate.adapters.catalogue import load_catalogue
from wafergate.adapters.libreyolo_families import family_of
from wafergate.adapters.onnx.decode import MAX_DETECTIONS, decode, suppress
from wafergate.adapters.onnx.embedding import with_embedding
from wafergate.adapters.onnx.letterbox import PADDING, fit, letterbox
from wafergate.adapters.onnx_detector import OnnxDetector, OnnxDetectorLoader
from wafergate.adapters.training_process import require_extra
from wafergate.adapters.ultralytics import check_architecture
from wafergate.domain.models import Decoder
from wafergate.errors import ConfigError, TrainingError

pytestmark = pytest.mark.unit
SIZE = 64
sides = st.integers(1, 400)


def write_model(
    path: Path, output: NDArray[np.float32], *, batch: str | int = "batch", classes: Sequence[str] | None = None
) -> Path:
    """Write a model that returns `output`, whatever it sees, for every image of a batch."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])
    result = helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, *output.shape])
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"], end=1),
        helper.make_node("Concat", ["shape", "rest"], ["target"], axis=0),
        helper.make_node("Expand", ["constant", "target"], ["output"]),
    ]
    constants = [
        numpy_helper.from_array(output[None].astype(np.float32), "constant"),
        numpy_helper.from_array(np.array(output.shape, np.int64), "rest"),
    ]
    return save(path, helper.make_graph(nodes, "constant", [images], [result], constants), classes)


def write_probe(path: Path) -> Path:
    """Write an end-to-end model whose one score is the first channel of the input's upper left pixel."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    result = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 6])
    shape = numpy_helper.from_array(np.array([-1, 1, 1], np.int64), "column")
    starts, ends = (
        numpy_helper.from_array(np.array(value, np.int64), name) for name, value in (("a", [0] * 3), ("b", [1] * 3))
    )
    axes = numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes")
    pads = [
        numpy_helper.from_array(np.array([0, 0, before, 0, 0, after], np.int64), name)
        for name, before, after in (("pads", 4, 1), ("corner", 2, 3), ("corner2", 3, 2))
    ]
    full = numpy_helper.from_array(np.array([[[0, 0, SIZE, SIZE, 0, 0]]], np.float32), "box")
    nodes = [
        helper.make_node("Slice", ["images", "a", "b", "axes"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "column"], ["score"]),
        helper.make_node("Pad", ["score", "pads"], ["row"]),
        helper.make_node("Add", ["row", "box"], ["output"]),
    ]
    return save(path, helper.make_graph(nodes, "probe", [images], [result], [shape, starts, ends, axes, *pads, full]))


def write_pyramid(path: Path) -> Path:
    """Write an end-to-end model that halves its input, enlarges that again, and gives the maxima of both together."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    result = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 6])
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    shape = numpy_helper.from_array(np.array([-1, 1, 6], np.int64), "row")
    nodes = [
        helper.make_node("AveragePool", ["images"], ["deepest"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["deepest", "", "scales"], ["enlarged"], mode="nearest"),
        helper.make_node("Add", ["enlarged", "images"], ["neck"]),
        helper.make_node("ReduceMax", ["neck"], ["most"], axes=[2, 3], keepdims=0),
        helper.make_node("Concat", ["most", "most"], ["six"], axis=1),
        helper.make_node("Reshape", ["six", "row"], ["output"]),
    ]
    return save(path, helper.make_graph(nodes, "pyramid", [images], [result], [scales, shape]))


def save(path: Path, graph: onnx.GraphProto, classes: Sequence[str] | None = None) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if classes is not None:
        helper.set_model_props(model, {"wafergate.classes": json.dumps(list(classes))})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def end_to_end(*found: Sequence[float]) -> NDArray[np.float32]:
    return np.array(found, np.float32)


def image(width: int, height: int, value: int = 0) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


@given(sides, sides, st.booleans(), st.integers(0, 2**31))
def test_a_box_put_into_the_square_comes_back_to_its_place(width: int, height: int, centred: bool, seed: int) -> None:
    _, placement = letterbox(image(width, height), SIZE, centred=centred)
    x, y = np.sort(np.random.default_rng(seed).random((2, 2)) * [[width], [height]], axis=1)
    box = np.array([x[0], y[0], x[1], y[1]], np.float32)
    scale = np.array([placement.scale_x, placement.scale_y] * 2, np.float32)
    inside = box * scale + np.array([placement.left, placement.top] * 2, np.float32)
    assert np.allclose(placement.to_image(inside[None])[0], box, atol=1e-3 * max(width, height))


@given(sides, sides, st.booleans())
def test_the_square_holds_the_whole_image_and_grey(width: int, height: int, centred: bool) -> None:
    square, placement = letterbox(image(width, height, 7), SIZE, centred=centred)
    lies = square[..., 0] == 7
    assert square.shape == (SIZE, SIZE, 3)
    assert set(np.unique(square)) <= {7, PADDING}
    assert lies.sum() == round(width * placement.scale_x) * round(height * placement.scale_y)
    assert lies[placement.top, placement.left]
    rows_used, columns_used = np.flatnonzero(lies.any(axis=1)), np.flatnonzero(lies.any(axis=0))
    below, right = SIZE - 1 - rows_used[-1], SIZE - 1 - columns_used[-1]
    if centred:
        assert abs(placement.top - below) <= 1
        assert abs(placement.left - right) <= 1
    else:
        assert (placement.left, placement.top) == (0, 0)


@given(sides, sides)
def test_fitting_twice_changes_nothing(width: int, height: int) -> None:
    once = fit(np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8), SIZE)
    assert max(once.shape[:2]) == SIZE
    assert np.array_equal(fit(once, SIZE), once)


def test_shrinking_keeps_a_line_of_one_pixel() -> None:
    drawn = image(640, 640, 255)
    for offset in range(0, 640, 40):
        drawn[:, offset + offset // 40 % 10] = 0
    shrunk = fit(drawn, 64)[32, :, 0]
    assert (shrunk.reshape(16, 4).min(axis=1) < 240).all()


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / union) if union else 0.0


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(1, 3), st.sampled_from([0.1234567, 0.4567891, 0.8543217]), st.integers(0, 2**31))
def test_suppression_is_the_greedy_one_within_each_class(n: int, classes: int, iou: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    low = random.integers(0, 12, (n, 2))
    boxes = np.concatenate([low, low + random.integers(0, 9, (n, 2))], axis=1).astype(np.float32)
    scores, labels = random.random(n).astype(np.float32), random.integers(0, classes, n)
    expected: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(labels[i] != labels[j] or overlap(boxes[i], boxes[j]) <= iou for j in expected):
            expected.append(int(i))
    assert suppress(boxes, scores, labels, iou=iou).tolist() == expected


def test_suppression_ends_at_the_limit() -> None:
    at = np.arange(1000, dtype=np.float32)
    boxes = np.stack([at * 10, at * 0, at * 10 + 5, at * 0 + 5], axis=1)
    kept = suppress(boxes, 1 - at / 2000, np.zeros(1000, np.int64), iou=0.5)
    assert kept.tolist() == list(range(MAX_DETECTIONS))


YOLOX_ROW = [32, 16, 8, 4, 0.5, 0.2, 0.8]  # centre, size, objectness, two classes
YOLO_ROW = [32, 16, 8, 4, 0.1, 0.4]


@pytest.mark.parametrize(
    ("decoder", "raw", "score"),
    [
        (Decoder.YOLOX, np.array([YOLOX_ROW, [0] * 7], np.float32), 0.4),
        (Decoder.YOLO, np.array([YOLO_ROW, [0] * 6], np.float32).T, 0.4),
        (Decoder.END_TO_END, end_to_end([28, 14, 36, 18, 0.4, 1], [0, 0, 1, 1, 0.01, 0]), 0.4),
    ],
)
def test_each_layout_is_read_as_corners_score_and_class(
    decoder: Decoder, raw: NDArray[np.float32], score: float
) -> None:
    found = decode(decoder, raw, min_score=0.05, iou=0.6)
    assert found.boxes.tolist() == [[28, 14, 36, 18]]
    assert found.scores.tolist() == pytest.approx([score])
    assert found.classes.tolist() == [1]


def test_a_box_that_is_not_a_number_is_dropped() -> None:
    raw = np.array([[np.nan, 16, 8, 4, 1, 1], [32, 16, np.inf, 4, 1, 1], [32, 16, 8, 4, 1, 1]], np.float32)
    assert len(decode(Decoder.YOLOX, raw, min_score=0.1, iou=0.6)) == 1


@given(st.integers(0, 30), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.9]))
def test_detections_come_best_first_and_none_below_the_score(n: int, seed: int, min_score: float) -> None:
    raw = np.random.default_rng(seed).random((n, 8)).astype(np.float32) * [64, 64, 20, 20, 1, 1, 1, 1]
    found = decode(Decoder.YOLOX, raw.astype(np.float32), min_score=min_score, iou=0.6)
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores >= min_score).all()


def test_every_image_of_every_batch_gets_boxes_in_its_own_pixels(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", end_to_end([0, 16, 32, 48, 0.9, 0], [40, 20, 60, 30, 0.5, 0]))
    shapes = [(64, 64), (128, 128), (32, 16), (100, 50), (50, 100)]
    results = {}
    for batch in (1, 2, 8):
        detector = OnnxDetector(path, decoder=Decoder.END_TO_END, image_size=SIZE, classes=1, threads=1, batch=batch)
        results[batch] = detector([image(*shape) for shape in shapes], min_score=0.1)
        assert len(results[batch]) == len(shapes)
    for single, many in zip(results[1], results[8], strict=True):
        assert np.array_equal(single.boxes, many.boxes)
    assert results[2][1].boxes.tolist() == [[0, 32, 64, 96], [80, 40, 120, 60]]
    wide = results[2][3].boxes  # 100 x 50 in the middle: 16 rows of border above
    assert np.allclose(wide, [[0, 0, 50, 50], [62.5, 6.25, 93.75, 21.875]])


def test_each_image_comes_with_the_mean_of_the_deepest_map_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "m.onnx")
    before = path.read_bytes()
    detector = OnnxDetector(path, decoder=Decoder.END_TO_END, image_size=SIZE, classes=2, batch=2)
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(3)]
    found = detector(images, min_score=0.1)
    assert path.read_bytes() == before
    for item, said in zip(images, found, strict=True):
        assert said.embedding is not None
        assert said.embedding.shape == (1, 3)
        expected = item.astype(np.float64).mean(axis=(0, 1))[::-1] / 255
        assert said.embedding[0] == pytest.approx(expected, rel=1e-4)
    assert exposed(path)[0] == pytest.approx(bare(path), rel=1e-6)


def exposed(path: Path) -> tuple[NDArray[np.float32], ...]:
    changed = with_embedding(path.read_bytes())
    assert changed is not None
    return tuple(onnxruntime.InferenceSession(changed).run(None, {"images": ramp()}))


def bare(path: Path) -> NDArray[np.float32]:
    return np.asarray(onnxruntime.InferenceSession(str(path)).run(None, {"images": ramp()})[0])


def ramp() -> NDArray[np.float32]:
    return np.linspace(0, 1, 2 * 3 * SIZE * SIZE, dtype=np.float32).reshape(2, 3, SIZE, SIZE)


def test_a_model_without_a_pyramid_gives_no_embedding(tmp_path: Path) -> None:
    path = write_probe(tmp_path / "m.onnx")
    assert with_embedding(path.read_bytes()) is None
    detector = OnnxDetector(path, decoder=Decoder.END_TO_END, image_size=SIZE, classes=2)
    assert detector([image(SIZE, SIZE)], min_score=0.1)[0].embedding is None


def test_no_image_gives_no_result(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", end_to_end([0, 0, 1, 1, 0.9, 0]))
    detector = OnnxDetector(path, decoder=Decoder.END_TO_END, image_size=SIZE, classes=1)
    assert detector([], min_score=0.1) == []


def test_boxes_are_clipped_to_the_image_and_dropped_in_the_border(tmp_path: Path) -> None:
    output = end_to_end([-9, 20, 99, 99, 0.9, 0], [0, 0, 64, 15, 0.8, 0])
    detector = OnnxDetector(
        write_model(tmp_path / "m.onnx", output), decoder=Decoder.END_TO_END, image_size=SIZE, classes=1
    )
    (found,) = detector([image(64, 32)], min_score=0.1)
    assert found.boxes.tolist() == [[0, 4, 64, 32]]


@pytest.mark.parametrize(("blue", "red"), [(51, 204), (204, 51)])
def test_channels_and_scale_are_those_of_the_layout(tmp_path: Path, blue: int, red: int) -> None:
    drawn = image(SIZE, SIZE)
    drawn[..., 0], drawn[..., 2] = blue, red
    path = write_probe(tmp_path / "m.onnx")
    (found,) = OnnxDetector(path, decoder=Decoder.END_TO_END, image_size=SIZE, classes=1)([drawn], min_score=0)
    assert found.scores.tolist() == pytest.approx([red / 255])


@pytest.mark.parametrize("images", [1, 2, 3, 9])
def test_one_or_two_images_that_get_all_threads_are_told_what_each_alone_is_in_a_lot(
    tmp_path: Path, images: int
) -> None:
    path = write_probe(tmp_path / "m.onnx")
    drawn = [np.full((SIZE, SIZE + 7 * place, 3), 20 * place, np.uint8) for place in range(images)]
    plain, lot = (
        OnnxDetector(path, decoder=Decoder.END_TO_END, image_size=SIZE, classes=1, threads=4, side_by_side=wide)
        for wide in (False, True)
    )
    for mine, other in zip(lot(drawn, min_score=0), plain(drawn, min_score=0), strict=True):
        assert mine.scores.tolist() == pytest.approx(other.scores.tolist())
        assert mine.boxes == pytest.approx(other.boxes)
    assert lot([], min_score=0) == []


@pytest.mark.parametrize("bad", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)])
def test_what_is_not_an_image_of_three_bytes_is_refused(tmp_path: Path, bad: NDArray[np.uint8]) -> None:
    path = write_model(tmp_path / "m.onnx", end_to_end([0, 0, 1, 1, 0.9, 0]))
    with pytest.raises(ValueError, match=r"\(h, w, 3\) of uint8"):
        OnnxDetector(path, decoder=Decoder.END_TO_END, image_size=SIZE, classes=1)([bad], min_score=0.1)


@pytest.mark.parametrize(
    ("decoder", "size", "classes", "said"),
    [
        (Decoder.YOLOX, SIZE, 3, "8 columns on axis 2"),
        (Decoder.YOLO, SIZE, 2, "6 columns on axis 1"),
        (Decoder.YOLOX, 96, 2, "must take"),
    ],
)
def test_a_file_that_is_not_what_was_said_is_refused(
    tmp_path: Path, decoder: Decoder, size: int, classes: int, said: str
) -> None:
    path = write_model(tmp_path / "m.onnx", np.zeros((10, 7), np.float32))
    with pytest.raises(TrainingError, match=said):
        OnnxDetector(path, decoder=decoder, image_size=size, classes=classes)


def test_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", np.zeros((10, 7), np.float32), batch=1)
    with pytest.raises(TrainingError, match="free batch"):
        OnnxDetector(path, decoder=Decoder.YOLOX, image_size=SIZE, classes=2)


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_damaged_or_missing_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"m\.onnx"):
        OnnxDetector(path, decoder=Decoder.YOLOX, image_size=SIZE, classes=2)


def test_the_loader_refuses_the_file_of_another_model(tmp_path: Path) -> None:
    output = np.zeros((10, 7), np.float32)
    model = replace(rows.model("line", "a"), classes=("scratch", "particle"), image_size=SIZE, decoder=Decoder.YOLOX)
    load = OnnxDetectorLoader(threads=1)
    assert load(model, write_model(tmp_path / "plain.onnx", output)).classes is None
    assert load(model, write_model(tmp_path / "own.onnx", output, classes=model.classes)).classes == model.classes
    with pytest.raises(TrainingError, match="its file says particle, scratch"):
        load(model, write_model(tmp_path / "other.onnx", output, classes=["particle", "scratch"]))


def test_every_candidate_names_its_licences_and_an_architecture_its_backend_has() -> None:
    catalogue = load_catalogue()
    assert {candidate.backend for candidate in catalogue.values()} == {"libreyolo", "ultralytics"}
    check = {"libreyolo": family_of, "ultralytics": check_architecture}
    for name, candidate in catalogue.items():
        assert candidate.name == name
        assert candidate.code_licence
        assert candidate.weights_licence or "states no licence of the weights" in candidate.licence_source
        assert candidate.licence_source
        assert not candidate.weights
        check[candidate.backend](candidate.architecture)


@pytest.mark.parametrize("architecture", ["yolo12345z", "LibreYOLOXn", "yolo11n-seg", "../yolo11", ""])
def test_an_unknown_ultralytics_architecture_is_refused_before_anything_is_looked_for(architecture: str) -> None:
    with pytest.raises(ConfigError, match="no detector called"):
        check_architecture(architecture)


@pytest.mark.parametrize("architecture", ["LibreYOLOXz", "yolox-nano", "LibreYOLO9", ""])
def test_an_unknown_libreyolo_architecture_is_refused(architecture: str) -> None:
    with pytest.raises(ConfigError, match="LibreYOLO trains one of LibreYOLOXn"):
        family_of(architecture)


def test_a_backend_that_is_not_installed_names_its_extra() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'wafergate\[libreyolo\]'"):
        require_extra("a_module_that_nobody_has", "libreyolo")
