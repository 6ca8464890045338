"""Images to a short training that answers a question: what it made is judged, and never stored as a model."""

from collections.abc import Sequence

from wafergate.domain.evaluation import ClassFigures, Detections, Truth
from wafergate.domain.judging import judge
from wafergate.domain.models import Channels
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side
from wafergate.domain.training import TrainedArtefact
from wafergate.domain.training_rows import TrainingItem
from wafergate.jobs.detect import open_judge, run_detector
from wafergate.jobs.drafts import draft_model
from wafergate.jobs.parts import Parts, ahead, composed
from wafergate.jobs.training_job import Start
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.evaluate import figures

__all__ = ["SCORE", "judge_at_score", "originals"]

SCORE = 0.25
"""Every run is judged at this score: thresholds of its own, set on validation, would hide what the runs differ by."""


def originals(parts: Parts, samples: Sequence[Sample], channels: Channels, *, progress: Progress) -> list[TrainingItem]:
    """Compose what a model sees of each sample; files that a training set made already are not written again."""

    def make(entry: tuple[int, Sample]) -> TrainingItem:
        position, sample = entry
        image = parts.files.put(parts.encode(composed(parts, sample, channels)))
        return TrainingItem(
            "", position, sample.name, (), image, sample.width, sample.height, sample.boxes, Side.TRAIN.value
        )

    items = []
    for done, item in enumerate(ahead(make, enumerate(samples)), start=1):
        items.append(item)
        progress("making the training images", done, len(samples))
    return items


def judge_at_score(
    parts: Parts,
    line: LineFile,
    start: Start,
    artefact: TrainedArtefact,
    samples: Sequence[Sample],
    *,
    stage: str,
    progress: Progress,
) -> tuple[ClassFigures, ...]:
    """Return the figures of every class at `SCORE`, as the exported model finds them."""
    detector = open_judge(parts, draft_model(parts, line, start.candidate, artefact), artefact.onnx)
    said: list[Detections] = run_detector(
        parts, detector, samples, line.models.channels, stage=stage, progress=progress
    )
    truth = [Truth.of(sample.boxes, line.classes) for sample in samples]
    judged = judge(truth, said, line.classes, thresholds=dict.fromkeys(line.classes, SCORE), iou=line.gate.iou)
    return figures(judged, confidence=line.gate.confidence).classes
