"""What LibreYOLO's model families differ in: sizes, how images reach them, how their output is read, their recipe."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wafergate.adapters.onnx.queries import rows_of_queries
from wafergate.domain.models import Channels, Decoder
from wafergate.domain.training import TrainingJob
from wafergate.errors import ConfigError

__all__ = ["FAMILIES", "RFDETR_RATE", "Family", "family_of", "network_to_export"]

RFDETR_RATE = 1e-4
"""The learning rate beside which RF-DETR's encoder has its own by default, 1.5 times as much."""


@dataclass(frozen=True, slots=True)
class Family:
    """One class in `libreyolo`.

    Attributes:
        decoder: how the exported output is read.
        sizes: that it comes in.
        queries: whether it is a detection transformer: it stretches images to a square, so they are given as squares.
        extra: that brings a package it needs beside LibreYOLO's own, as the module and the extra of this project.
        own: its recipe where that differs, given whether training starts from random weights.
    """

    decoder: Decoder
    sizes: tuple[str, ...]
    queries: bool = False
    extra: tuple[str, str] | None = None
    own: Callable[[TrainingJob], dict[str, Any]] = field(default=lambda _job: {})


def _rtdetr(job: TrainingJob) -> dict[str, Any]:
    rate = job.learning_rate or 1e-4
    # the makers' twentieth for the backbone keeps what it has learnt; a fresh one has everything to learn
    return {
        "lr0": rate,
        "lr_backbone": rate if job.weights is None else rate / 20,
        "scheduler": "cos",
        "weight_decay": 1e-4,
    }


def _dfine(job: TrainingJob) -> dict[str, Any]:
    return {
        "lr0": job.learning_rate or 2e-4,
        "backbone_lr_mult": 1.0 if job.weights is None else 0.5,
        "weight_decay": 1e-4,
        "multi_scale": False,  # the detector feeds one size
        # zooming, cropping and distorting colours come together; channels that are measurements have no colours
        "aug_stop_epoch_ratio": 0.85 if job.channels is Channels.IMAGE else 0.0,
    }


def _rfdetr(job: TrainingJob) -> dict[str, Any]:
    return {
        "lr0": job.learning_rate or RFDETR_RATE,
        "scheduler": "cosine",  # the makers' step comes after 100 epochs
        "weight_decay": 1e-4,
        "multi_scale": False,  # the detector feeds one size
    }


def _yolo9(_job: TrainingJob) -> dict[str, Any]:
    return {"letterbox_pad": "center"}  # as the detector places images for this kind of output


FAMILIES: Mapping[str, Family] = {
    "LibreYOLOX": Family(Decoder.YOLOX, tuple("ntsmlx")),
    "LibreYOLO9": Family(Decoder.YOLO, tuple("tsmc"), own=_yolo9),
    "LibreRTDETR": Family(Decoder.END_TO_END, ("r18", "r34", "r50m", "r50", "r101"), queries=True, own=_rtdetr),
    "LibreDFINE": Family(Decoder.END_TO_END, tuple("nsmlx"), queries=True, own=_dfine),
    "LibreRFDETR": Family(
        Decoder.END_TO_END, tuple("nsml"), queries=True, extra=("transformers", "rfdetr"), own=_rfdetr
    ),
}
"""Class in `libreyolo` to what it needs."""


def family_of(architecture: str) -> tuple[str, str, Family]:
    """Split LibreYOLO's name of an architecture, e.g. `LibreYOLOXn`, into class and size; return them with the family.

    Raises:
        ConfigError: there is no such architecture here.
    """
    known = {f"{name}{size}": (name, size, family) for name, family in FAMILIES.items() for size in family.sizes}
    if architecture not in known:
        message = f"LibreYOLO trains one of {', '.join(known)}; found architecture {architecture!r}"
        raise ConfigError(message)
    return known[architecture]


def network_to_export(network: Any, architecture: str, *, image_size: int) -> Any:
    """Return the network with the output its decoder reads."""
    name, _, family = family_of(architecture)
    if family.queries:
        if name == "LibreRFDETR":
            network = _rfdetr_to_export(network, image_size)
        return rows_of_queries(
            network, lambda output: (output["pred_boxes"], output["pred_logits"].sigmoid()), image_size=image_size
        )
    network.head.export = True
    return _corners_to_centres(network) if family.decoder is Decoder.YOLO else network


def _rfdetr_to_export(network: Any, image_size: int) -> Any:
    """Wrap a copy of RF-DETR, which wants ImageNet's mean and deviation and has a last class that nobody teaches."""
    import torch
    from libreyolo.models.rfdetr.nn import RFDETRExportWrapper
    from libreyolo.models.rfdetr.utils import IMAGENET_MEAN, IMAGENET_STD

    network = copy.deepcopy(network).eval()  # its makers' form for export lays positions out for one size, for good
    network.model.backbone[0].encoder.shape = (image_size, image_size)

    class RfdetrToExport(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = RFDETRExportWrapper(network)
            self.mean, self.deviation = (
                torch.nn.Buffer(torch.tensor(values).view(1, 3, 1, 1)) for values in (IMAGENET_MEAN, IMAGENET_STD)
            )

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            boxes, logits = self.network((images - self.mean) / self.deviation)
            return {"pred_boxes": boxes, "pred_logits": logits[..., :-1]}

    return RfdetrToExport()


def _corners_to_centres(network: Any) -> Any:
    """Wrap a network whose output has corners `(n, 4 + classes, anchors)` so that it gives centres and sizes."""
    import torch

    class CornersToCentres(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            output = self.network(images)
            low, high, scores = output[:, :2], output[:, 2:4], output[:, 4:]
            return torch.cat([(low + high) / 2, high - low, scores], dim=1)

    return CornersToCentres()
