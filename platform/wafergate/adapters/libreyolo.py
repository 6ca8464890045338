"""Train with LibreYOLO (MIT): YOLOX, YOLOv9, RT-DETR, D-FINE and RF-DETR, the backend without a copyleft licence."""

import importlib.metadata
import math
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from wafergate.adapters.libreyolo_families import RFDETR_RATE, family_of, network_to_export
from wafergate.adapters.libreyolo_few_images import few_images
from wafergate.adapters.machine import training_devices
from wafergate.adapters.onnx.export import export_module
from wafergate.adapters.onnx.parity import measure_parity
from wafergate.adapters.torch_run import (
    batch_sizes,
    keep_checkpoint,
    load_matching,
    loader_workers,
    peak_memory_mib,
    prepare,
    read_tensors,
    reseed,
    take_up,
)
from wafergate.adapters.training_data import FittedData, write_fitted_data
from wafergate.adapters.training_group import rank, ranks
from wafergate.adapters.training_process import CHECKPOINTS_NAME, Reporter, require_extra, train_in_process
from wafergate.domain.models import Channels
from wafergate.domain.parity import ExportParity
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.errors import TrainingError

__all__ = ["LibreYoloTrainer", "published_at", "require_family", "train_here"]

CACHE_BYTES = 2**31
"""Decoded images kept in memory, at most, and at most a quarter of the machine's.

None where memory is limited or ran out: no smaller batch gives them back, and no probe has measured them.
"""

VALIDATIONS = 10
"""How often a training looks at validation: enough to keep the best state, without a third of the time going there."""


class LibreYoloTrainer:
    """Trains a LibreYOLO candidate in a process of its own."""

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        """Train, telling each epoch as it ends and the state to go on from.

        Raises:
            ConfigError: the extra is not installed, the architecture is unknown or the weights do not fit it.
            OutOfMemoryError: memory ran out.
            HardwareError: the device asked for is not there.
            TrainingError: training or export failed.
        """
        require_family(job.candidate.architecture)
        devices = training_devices(job.device)
        if len(devices) > 1:
            job = replace(job, device="cuda:all")  # of those that its processes are shown
        return train_in_process(
            f"{__name__}:train_here",
            job,
            on_epoch=on_epoch,
            on_checkpoint=on_checkpoint,
            processes=len(devices),
            cards=[name.removeprefix("cuda:") for name in devices if name != "cpu"],
        )


def require_family(architecture: str) -> str:
    """Return the class of `libreyolo` that an architecture is of, everything that it needs being installed.

    Raises:
        ConfigError: there is no such architecture, or an extra is not installed.
    """
    name, _, family = family_of(architecture)
    require_extra("libreyolo", "libreyolo")
    if family.extra is not None:
        require_extra(*family.extra)
    return name


def published_at(family: str, architecture: str) -> str:
    """Return where the installed LibreYOLO fetches the weights of an architecture; empty where it names no place."""
    import libreyolo

    return getattr(libreyolo, family).get_download_url(f"{architecture}.pt") or ""


def train_here(job: TrainingJob, scratch: Path, report: Reporter) -> TrainedArtefact | None:
    """Train and export in this process; see `wafergate.adapters.training_process.TrainHere`."""
    started = time.monotonic()
    device = prepare(job)
    _, _, family = family_of(job.candidate.architecture)
    data = write_fitted_data(job, scratch / "data", square=family.queries)
    model = _build(job, device, report)
    going_on = {}
    if job.resume is not None:
        going_on = {"resume": str(take_up(job.resume, scratch / "run" / "weights")), "exist_ok": True}
        report.note(f"{job.candidate.name} goes on after epoch {job.resume.epoch}")
    teller = _Teller(job, data, report)
    with few_images(job, data):
        results = model.train(
            str(data.yaml),
            device=device,
            project=str(scratch),
            name="run",
            callbacks=teller,
            **_recipe(job, data, device),
            **going_on,
        )
    if rank():
        return None
    batch, micro_batch = batch_sizes(job, data.train)
    weights, onnx, parity = _export(job, model, _checkpoint(results, data), scratch)
    return TrainedArtefact(
        weights=weights,
        onnx=onnx,
        decoder=family.decoder,
        epochs=teller.epochs,
        batch=batch,
        micro_batch=micro_batch,
        peak_memory_mib=peak_memory_mib(device),
        seconds=time.monotonic() - started,
        versions={name: importlib.metadata.version(name) for name in ("libreyolo", "torch", "onnx")},
        parity=parity,
    )


def _build(job: TrainingJob, device: str, report: Reporter) -> Any:
    given = None if job.weights is None else read_tensors(job.weights)  # refused before the slow import
    import libreyolo

    name, size, family = family_of(job.candidate.architecture)
    # else RT-DETR fetches a backbone from the network, and keeps part of it as it came
    scratch = {"_scratch_init": True} if family.queries else {}
    model = getattr(libreyolo, name)(None, size=size, nb_classes=len(job.classes), device=device, **scratch)
    if job.learning_rate and hasattr(getattr(model.model, "args", None), "lr_encoder"):
        # RF-DETR's encoder has a rate of its own beside `lr0`: as much more as by default
        model.model.args.lr_encoder *= job.learning_rate / RFDETR_RATE
    if job.weights is None or given is None:
        report.note(f"{job.candidate.name} starts from random weights")
        return model
    fresh = load_matching(model.model, given, source=job.weights)
    _set_class_priors(model.model)
    # LibreYOLO gives every head its first biases unless a path says that they were loaded
    model.model_path = str(job.weights)
    total = len(model.model.state_dict())
    names = sorted({re.sub(r"\.\d+\..*", "", name) for name in fresh}) or ["nothing"]
    report.note(
        f"{job.candidate.name} starts from {job.weights.name}: {total - len(fresh)} of {total} tensors loaded, "
        f"{', '.join(names)} made anew"
    )
    return model


def _set_class_priors(network: Any) -> None:
    """Start a new class layer of YOLOX at a probability of 1 %, as a network from random weights does."""
    if hasattr(network, "head") and hasattr(network.head, "cls_preds"):
        import torch

        for layer in network.head.cls_preds:
            torch.nn.init.constant_(layer.bias, -math.log(99))


def _recipe(job: TrainingJob, data: FittedData, device: str) -> dict[str, Any]:
    """Turn a job into LibreYOLO's arguments; its own defaults are made for 300 epochs of COCO.

    With them a training of 30 epochs spends half its time at a twentieth of the learning rate.
    """
    colours = job.channels is Channels.IMAGE
    fresh = job.weights is None
    images = (data.train + data.validation) * job.image_size**2 * 3
    batch, micro_batch = batch_sizes(job, data.train)
    roomy = device == "cpu" and not job.memory_mib and micro_batch == batch
    kept = roomy and images < min(CACHE_BYTES, psutil.virtual_memory().total / 4)
    recipe: dict[str, Any] = {
        "epochs": job.epochs,
        "batch": micro_batch,
        "nbs": batch,  # gradients are added up to this many images
        "imgsz": job.image_size,
        "seed": job.seed,
        "workers": loader_workers(device),
        "amp": device != "cpu",
        "patience": _patience(job),
        # validation picks the state that is kept; without validation images it is the last one
        "eval_interval": max(1, job.epochs // VALIDATIONS) if data.validation else 0,
        "save_period": 0,
        "cache": "ram" if kept else False,
        # SGD, the default, learns next to nothing from random weights in the few hundred steps of a small set: on the
        # sample line recall of 0 to 0.8 by class, against 0.4 to 0.95 with AdamW in the same time
        "optimizer": "adamw",
        "lr0": job.learning_rate or (0.004 if fresh else 0.001),
        "weight_decay": 0.02,
        "warmup_epochs": min(2, max(1, job.epochs // 10)),
        # these epochs run at the lowest learning rate, without mosaic and with the L1 term; the default is 15
        "no_aug_epochs": max(1, min(3, job.epochs // 10)),
        "mosaic_prob": job.mosaic,
        # averaging two images makes faint defects that no camera has seen
        "mixup_prob": 0.0,
        # turning and shearing by a few degrees loosens boxes: the corners' hull is larger than the defect
        "degrees": 0.0,
        "shear": 0.0,
        "translate": 0.1 if job.mosaic else 0.0,
        "mosaic_scale": (0.5, 1.5),
        "flip_prob": 0.5 if job.flip_horizontal else 0.0,
        "flipud": 0.5 if job.flip_vertical else 0.0,
        # hue and saturation of reference and difference mean nothing
        "hsv_prob": 0.5 if colours else 0.0,
    }
    if ranks() > 1:
        # a share of the batch is too few images for a mean; PyTorch gathers them on cards alone
        recipe["sync_bn"] = device != "cpu"
    return recipe | family_of(job.candidate.architecture)[2].own(job)


def _patience(job: TrainingJob) -> int:
    """Return after how many epochs without a better one a training ends; 0 for never."""
    return math.ceil(job.teaching.patience * job.epochs)


class _Teller:
    """What LibreYOLO calls as it trains."""

    def __init__(self, job: TrainingJob, data: FittedData, report: Reporter) -> None:
        self._job, self._data, self._report = job, data, report
        self.epochs = 0
        """How many have ended; a training that no longer improves ends early."""

    def on_train_start(self, _event: Any) -> None:
        """Seed the first epoch of this run, over what the checkpoint brought back."""
        reseed(self._job)

    def on_train_epoch_end(self, event: Any) -> None:
        """Tell an epoch and the state after it, and seed the next one."""
        job, validated = self._job, self._data.validation > 0
        self.epochs = event.epoch
        if not math.isfinite(event.train_loss):
            message = f"the loss of epoch {event.epoch} is {event.train_loss}; lower models.learning_rate"
            raise TrainingError(message)
        if event.epoch == job.epochs and validated and not event.validated:
            # LibreYOLO logs a failed validation and goes on; then no state would have been chosen
            message = "LibreYOLO could not validate the last epoch; its log says why"
            raise TrainingError(message)
        map50 = event.val_metrics.get("metrics/mAP50") if event.validated else None
        self._report.epoch(EpochReport(event.epoch, job.epochs, event.train_loss, event.epoch_seconds, map50))
        # none of the epoch that ends it for good: gone on from there, it would learn one more before it is asked again
        ended = event.best_epoch and 0 < _patience(job) <= event.epoch - event.best_epoch
        if event.epoch < job.epochs and not ended:
            states = Path(event.save_dir) / "weights"
            last, best = states / "last.pt", states / "best.pt"
            kept = keep_checkpoint(job.folder / CHECKPOINTS_NAME, event.epoch, last, best, best_is_new=event.is_best)
            self._report.checkpoint(kept)
        reseed(job, after=event.epoch)


def _checkpoint(results: Mapping[str, Any], data: FittedData) -> Path:
    """Return the state to keep: best on validation, or the last one where validation has not told any apart."""
    told = data.validation > 0 and results.get("best_mAP50_95", 0.0) > 0
    name = "best_checkpoint" if told else "last_checkpoint"
    found = results.get(name)
    if not found or not Path(found).is_file():
        message = f"LibreYOLO ended without its {name.replace('_', ' ')}; its log says why"
        raise TrainingError(message)
    return Path(found)


def _export(job: TrainingJob, model: Any, checkpoint: Path, scratch: Path) -> tuple[Path, Path, ExportParity]:
    """Write the chosen state without optimiser, and its ONNX; return both paths and how well they agree."""
    model.model.load_state_dict(read_tensors(checkpoint))
    if hasattr(model.model, "disable_aux"):
        model.model.disable_aux()  # YOLOv9's second head serves training alone
    model.model.to("cpu").eval()
    unfinished = scratch / "weights.pt"
    model.save(str(unfinished))

    network = network_to_export(model.model, job.candidate.architecture, image_size=job.image_size)
    decoder = family_of(job.candidate.architecture)[2].decoder
    onnx = job.folder / "model.onnx"
    export_module(network, onnx, decoder=decoder, image_size=job.image_size, classes=list(job.classes))
    weights = job.folder / "weights.pt"
    shutil.move(unfinished, weights)
    model.model.load_state_dict(read_tensors(weights))  # what is compared is what was stored
    network = network_to_export(model.model, job.candidate.architecture, image_size=job.image_size)
    return weights, onnx, measure_parity(network, onnx, job, decoder=decoder)
