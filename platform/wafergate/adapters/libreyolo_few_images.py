"""What LibreYOLO's trainers do differently with few images: even classes, windows, a thawing backbone, our own choice.

Everything goes through the hooks that its trainers have for their families, so that its loop, its checkpoints and its
way of going on from them stay as they are. What happens in an epoch depends on the epoch alone: a training that goes on
does what an undisturbed one does.
"""

import importlib
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.adapters.libreyolo_families import family_of, network_to_export
from wafergate.adapters.onnx.run import Computed, detect_batch
from wafergate.adapters.torch_run import reseed
from wafergate.adapters.training_data import FittedData, read_truth
from wafergate.adapters.training_group import rank, ranks
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.training import TrainingJob
from wafergate.domain.weakest import weakest_class
from wafergate.stages.windows import cut_window, place_window, turn

__all__ = ["Lessons", "few_images", "judged_at_a_time", "stages_of"]

TRAINERS = {
    "LibreYOLOX": ("libreyolo.models.yolox.trainer", "YOLOXTrainer"),
    "LibreYOLO9": ("libreyolo.models.yolo9.trainer", "YOLO9Trainer"),
}
"""Families that can be taught this way; transformers keep their own recipe, made for their own data."""

NORMAL = 4
"""Every so-manieth image of an epoch is one without defect, where there are any: most parts of a line are good."""

MOSAIC = 4
"""Images that a mosaic is made of."""

MIN_SCORE = 0.01
METRIC = "metrics/weakest_class"


@contextmanager
def few_images(job: TrainingJob, data: FittedData) -> Iterator[bool]:
    """Let LibreYOLO take the trainer made here for its own, as long as the context lasts.

    Its models name their trainer's class themselves and take no other. Trainings run in a process of their own, so
    nobody else meets the exchange.

    Yields:
        Whether the family can be taught this way.
    """
    name = family_of(job.candidate.architecture)[0]
    if name not in TRAINERS:
        yield False
        return
    module, attribute = importlib.import_module(TRAINERS[name][0]), TRAINERS[name][1]
    own = getattr(module, attribute)
    setattr(module, attribute, _taught(own, job, data))
    try:
        yield True
    finally:
        setattr(module, attribute, own)


def stages_of(network: Any) -> list[Any]:
    """Return the stages of a network's backbone in the order of its layers."""
    module = network
    while hasattr(module, "backbone"):
        module = module.backbone
    return [child for child in module.children() if any(True for _ in child.parameters())]


class Lessons:
    """A LibreYOLO data set that hands out its images by class, whole or as windows around a defect.

    Place `i` of an epoch always belongs to the same class, or to the images without defect, so every epoch shows each
    equally often; which image of the class, where the window lies and how it is turned is drawn from Python's global
    generator, which is seeded for every epoch.
    """

    def __init__(self, dataset: Any, *, window: int, turns: bool, even: bool) -> None:
        self._dataset, self._window, self._turns = dataset, window, turns
        self._places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._normal: list[int] = []
        self.most = 0
        """Boxes on the image that has most of them."""
        for index in range(len(dataset)):
            labels = dataset.load_anno(index)
            self.most = max(self.most, len(labels))
            for row, label in enumerate(labels):
                self._places[int(label[4])].append((index, row))
            if not len(labels):
                self._normal.append(index)
        self._classes = sorted(self._places) if even else []

    def __len__(self) -> int:
        return len(self._dataset)

    def __getattr__(self, name: str) -> Any:
        if name == "_dataset":  # in a process that loads images this object is there before what it holds
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def load_anno(self, index: int) -> Any:
        """Return the labels of an image as it is stored; asked only for whether there are any."""
        return self._dataset.load_anno(index)

    def choose(self, place: int) -> tuple[int, int | None]:
        """Return an image for a place of the epoch, and the row of the box it is shown for; None for no box."""
        if not self._classes:
            rows = len(self._dataset.load_anno(place))
            return place, random.randrange(rows) if rows else None  # noqa: S311
        if self._normal:
            if place % NORMAL == NORMAL - 1:
                return random.choice(self._normal), None  # noqa: S311
            place -= place // NORMAL
        return random.choice(self._places[self._classes[place % len(self._classes)]])  # noqa: S311

    def pull_item(self, place: int) -> tuple[NDArray[np.uint8], NDArray[np.float32], Any, Any]:
        """Return pixels, labels, size and id of what a place of the epoch shows."""
        index, row = self.choose(place)
        image, labels, _, image_id, *_ = self._dataset.pull_item(index)
        if self._window:
            around = None if row is None else labels[row, :4]
            rng = random.Random(random.getrandbits(32))  # noqa: S311
            left, top = place_window(image.shape[:2], self._window, around=around, rng=rng)
            image, labels = cut_window(image, labels, left=left, top=top, window=self._window)
        if self._turns:
            image, labels = turn(image, labels, random.randrange(4))  # noqa: S311
        return np.ascontiguousarray(image), labels, image.shape[:2], image_id


def _taught(own: type, job: TrainingJob, data: FittedData) -> type:
    """Return a subclass of one of LibreYOLO's trainers that teaches as the job says."""
    teaching, exam = job.teaching, lru_cache(1)(partial(_Exam, job, data))

    class Taught(own):  # type: ignore[misc]
        best_metric_key = METRIC if teaching.weakest_class and data.validation else own.best_metric_key  # type: ignore[attr-defined]

        def create_transforms(self) -> tuple[Any, Any]:
            preproc, dataset = super().create_transforms()
            return preproc, partial(_lessons, dataset, job)

        def on_setup(self) -> None:
            super().on_setup()
            if self.device.type == "cpu":
                # depthwise convolutions of YOLOX-nano take a quarter less time so
                self.model.to(memory_format=_channels_last())

        def _setup_optimizer(self) -> Any:
            optimizer = super()._setup_optimizer()
            backbone = {id(each) for stage in stages_of(self.model) for each in stage.parameters()}
            optimizer.param_groups = list(_split_groups(optimizer.param_groups, backbone, teaching.backbone_rate))
            return optimizer

        def _scale_lr(self, base_lr: float, param_group: dict[str, Any]) -> float:
            return float(super()._scale_lr(base_lr, param_group) * param_group.get("rate", 1.0))

        def _train_epoch(self, epoch: int) -> Any:
            if rank():  # going on brings back the first process's generators, and it alone is told of epochs
                reseed(job, after=epoch)
            self._frozen_bn_modules = _thaw(self.model, job, epoch)
            return super()._train_epoch(epoch)

        def _run_validation(self, epoch: int, *, save_plots: bool | None = None) -> dict[str, Any] | None:
            if self.best_metric_key != METRIC:
                return super()._run_validation(epoch, save_plots=save_plots)  # type: ignore[no-any-return]
            return exam()(self.ema_model.ema if self.ema_model else self.model)

    return Taught


def _channels_last() -> Any:
    import torch

    return torch.channels_last


def _lessons(
    own: Callable[..., Any], job: TrainingJob, *, dataset: Any, img_size: Any, preproc: Any, **rest: Any
) -> Any:
    window = min(job.window, job.image_size) if job.window else 0
    lessons = Lessons(dataset, window=window, turns=job.turns, even=job.teaching.even_classes)
    # LibreYOLO hands on the first so many boxes, 50 for YOLOX, and what is found of the others counts as wrong
    preproc.max_labels = max(preproc.max_labels, (MOSAIC if job.mosaic else 1) * lessons.most)
    return own(dataset=lessons, img_size=(window, window) if window else img_size, preproc=preproc, **rest)


def _split_groups(groups: list[dict[str, Any]], backbone: set[int], rate: float) -> Iterator[dict[str, Any]]:
    """Yield an optimiser's groups with the backbone's parameters in groups of their own, which have their own rate."""
    for group in groups:
        for inside in (False, True):
            params = [each for each in group["params"] if (id(each) in backbone) is inside]
            if params:
                yield {**group, "params": params, "rate": rate if inside else 1.0}


def _thaw(network: Any, job: TrainingJob, epoch: int) -> tuple[Any, ...]:
    """Let as many stages of the backbone learn as an epoch is due; return the normalisations of the others.

    Processes that train together count on a gradient for every weight, so among several nothing is frozen.
    """
    import torch

    if ranks() > 1:
        return ()
    stages = stages_of(network)
    first = len(stages) - job.teaching.learning_stages(epoch, job.epochs, len(stages))
    for place, stage in enumerate(stages):
        stage.requires_grad_(place >= first)
    kinds = (torch.nn.BatchNorm2d, torch.nn.SyncBatchNorm)
    return tuple(layer for stage in stages[:first] for layer in stage.modules() if isinstance(layer, kinds))


def judged_at_a_time(job: TrainingJob) -> int:
    """Return how many whole validation images have no more pixels than one training step, at least one.

    So what the ladder takes from training it takes from judging as well.
    """
    side = min(job.window, job.image_size) or job.image_size
    return max(1, (job.micro_batch or job.batch) * side**2 // job.image_size**2)


class _Exam:
    """Judges a network on validation as the line will: at its IoU, class by class, through the detector's own code."""

    def __init__(self, job: TrainingJob, data: FittedData) -> None:
        self._job = job
        self._files = sorted((Path(data.yaml).parent / "images" / "val").iterdir())

    def __call__(self, network: Any) -> dict[str, Any]:
        """Return LibreYOLO's form of the figures; the one that decides is the weakest class's recall."""
        classes = len(self._job.classes)
        seen = weakest_class(*self._look(network), classes, iou=self._job.iou)
        figures = {METRIC: seen.rank, "metrics/mAP50": seen.ap50}
        figures |= {f"recall/{name}": value for name, value in zip(self._job.classes, seen.recalls, strict=True)}
        shown = {name: value for name, value in figures.items() if math.isfinite(value)}
        decides = {"best_metric": seen.rank, "best_metric_key": METRIC}
        return {"mAP50": seen.ap50, "mAP50_95": seen.rank, **decides, "metrics": shown}

    def _look(self, network: Any) -> tuple[list[Truth], list[Detections]]:
        """Return what each image holds and what the network says; no more images are held than are judged at once."""
        import torch

        job = self._job
        decoder = family_of(job.candidate.architecture)[2].decoder
        training, device = network.training, next(network.parameters()).device
        exported = network_to_export(network.eval(), job.candidate.architecture, image_size=job.image_size)

        def forward(fed: NDArray[np.float32]) -> Computed:
            with torch.inference_mode():
                raw = exported(torch.from_numpy(fed).to(device))
            return np.asarray((raw[0] if isinstance(raw, tuple | list) else raw).cpu().numpy(), np.float32), None

        ask = partial(detect_batch, forward, decoder=decoder, image_size=job.image_size, min_score=MIN_SCORE)
        truth: list[Truth] = []
        said: list[Detections] = []
        step = judged_at_a_time(job)
        try:
            for start in range(0, len(self._files), step):
                files = self._files[start : start + step]
                images = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
                truth += map(read_truth, files, images)
                said += ask(images)
            return truth, said
        finally:
            network.head.export = False
            network.train(training)
