"""Train with Ultralytics: YOLO26, YOLO11, YOLOv8 and RT-DETR (AGPL-3.0, see NOTICE)."""

import importlib.metadata
import importlib.util
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wafergate.adapters.machine import training_devices
from wafergate.adapters.onnx.export import export_module
from wafergate.adapters.onnx.parity import measure_parity
from wafergate.adapters.onnx.queries import rows_of_queries
from wafergate.adapters.torch_run import (
    ENOUGH,
    batch_sizes,
    keep_checkpoint,
    loader_workers,
    peak_memory_mib,
    prepare,
    reseed,
    take_up,
)
from wafergate.adapters.training_data import FittedData, write_fitted_data
from wafergate.adapters.training_process import CHECKPOINTS_NAME, Reporter, require_extra, train_in_process
from wafergate.adapters.ultralytics_package import check_architecture, configure, readable_weights
from wafergate.adapters.ultralytics_state import bring_back_state, draw_order_by_epoch, keep_state
from wafergate.domain.models import Channels, Decoder
from wafergate.domain.parity import ExportParity
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.errors import ConfigError, TrainingError

__all__ = ["UltralyticsTrainer", "train_here"]

KEPT = ("epoch", "model", "train_args", "version", "license")
"""Of a checkpoint; the rest is date, git state and paths of the machine, so that equal trainings give equal files."""


class UltralyticsTrainer:
    """Trains an Ultralytics candidate in a process of its own."""

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
        require_extra("ultralytics", "ultralytics")
        check_architecture(job.candidate.architecture)
        if len(training_devices(job.device)) > 1:
            message = (
                f"[hardware.train] device = {job.device!r} names several cards: candidates of libreyolo train on "
                f"several, {job.candidate.name} of ultralytics on one; choose one card, such as cuda:0"
            )
            raise ConfigError(message)
        return train_in_process(f"{__name__}:train_here", job, on_epoch=on_epoch, on_checkpoint=on_checkpoint)


def train_here(job: TrainingJob, scratch: Path, report: Reporter) -> TrainedArtefact:
    """Train and export in this process; see `wafergate.adapters.training_process.TrainHere`."""
    started = time.monotonic()
    configure(scratch / "settings")
    device = prepare(job)
    queries = _has_queries(job)
    data = write_fitted_data(job, scratch / "data", square=queries)  # RT-DETR stretches what is not one

    from ultralytics.models.rtdetr.train import RTDETRTrainer
    from ultralytics.models.yolo.detect import DetectionTrainer

    keep_threads()
    trainer = steady(RTDETRTrainer if queries else DetectionTrainer)(overrides=_arguments(job, data, device, scratch))
    trainer.add_callback("on_pretrain_routine_end", lambda ready: setattr(ready, "settled", True))
    trainer.add_callback("on_fit_epoch_end", _teller(job, data, report))
    trainer.add_callback("on_train_epoch_start", lambda begun: reseed(job, after=begun.epoch))
    # its own answer to missing memory, a smaller batch for the first epoch alone, would hide from the platform's
    trainer.add_callback("on_train_epoch_start", lambda begun: setattr(begun, "_oom_retries", 3))
    trainer.add_callback("on_pretrain_routine_end", draw_order_by_epoch)
    if job.resume is None:
        trainer.add_callback("on_pretrain_routine_end", lambda ready: _tell_start(job, ready, report))
    else:
        trainer.resume = True  # its own switch would take every argument, paths included, from the checkpoint
        trainer.add_callback("on_pretrain_routine_end", bring_back_state)
        report.note(f"{job.candidate.name} goes on after epoch {job.resume.epoch}")
    trainer.train()
    weights, onnx, parity = _export(job, trainer.best if trainer.best.exists() else trainer.last)
    batch, micro_batch = batch_sizes(job, data.train)
    return TrainedArtefact(
        weights=weights,
        onnx=onnx,
        decoder=_decoder(job),
        epochs=job.epochs,
        batch=batch,
        micro_batch=micro_batch,
        peak_memory_mib=peak_memory_mib(device),
        seconds=time.monotonic() - started,
        versions={name: importlib.metadata.version(name) for name in ("ultralytics", "torch", "onnx")},
        parity=parity,
    )


def keep_threads() -> None:
    """Let Ultralytics compute with the threads that are set; when it takes the processor it sets all cores but one."""
    import torch
    from ultralytics.utils import torch_utils

    torch_utils.NUM_THREADS = torch.get_num_threads()


def steady(own: type) -> type:
    """Return a trainer that steps after as many images in its warm-up as after it.

    Its own takes the first step after one batch and comes up to `nbs` images by the end of the warm-up, so after fewer
    images at a time for want of memory the effective batch would not stay (rule M13).
    """

    class Steady(own):  # type: ignore[misc]
        settled = False
        _batches_a_step = 1

        @property
        def accumulate(self) -> int:
            return self._batches_a_step

        @accumulate.setter
        def accumulate(self, batches: int) -> None:
            if not self.settled:
                self._batches_a_step = batches

    return Steady


def _has_queries(job: TrainingJob) -> bool:
    return job.candidate.architecture.startswith("rtdetr")


def _decoder(job: TrainingJob) -> Decoder:
    return Decoder.END_TO_END if _has_queries(job) else Decoder.YOLO


def _arguments(job: TrainingJob, data: FittedData, device: str, scratch: Path) -> dict[str, Any]:
    colours = job.channels is Channels.IMAGE
    batch, micro_batch = batch_sizes(job, data.train)
    start = take_up(job.resume, scratch / "run" / "weights") if job.resume else f"{job.candidate.architecture}.yaml"
    arguments: dict[str, Any] = {
        "model": str(start),
        "pretrained": False if job.weights is None else readable_weights(job.weights, scratch),
        "data": str(data.yaml),
        "epochs": job.epochs,
        "batch": micro_batch,
        # one optimiser step for each batch: 64, the default, leaves a small set two or three steps an epoch
        "nbs": batch,
        "imgsz": job.image_size,
        "seed": job.seed,
        "deterministic": True,
        "workers": loader_workers(device),
        "device": device,
        # its makers warn that half precision brings RT-DETR's matching to NaN
        "amp": False if _has_queries(job) else _precision(device),
        "patience": 0,
        "val": data.validation > 0,
        "plots": False,
        "verbose": False,
        "project": str(scratch),
        "name": "run",
        "exist_ok": True,
        "mosaic": job.mosaic,
        "close_mosaic": max(1, min(10, job.epochs // 10)),
        "fliplr": 0.5 if job.flip_horizontal else 0.0,
        "flipud": 0.5 if job.flip_vertical else 0.0,
        # hue and saturation of reference and difference mean nothing, nor does their mean as grey
        **({} if colours else {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0}),
        "augmentations": [],
    }
    if job.learning_rate:
        arguments |= {"optimizer": "AdamW", "lr0": job.learning_rate, "momentum": 0.9, "warmup_bias_lr": 0.0}
    return arguments


def _precision(device: str) -> str | bool:
    """Choose without its own check, which downloads a weight file to compare with."""
    import torch

    # PyTorch also says yes for cards that emulate it, which Ultralytics refuses; NVIDIA has it since Ampere, 8.0
    return "bf16" if device != "cpu" and torch.cuda.get_device_properties(device).major >= 8 else False


def _tell_start(job: TrainingJob, trainer: Any, report: Reporter) -> None:
    if job.weights is None:
        report.note(f"{job.candidate.name} starts from random weights")
        return
    from ultralytics.nn.tasks import load_checkpoint

    given = load_checkpoint(trainer.args.pretrained)[0].state_dict()
    own = trainer.model.state_dict()
    loaded = [name for name, value in own.items() if name in given and given[name].shape == value.shape]
    if len(loaded) < ENOUGH * len(own):
        message = (
            f"weights {job.weights.name} do not fit {job.candidate.architecture}: {len(loaded)} of its {len(own)} "
            "tensors match by name and shape; choose the candidate these weights were trained for"
        )
        raise ConfigError(message)
    report.note(f"{job.candidate.name} starts from {job.weights.name}: {len(loaded)} of {len(own)} tensors loaded")


def _teller(job: TrainingJob, data: FittedData, report: Reporter) -> Callable[[Any], None]:
    told: set[int] = set()

    def tell(trainer: Any) -> None:
        epoch = trainer.epoch + 1
        if epoch in told or epoch > job.epochs:  # called once more after the last epoch, for the kept state
            return
        told.add(epoch)
        loss = float(sum(float(value) for value in trainer.tloss.values()))
        if not math.isfinite(loss):
            message = f"the loss of epoch {epoch} is {loss}; lower models.learning_rate"
            raise TrainingError(message)
        map50 = trainer.metrics.get("metrics/mAP50(B)") if data.validation else None
        map50 = None if map50 is None else float(map50)
        report.epoch(EpochReport(epoch, job.epochs, loss, float(trainer.epoch_time), map50))
        if epoch < job.epochs:
            keep_state(trainer)
            best_is_new = trainer.best_fitness == trainer.fitness
            report.checkpoint(
                keep_checkpoint(
                    job.folder / CHECKPOINTS_NAME, epoch, trainer.last, trainer.best, best_is_new=best_is_new
                )
            )

    return tell


def _export(job: TrainingJob, checkpoint: Path) -> tuple[Path, Path, ExportParity]:
    """Write the chosen state without anything of this machine, and its ONNX; return both paths and their agreement."""
    import torch
    from ultralytics.nn.modules import C2f
    from ultralytics.nn.modules.head import Detect
    from ultralytics.nn.tasks import load_checkpoint, torch_safe_load

    stored, _ = torch_safe_load(checkpoint)
    kept = {name: stored[name] for name in KEPT if name in stored}
    kept["train_args"] = {"imgsz": job.image_size, "task": "detect"}
    kept["model"].args = dict(kept["train_args"])
    weights = job.folder / "weights.pt"
    torch.save(kept, weights)

    onnx = job.folder / "model.onnx"
    model = _to_export(job, load_checkpoint(weights)[0], fused=True)
    for module in model.modules():
        if isinstance(module, Detect):
            module.export, module.format, module.dynamic = True, "onnx", False
        elif isinstance(module, C2f):
            module.forward = module.forward_split
    export_module(model, onnx, decoder=_decoder(job), image_size=job.image_size, classes=list(job.classes))
    stored_again = _to_export(job, load_checkpoint(weights)[0], fused=False)
    return weights, onnx, measure_parity(stored_again, onnx, job, decoder=_decoder(job))


def _to_export(job: TrainingJob, network: Any, *, fused: bool) -> Any:
    """Return a network whose output its decoder reads, batch norms folded into convolutions where asked."""
    if not _has_queries(job):
        # the head that predict uses by default; YOLO26's other one needs no suppression but learns less from little
        # data; fusing drops the one not chosen
        network.end2end = False
    network = network.fuse(verbose=False) if fused else network
    if not _has_queries(job):
        return network
    # beside what its predict uses lie boxes and scores of the decoder's layers, in evaluation of the last alone
    return rows_of_queries(
        network, lambda output: (output[1][0][-1], output[1][1][-1].sigmoid()), image_size=job.image_size
    )
