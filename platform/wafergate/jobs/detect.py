"""A model's exported file to a detector of whole images, and what it says of many of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from wafergate.domain.evaluation import Detections
from wafergate.domain.models import Channels
from wafergate.domain.operating import MIN_SCORE
from wafergate.domain.samples import Sample
from wafergate.domain.tiling import TilePolicy
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.parts import Parts, ahead, composed, silent
from wafergate.jobs.versions import taught_on, uncut
from wafergate.ports import Detector, Progress
from wafergate.stages.merge_tiles import in_tiles

__all__ = ["MIN_SCORE", "by_tiles", "cuts_of", "open_judge", "run_detector"]

_BATCH = 16


def open_judge(parts: Parts, model: ModelVersion, onnx: Path | None = None) -> Detector:
    """Open an exported file as it is judged: by the tiles its training cut, where it cut any.

    Args:
        parts: the real parts.
        model: what the file is.
        onnx: the file; None fetches the model's own.

    Raises:
        StorageError: the exported file was changed.
        TrainingError: it cannot be opened.
    """
    return by_tiles(parts.load_detector(model, onnx or parts.files.fetch(model.onnx)), [model.tile])


def by_tiles(detector: Detector, cuts: Iterable[TilePolicy]) -> Detector:
    """Return a detector of whole images that shows the given one tiles only; itself where nothing is cut."""
    for policy in cuts:
        if policy.active:
            detector = in_tiles(detector, policy)
    return detector


def cuts_of(parts: Parts, model: ModelVersion) -> list[TilePolicy]:
    """Return how an image from a camera is cut before a model sees it, the last cut first; nothing for whole images.

    A model may have been taught on tiles that its training cut, or on a dataset version that was made of tiles.
    """
    return [*([model.tile] if model.tile.active else ()), *taught_on(parts, model.dataset_id)]


def camera_images(parts: Parts, model: ModelVersion, samples: Sequence[Sample], *, most: int) -> list[Sample]:
    """Return samples of a model's dataset version as a camera gave them: of tiles the whole images they were cut from.

    Each image once, at most `most` of them, spread evenly over their names.
    """
    whole = uncut(parts, model.dataset_id)
    if whole != model.dataset_id:
        origins = {sample.part.name if sample.part else sample.name for sample in samples}
        samples = [sample for sample in parts.facts.find(Sample, dataset_id=whole) if sample.name in origins]
    once = sorted({sample.image: sample for sample in reversed(samples)}.values(), key=lambda sample: sample.name)
    if len(once) <= most:
        return once
    return [once[(2 * place + 1) * len(once) // (2 * most)] for place in range(most)]


def run_detector(
    parts: Parts,
    detector: Detector,
    samples: Sequence[Sample],
    channels: Channels,
    *,
    stage: str,
    progress: Progress = silent,
) -> list[Detections]:
    """Run an opened model over samples, decoding ahead of it, down to `MIN_SCORE`; `stage` names it for a person."""
    detections: list[Detections] = []
    images = ahead(lambda sample: composed(parts, sample, channels), samples)
    batch = []
    for image in images:
        batch.append(image)
        if len(batch) == _BATCH:
            detections += detector(batch, min_score=MIN_SCORE)
            batch.clear()
            progress(stage, len(detections), len(samples))
    detections += detector(batch, min_score=MIN_SCORE) if batch else []
    progress(stage, len(detections), len(samples))
    return detections
