"""A model version to its evaluation on the sealed test set (rule M9)."""

from collections.abc import Sequence
from itertools import chain

from wafergate.domain.bounds import least_groups
from wafergate.domain.evaluation import Detections, Evaluation, SliceFigures, Truth
from wafergate.domain.identity import identify
from wafergate.domain.judging import Judged, judge
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side, Split
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import SplitError, StorageError
from wafergate.formats.predictions import read_predictions, write_predictions
from wafergate.jobs.augment import groups_on, samples_on
from wafergate.jobs.detect import open_judge, run_detector
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.past import looks
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.evaluate import figures, size_slices, slices
from wafergate.stages.split import seal

__all__ = ["evaluate", "predict"]

_SLICED_BY = ("lot", "station")


def evaluate(
    parts: Parts, line: LineFile, model_id: str, *, side: Side = Side.TEST, progress: Progress = silent
) -> Outcome:
    """Judge a model's exported file on one side of its split, at its frozen thresholds.

    Raises:
        SplitError: the side holds no image.
        StorageError: the test set is not the one that was sealed.
    """
    model = parts.facts.get(ModelVersion, model_id)
    split = parts.facts.get(Split, model.split_id)
    policy = line.gate
    keys = tuple(dict.fromkeys((*_SLICED_BY, *line.split.group_by)))
    settings = [policy.iou, policy.confidence, model.thresholds, line.prevalence, keys]
    if policy.grouped:  # what was stored before bounds by groups needed so many does not answer
        settings.append(least_groups(policy.confidence))
    row_id = identify("evaluation", model_id, split.id, side, *settings)
    if parts.facts.find(Evaluation, id=row_id):
        return Outcome(row_id, reused=True)
    samples = samples_on(parts, split.id, side)
    if not samples:
        message = f"side {side.value!r} of split {split.id} holds no image to judge on"
        raise SplitError(message)
    if side is Side.TEST and seal(samples, [side] * len(samples)) != split.test_digest:
        message = (
            f"the test set of split {split.id} must be the one that was sealed ({split.test_digest[:12]}); its images "
            "or boxes were changed in the store: bring them back from a backup, or make a new version and split that"
        )
        raise StorageError(message)
    look = looks(parts, split) + 1 if side is Side.TEST else 0
    detections, predictions = _raw_predictions(parts, model, samples, progress=progress)
    truth = [Truth.of(sample.boxes, model.classes) for sample in samples]
    judged = judge(truth, detections, model.classes, thresholds=model.thresholds, iou=policy.iou)
    found = figures(
        judged,
        confidence=policy.confidence,
        groups=groups_on(parts, split.id, samples),
        prevalence=line.prevalence or None,
    )
    row = Evaluation(
        id=row_id,
        model_id=model_id,
        split_id=split.id,
        side=side.value,
        iou=policy.iou,
        confidence=policy.confidence,
        images=found.images,
        classes=found.classes,
        escapes=found.escapes,
        overkill=found.overkill,
        baseline_accuracy=found.baseline_accuracy,
        predictions=predictions,
        look=look,
        created_at=parts.clock(),
        confusion=found.confusion,
        slices=_slices(judged, samples, keys, confidence=policy.confidence),
        real_false_alarm_share=found.real_false_alarm_share,
    )
    return Outcome(row_id, not parts.facts.save(row))


def _slices(
    judged: Judged, samples: Sequence[Sample], keys: Sequence[str], *, confidence: float
) -> tuple[SliceFigures, ...]:
    """Return recall by class for each value of each key the samples carry, and by box size."""
    told = [(key, [sample.metadata.get(key, "") for sample in samples]) for key in keys]
    parts = [slices(judged, key, values, confidence=confidence) for key, values in told if any(values)]
    return (*chain.from_iterable(parts), *size_slices(judged, confidence=confidence))


def predict(
    parts: Parts, model: ModelVersion, samples: list[Sample], *, progress: Progress = silent
) -> list[Detections]:
    """Run a model's exported file over whole images, down to `MIN_SCORE`."""
    detector, stage = open_judge(parts, model), "judging on test images"
    return run_detector(parts, detector, samples, model.channels, stage=stage, progress=progress)


def _raw_predictions(
    parts: Parts, model: ModelVersion, samples: list[Sample], *, progress: Progress
) -> tuple[list[Detections], str]:
    """Return predictions and their file; those of an earlier evaluation on the same images are used again."""
    names = tuple(sample.name for sample in samples)
    for earlier in parts.facts.find(Evaluation, model_id=model.id):
        kept = read_predictions(parts.files.get(earlier.predictions))
        if kept.names == names:
            return list(kept.detections), earlier.predictions
    detections = predict(parts, model, samples, progress=progress)
    return detections, parts.files.put(write_predictions(names, detections, model.classes))
