"""An evaluation and the line's champion to a comparison of both on the same test images."""

from dataclasses import dataclass

from wafergate.domain.evaluation import Comparison, Evaluation, Truth
from wafergate.domain.identity import identify
from wafergate.domain.models import Channels
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side, SplitMember, SplitPolicy
from wafergate.domain.training_rows import ModelVersion, TrainingItem
from wafergate.domain.words import counted
from wafergate.formats.predictions import read_predictions, write_predictions
from wafergate.jobs.evaluate import predict
from wafergate.jobs.parts import Parts, silent
from wafergate.line import LineFile
from wafergate.ports import Progress
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
    row = _compared(parts, line, evaluation, champion, row_id, progress=progress)
    parts.facts.save(row)
    return row


def _compared(
    parts: Parts, line: LineFile, evaluation: Evaluation, champion: ModelVersion, row_id: str, *, progress: Progress
) -> Comparison:
    model = parts.facts.get(ModelVersion, evaluation.model_id)
    shared = tuple(name for name in model.classes if name in champion.classes)
    field = (
        _common_field(parts, line.split, model, champion)
        if shared
        else _Field([], [], 0, "the two detect no class in common")
    )
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


def _common_field(parts: Parts, policy: SplitPolicy, model: ModelVersion, champion: ModelVersion) -> _Field:
    """Leave out every group of the model's split that shows what the champion was trained or validated on.

    File names say nothing here: another dataset version may give them to other images. An image is known by its bytes
    or those of the image it was cut from, and by its values of `group_by`.
    """
    taught = _taught(parts, champion)
    known = {key for sample in taught for key in _keys(sample, policy)}
    samples = parts.facts.find(Sample, dataset_id=model.dataset_id)
    member = {row.name: row for row in parts.facts.find(SplitMember, split_id=model.split_id)}
    tied = {member[sample.name].group for sample in samples if known.intersection(_keys(sample, policy))}
    test = [sample for sample in samples if member[sample.name].side is Side.TEST]
    clean = [sample for sample in test if member[sample.name].group not in tied]
    left_out = len(test) - len(clean)
    if not clean:
        return _Field([], [], left_out, f"the champion learnt from every one of the {len(test)} test images")
    return _Field(clean, [member[sample.name].group for sample in clean], left_out)


def _taught(parts: Parts, champion: ModelVersion) -> list[Sample]:
    """Return the images a model was trained or validated on, and all of their groups."""
    items = parts.facts.find(TrainingItem, training_set_id=champion.training_set_id)
    group = {row.name: row.group for row in parts.facts.find(SplitMember, split_id=champion.split_id)}
    groups = {group[item.origin] for item in items}
    return [s for s in parts.facts.find(Sample, dataset_id=champion.dataset_id) if group[s.name] in groups]


def _keys(sample: Sample, policy: SplitPolicy) -> set[tuple[str, ...]]:
    """Return what makes two images of any two versions the same or of one group."""
    keys: set[tuple[str, ...]] = {("image", sample.image)}
    if sample.part:
        keys.add(("image", sample.part.image))
    values = [sample.metadata.get(key, "") for key in policy.group_by]
    if values and all(values):
        keys.add(("group", *values))
    return keys
