"""A model over its own training images, once; and how new another image is to it."""

from typing import Protocol

import numpy as np

from wafergate.domain.evaluation import Detections
from wafergate.domain.identity import identify
from wafergate.domain.novelty import Familiar, ModelReference
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.embeddings import read_embeddings, write_embeddings
from wafergate.formats.predictions import read_predictions, write_predictions
from wafergate.jobs.augment import samples_on
from wafergate.jobs.detect import by_tiles, camera_images, cuts_of, run_detector
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.ports import Progress
from wafergate.stages.novelty import LEAST_IMAGES, fit, measure

__all__ = ["MOST_IMAGES", "NoveltyTeller", "familiar", "novelty_of", "refer", "taught_images"]

MOST_IMAGES = 1000
"""More training images than this make a reference no better, and its making slow."""


def refer(parts: Parts, model: ModelVersion, *, progress: Progress = silent) -> Outcome:
    """Show a model its own training images as inspection would, and keep what it says; done once a model."""
    row_id = identify("reference", model.id)
    if parts.facts.find(ModelReference, id=row_id):
        return Outcome(row_id, reused=True)
    samples = taught_images(parts, model)
    detector = by_tiles(parts.load_detector(model, parts.files.fetch(model.onnx)), cuts_of(parts, model))
    said = run_detector(parts, detector, samples, model.channels, stage="looking at training images", progress=progress)
    seen = [item.embedding for item in said if item.embedding is not None]
    whole = len(seen) == len(said) >= LEAST_IMAGES
    row = ModelReference(
        id=row_id,
        model_id=model.id,
        images=len(samples),
        dimensions=seen[0].shape[1] if whole else 0,
        predictions=parts.files.put(
            write_predictions(
                [sample.image for sample in samples], [_kept(model, item) for item in said], model.classes
            )
        ),
        embeddings=parts.files.put(write_embeddings(seen)) if whole else None,
        created_at=parts.clock(),
    )
    return Outcome(row_id, not parts.facts.save(row))


def taught_images(parts: Parts, model: ModelVersion) -> list[Sample]:
    """Return the images a model learnt from, as a camera gives them, at most `MOST_IMAGES`; see `camera_images`."""
    return camera_images(parts, model, samples_on(parts, model.split_id, Side.TRAIN), most=MOST_IMAGES)


def familiar(parts: Parts, reference: ModelReference) -> Familiar | None:
    """Return what is familiar to a model; None where its exported file gives no embedding."""
    if reference.embeddings is None:
        return None
    return fit(*read_embeddings(parts.files.get(reference.embeddings)))


class NoveltyTeller(Protocol):
    """Tells the novelty of an image from what its model said of it."""

    def __call__(self, said: Detections, *, image: str = "") -> float | None:
        """Return the novelty; None where the model gives no embedding.

        Args:
            said: what the model said, embedding included.
            image: SHA-256 of the image. One that the model learnt from is told as it was measured when it was left
                out: the fit holds it, so that it would lie nearer than a new image of the same kind.
        """


def novelty_of(parts: Parts, model: ModelVersion, *, progress: Progress = silent) -> NoveltyTeller:
    """Return what tells the novelty of an image from what the model said of it."""
    reference = parts.facts.get(ModelReference, refer(parts, model, progress=progress).id)
    known = familiar(parts, reference)
    taught = read_predictions(parts.files.get(reference.predictions)).names if known else ()
    held_out = {} if known is None else dict(zip(taught, known.trained.tolist(), strict=True))

    def tell(said: Detections, *, image: str = "") -> float | None:
        if known is None or said.embedding is None:
            return None
        return held_out[image] if image in held_out else measure(known, said.embedding)

    return tell


def _kept(model: ModelVersion, said: Detections) -> Detections:
    """Return the detections at or above their class's operating threshold."""
    limits = np.array([model.thresholds[name] for name in model.classes])
    kept = said.scores >= limits[said.classes]
    return Detections(said.boxes[kept], said.scores[kept], said.classes[kept])
