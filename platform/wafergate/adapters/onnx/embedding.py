"""Read an embedding from an exported detector: one vector an image, out of the same forward pass."""

from typing import Final

__all__ = ["EMBEDDING", "with_embedding"]

EMBEDDING: Final = "wafergate.embedding"
_UPSAMPLING: Final = ("Resize", "Upsample")


def with_embedding(model: bytes) -> bytes | None:
    """Return an ONNX model that also gives the mean over space of its deepest backbone feature map.

    The detectors exported here are feature pyramids (Lin et al. 2017): a backbone that halves the resolution step by
    step, then a neck that begins by enlarging the deepest map. What the first enlarging node takes, in the order of
    computation, is therefore that map, whatever the architecture calls it; taken by its place and not by its name, it
    is found in YOLOX, YOLOv8, YOLO11 and YOLO26 alike.

    Args:
        model: the bytes of the exported file; they are copied, never changed.

    Returns:
        The same model with a second output `EMBEDDING` `(batch, channels)` float32; None where nothing in it is
        enlarged, or the bytes are no ONNX model at all, which whoever opens them will say.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, helper

    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError:
        return None
    graph = proto.graph
    deepest = next((node.input[0] for node in graph.node if node.op_type in _UPSAMPLING), None)
    if deepest is None:
        return None
    pooled = f"{EMBEDDING}.pooled"
    graph.node.append(helper.make_node("GlobalAveragePool", [deepest], [pooled]))
    graph.node.append(helper.make_node("Flatten", [pooled], [EMBEDDING], axis=1))
    graph.output.append(helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, None))
    exposed: bytes = proto.SerializeToString()
    return exposed
