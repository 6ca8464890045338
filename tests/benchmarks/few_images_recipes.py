"""How a cell of the benchmark of few images is trained, in how much time, and how it is judged.

Time is processor time of the training's process, on one thread: 10 minutes on 2 cores are 1,200 s, however long
threads would wait for each other. Ours and the stock recipe get it: a short training of the same recipe tells what an
epoch and what the rest costs, and the epochs follow. What leaves out or adds a part of ours is shown as many pixels as
ours, which costs nearly the same and is exact: the speed of a shared machine drifts by more than what one part costs.
"""

import multiprocessing
import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.few_images_sets import WEIGHTS, RealSet
from wafergate.adapters.libreyolo import VALIDATIONS, LibreYoloTrainer
from wafergate.adapters.onnx.export import export_module
from wafergate.adapters.onnx_detector import OnnxDetector
from wafergate.domain.augmentation import Variant
from wafergate.domain.evaluation import Detections, Figures, Truth
from wafergate.domain.few_images import PLAIN, teach
from wafergate.domain.models import Channels, Decoder
from wafergate.domain.operating import operating_points
from wafergate.domain.splits import Side
from wafergate.domain.training import TrainingJob
from wafergate.domain.training_rows import TrainingItem
from wafergate.jobs.parts import composed, silent
from wafergate.jobs.render import Original
from wafergate.jobs.training_folder import write_yolo
from wafergate.stages.augment import plan
from wafergate.stages.evaluate import evaluate

MIN_SCORE = 0.01
PROBED_EPOCHS = 2
"""How much longer the second of the trainings is that tell what time costs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a cell switches on.

    Attributes:
        name: as the table prints it.
        stock: whether LibreYOLO trains by its own defaults, from the same weights, at its own 416 px.
        few_images: even classes, a backbone that thaws, the weakest class keeps the state.
        window: side of the training windows, pixels; 0 for whole images.
        channels: what the model sees.
        augment: whether rare classes get augmented images beforehand.
        mosaic: probability of four images in one.
        image_size: side of the input, pixels.
    """

    name: str
    stock: bool = False
    few_images: bool = True
    window: int = 0
    channels: Channels = Channels.IMAGE
    augment: bool = False
    mosaic: float = 0.0
    image_size: int = 416


def child_seconds() -> float:
    """Return the processor time of all child processes that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_folder(real: RealSet, recipe: Recipe, folder: Path) -> None:
    """Write what a recipe trains on, as the product does: `folder/data/images/train` and so on."""
    parts, channels = real.parts, recipe.channels
    variants: dict[str, list[Variant]] = {}
    for variant in _variants(real, recipe):
        variants.setdefault(variant.origin, []).append(variant)
    donors = {sample.name: sample for sample in real.sides[Side.TRAIN]}
    items = []
    for side in (Side.TRAIN, Side.VALIDATION):
        for sample in real.sides[side]:
            original = Original.load(parts, sample, channels)
            whole = Variant(sample.name, (), sample.boxes, sample.width, sample.height)
            for made in (whole, *(variants.get(sample.name, ()) if side is Side.TRAIN else ())):
                image = parts.files.put(parts.encode(original.render(parts, made, donors)))
                size = (made.width, made.height)
                items.append(
                    TrainingItem("", len(items), made.origin, made.operations, image, *size, made.boxes, side.value)
                )
    write_yolo(parts, items, real.line.classes, folder, tile=real.line.tile, progress=silent)


def _variants(real: RealSet, recipe: Recipe) -> Sequence[Variant]:
    return plan(real.sides[Side.TRAIN], real.line.classes, real.line.augment).images if recipe.augment else ()


def pixels_an_epoch(real: RealSet, recipe: Recipe) -> int:
    """Return how many pixels a network is shown in an epoch of ours: of every training image the whole or a window."""
    images = len(real.sides[Side.TRAIN]) + len(_variants(real, recipe))
    side = min(recipe.window, recipe.image_size) or recipe.image_size
    return images * side * side


def job_of(real: RealSet, recipe: Recipe, folder: Path, *, epochs: int, seed: int) -> TrainingJob:
    """Return the training of a cell, as the product would ask for it."""
    turns = recipe.few_images and "turn_90" in real.line.augment.operations
    return TrainingJob(
        candidate=real.line.models.candidates[0],
        classes=real.line.classes,
        data=folder / "data",
        folder=folder / "job",
        weights=WEIGHTS,
        channels=recipe.channels,
        image_size=recipe.image_size,
        epochs=epochs,
        batch=8,
        learning_rate=0.0,
        mosaic=recipe.mosaic,
        seed=seed,
        device="cpu",
        threads=1,
        window=recipe.window,
        turns=turns,
        iou=real.line.gate.iou,
        teaching=teach(len(real.sides[Side.TRAIN])) if recipe.few_images else PLAIN,
    )


def detect(real: RealSet, side: Side, onnx: Path, recipe: Recipe) -> list[Detections]:
    """Run the exported file over one side."""
    detector = OnnxDetector(
        onnx,
        decoder=Decoder.YOLOX,
        image_size=recipe.image_size,
        classes=len(real.line.classes),
        threads=1,
    )
    return [
        detector([composed(real.parts, sample, recipe.channels)], min_score=MIN_SCORE)[0] for sample in real.sides[side]
    ]


def frozen(real: RealSet, said: list[Detections]) -> Mapping[str, float]:
    """Set the thresholds on validation, as the product does."""
    points = operating_points(
        truth_of(real, Side.VALIDATION),
        said,
        real.line.classes,
        target_recall=real.line.gate.target_recall,
        iou=real.line.gate.iou,
        overkill=real.line.gate.overkill,
    )
    return {point.defect_class: point.threshold for point in points}


def truth_of(real: RealSet, side: Side) -> list[Truth]:
    """Return the labels of one side."""
    return [Truth.of(sample.boxes, real.line.classes) for sample in real.sides[side]]


def judged(real: RealSet, side: Side, said: list[Detections], thresholds: Mapping[str, float]) -> Figures:
    """Judge one side at frozen thresholds."""
    return evaluate(truth_of(real, side), said, real.line.classes, thresholds=thresholds, policy=real.line.gate)


def train_stock(job: TrainingJob) -> None:
    """Train as LibreYOLO does by default; only what a processor without a card needs is said."""
    import cv2
    import libreyolo
    import torch

    torch.set_num_threads(job.threads)
    cv2.setNumThreads(1)
    # resolved by its name: it loads the whole file, and takes a new head for another number of classes
    model = libreyolo.LibreYOLOX(str(job.weights), size="n", device="cpu")
    description = {"path": str(job.data), "train": "images/train", "val": "images/val", "nc": len(job.classes)}
    yaml = job.data / "data.yaml"
    names = "".join(f"  {place}: {name!r}\n" for place, name in enumerate(job.classes))
    lines = "".join(f"{key}: {value}\n" for key, value in description.items())
    yaml.write_text(f"{lines}names:\n{names}", encoding="utf-8")
    model.train(
        str(yaml),
        epochs=job.epochs,
        device="cpu",
        workers=0,
        seed=job.seed,
        project=str(job.folder),
        name="run",
        imgsz=job.image_size,
        amp=False,
    )
    model.model.to("cpu").eval().head.export = True
    export_module(
        model.model, job.folder / "model.onnx", decoder=Decoder.YOLOX, image_size=job.image_size, classes=job.classes
    )


def train(job: TrainingJob, recipe: Recipe, tell: Callable[[str], None]) -> tuple[Path, float]:
    """Train in a process of its own; return the exported file and the processor time it took, seconds."""
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    before = child_seconds()
    if recipe.stock:
        process = multiprocessing.get_context("spawn").Process(target=train_stock, args=(job,))
        process.start()
        process.join()
        if process.exitcode:
            message = f"the stock training ended with exit code {process.exitcode}"
            raise RuntimeError(message)
    else:
        LibreYoloTrainer()(job, on_epoch=lambda epoch: tell(f"epoch {epoch.epoch} of {epoch.epochs}"))
    return job.folder / "model.onnx", child_seconds() - before


def affordable_epochs(job: TrainingJob, recipe: Recipe, budget: float, tell: Callable[[str], None]) -> int:
    """Return how many epochs a budget of processor time pays for, at least two.

    Three short trainings differ in epochs or in validation alone, which gives the price of each. They show all images:
    what an epoch costs besides them, its checkpoint above all, counts once and not for so many images.
    """
    small = replace(job, teaching=replace(job.teaching, frozen=0.0, thawed=0.0))
    prices = []
    for epochs, validated in ((1, False), (1 + PROBED_EPOCHS, False), (1, True)):
        probe = replace(small, data=_probe_data(job, validated=validated), epochs=epochs)
        prices.append(train(replace(probe, folder=job.folder.with_name("probe-job")), recipe, tell)[1])
    each = (prices[1] - prices[0]) / PROBED_EPOCHS
    rest, validation = max(0.0, prices[0] - each), max(0.0, prices[2] - prices[0])
    # ours validates so often in a training, the stock recipe every tenth epoch and after the last
    often, sometimes = (1, 0.1) if recipe.stock else (VALIDATIONS, 0)
    epochs = max(2, int((budget - rest - often * validation) / (each + sometimes * validation)))
    tell(
        f"{rest:.0f} s once, {each:.1f} s an epoch, {validation:.1f} s a validation: {epochs} epochs for {budget:.0f} s"
    )
    return epochs


def _probe_data(job: TrainingJob, *, validated: bool) -> Path:
    """Return a folder with a job's training images, and its validation images or none."""
    folder = job.folder.with_name("probe")
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("images", "labels"):
        shutil.copytree(job.data / kind / "train", folder / kind / "train")
        if validated:
            shutil.copytree(job.data / kind / "val", folder / kind / "val")
        else:
            (folder / kind / "val").mkdir()
    return folder
