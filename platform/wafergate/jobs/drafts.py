"""A model that nobody stores: what a brief training made, described well enough to be opened and judged."""

from wafergate.domain.models import Candidate
from wafergate.domain.training import TrainedArtefact
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile

__all__ = ["draft_model"]


def draft_model(parts: Parts, line: LineFile, candidate: Candidate, artefact: TrainedArtefact) -> ModelVersion:
    """Describe a trained model well enough to open it; without an id it can never be stored or promoted."""
    return ModelVersion(
        id="",
        line=line.name,
        number=0,
        training_set_id="",
        split_id="",
        dataset_id="",
        candidate=candidate,
        classes=line.classes,
        channels=line.models.channels,
        image_size=line.models.image_size,
        weights="",
        onnx="",
        decoder=artefact.decoder,
        thresholds={},
        start=None,
        epochs=artefact.epochs,
        batch=artefact.batch,
        seed=line.models.seed,
        seconds=artefact.seconds,
        size_mib=0.0,
        versions=artefact.versions,
        created_at=parts.clock(),
        tile=line.tile,
    )
