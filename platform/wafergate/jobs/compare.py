"""An evaluation and the line's champion to a comparison of both on the same test images."""

from dataclasses import dataclass

from wafergate.domain.evaluation import Comparison, Evaluation, Truth
from wafergate.domain.identity import identify
from wafergate.domain.models import Channels
from wafergate.domain.samples import Sample
from wafergate.domain.splits import LeakItem, Side, SplitMember
from wafergate.domain.training_rows import ModelVersion, TrainingItem
from wafergate.domain.words import counted
from wafergate.formats.predictions import read_predictions, write_predictions
from wafergate.jobs.augment import samples_on
from wafergate.jobs.evaluate import predict
from wafergate.jobs.parts import Parts, silent
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.leaks import check_leaks, item_of_sample, item_of_training
from wafergate.stages.pair import Contender, pair

__all__ = ["compare"]


@dataclass(frozen=True, slots=True)
class _Field:
    """The images two models may be compared on, and why none where there are none."""

    samples: list[Sample]
    groups: list[str]
    left_out: int
    reason: str = ""


def compare(parts: Parts, line: LineFile, evaluation_id: str, *, progress: Progress = silent) -> Comparison | None:
    """Run the line's champion on the test images of an evaluation that it has not learnt from.

    Returns:
        The comparison; None where no other model judges the line. A model that became champion since keeps the
        comparison it was promoted on.
    """
    evaluation = parts.facts.get(Evaluation, evaluation_id)
    earlier = parts.facts.find(Comparison, evaluation_id=evaluation_id)
    now = parts.facts.champion(line.name)
    if now is None:
        return None
    if now.model_id == evaluation.model_id:
        return earlier[0] if earlier else None
    champion = parts.facts.get(ModelVersion, now.model_id)
    row_id = identify("comparison", evaluation_id, champion.id, champion.thresholds)
    for known in earlier:
        if known.id == row_id:
            return known
    row = _compared(parts, evaluation, champion, row_id, progress=progress)
    parts.facts.save(row)
    return row


def _compared(
    parts: Parts, evaluation: Evaluation, champion: ModelVersion, row_id: str, *, progress: Progress
) -> Comparison:
    model = parts.facts.get(ModelVersion, evaluation.model_id)
    shared = tuple(name for name in model.classes if name in champion.classes)
    field = _common_field(parts, model, champion) if shared else _Field([], [], 0, "the two detect no class in common")
    reason = field.reason or _blocked(champion, field.samples)
    if reason:
        return Comparison(row_id, evaluation.id, champion.id, 0, field.left_out, (), reason, "", parts.clock())
    said = predict(parts, champion, field.samples, progress=progress)
    names = tuple(sample.name for sample in field.samples)
    kept = read_predictions(parts.files.get(evaluation.predictions))
    own = dict(zip(kept.names, kept.detections, strict=True))
    paired = pair(
        [Truth.of((box for box in sample.boxes if box.defect_class in shared), shared) for sample in field.samples],
        Contender(champion.classes, champion.thresholds, said),
        Contender(model.classes, model.thresholds, [own[name] for name in names]),
        shared=shared,
        iou=evaluation.iou,
        confidence=evaluation.confidence,
        groups=field.groups,
    )
    predictions = parts.files.put(write_predictions(names, said, champion.classes))
    return Comparison(
        row_id, evaluation.id, champion.id, len(names), field.left_out, paired, "", predictions, parts.clock()
    )


def _blocked(champion: ModelVersion, samples: list[Sample]) -> str:
    blind = [sample.name for sample in samples if not sample.reference]
    if champion.channels is Channels.GOLDEN and blind:
        lacking = counted(len(blind), "test image")
        return f"the champion compares with golden references, which {lacking} lack, e.g. {blind[0]}"
    return ""


def _common_field(parts: Parts, model: ModelVersion, champion: ModelVersion) -> _Field:
    """Leave out what the champion was trained or validated on, and prove with the leak check that nothing is left."""
    taught = _taught(parts, champion)
    images, names = {item.image for item in taught}, {item.origin or item.name for item in taught}
    member = {row.name: row for row in parts.facts.find(SplitMember, split_id=model.split_id)}
    known = {item.group for item in taught} | {
        member[sample.name].group
        for side in Side
        for sample in samples_on(parts, model.split_id, side)
        if sample.image in images
    }
    test = samples_on(parts, model.split_id, Side.TEST)
    clean = [sample for sample in test if sample.name not in names and member[sample.name].group not in known]
    groups = [member[sample.name].group for sample in clean]
    left_out = len(test) - len(clean)
    if not clean:
        return _Field([], [], left_out, f"the champion learnt from every one of the {len(test)} test images")
    judging = [item_of_sample(sample, group) for sample, group in zip(clean, groups, strict=True)]
    proof = check_leaks(taught, (), judging)
    if proof.cross_edges:
        return _Field([], [], left_out, f"the champion learnt from test images: {'; '.join(proof.examples)}")
    return _Field(clean, groups, left_out)


def _taught(parts: Parts, champion: ModelVersion) -> list[LeakItem]:
    samples = {sample.name: sample for sample in parts.facts.find(Sample, dataset_id=champion.dataset_id)}
    group = {row.name: row.group for row in parts.facts.find(SplitMember, split_id=champion.split_id)}
    return [
        item_of_training(item, samples[item.origin], group[item.origin])
        for item in parts.facts.find(TrainingItem, training_set_id=champion.training_set_id)
    ]
