"""A split to the training set that is really trained on, each file with its lineage."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wafergate.domain.augmentation import AugmentationPlan, AugmentPolicy, PlannedImage, Variant
from wafergate.domain.identity import identify
from wafergate.domain.near_duplicates import LikenessPolicy
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import LeakProof, Side, Split, SplitMember
from wafergate.domain.training_rows import TrainingItem, TrainingSet
from wafergate.errors import NotFoundError
from wafergate.jobs.near_duplicates import find_near_duplicates, known_crowds, known_pairs
from wafergate.jobs.parts import Outcome, Parts, ahead, silent
from wafergate.jobs.render import Original
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.augment import plan
from wafergate.stages.leaks import check_leaks, item_of_sample, items_of_training

__all__ = ["augment", "check_training_set", "groups_on", "newest_split", "plan_augmentation", "samples_on"]


@dataclass(frozen=True, slots=True)
class _Work:
    """One original and everything made of it, itself first, each with its place in the training set."""

    sample: Sample
    side: Side
    variants: Sequence[tuple[int, Variant]]


def newest_split(parts: Parts, line: LineFile) -> Split:
    """Return the newest split of the line's newest dataset version that has one.

    Raises:
        NotFoundError: the line has no split yet.
    """
    for version in parts.facts.find(DatasetVersion, line=line.name):
        for row in parts.facts.find(Split, dataset_id=version.id, limit=1):
            return row
    message = f"line {line.name!r} has no split yet: `wafergate intake` and `wafergate retrain` make one"
    raise NotFoundError(message)


def plan_augmentation(parts: Parts, line: LineFile, split_id: str, *, policy: AugmentPolicy | None = None) -> Outcome:
    """Plan what is added to the training side of a split, and store the plan; no pixel is made.

    Args:
        parts: the real parts.
        line: the line file.
        split_id: the split.
        policy: takes the place of the line file's.

    Raises:
        AugmentError: the plan passes its caps; the message has the numbers.
    """
    policy = policy or line.augment
    row_id = plan_identity(line, split_id, policy)
    if parts.facts.find(AugmentationPlan, id=row_id):
        return Outcome(row_id, reused=True)
    made = plan(samples_on(parts, split_id, Side.TRAIN), line.classes, policy)
    row = AugmentationPlan(
        id=row_id,
        split_id=split_id,
        originals=made.originals,
        images=len(made.images),
        synthetic=sum(bool(image.donor) for image in made.images),
        classes=made.classes,
        caps={"per_original": policy.per_original, "per_class": policy.per_class, "total": policy.total},
        notes=made.notes,
        created_at=parts.clock(),
    )
    images = [
        PlannedImage(row_id, place, i.origin, i.operations, i.boxes, i.width, i.height, i.donor)
        for place, i in enumerate(made.images)
    ]
    return Outcome(row_id, not parts.facts.save(row, images))


def plan_identity(line: LineFile, split_id: str, policy: AugmentPolicy) -> str:
    """Return the id of the plan that a policy makes for the classes of a line."""
    return identify("plan", split_id, line.classes, policy)


def augment(
    parts: Parts,
    line: LineFile,
    split_id: str,
    *,
    policy: AugmentPolicy | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Carry out the plan for the training side, and store what training will read.

    Args:
        parts: the real parts.
        line: the line file.
        split_id: the split.
        policy: takes the place of the line file's.
        progress: told of the images made.

    Raises:
        AugmentError: the plan passes its caps.
        SourceError: the channels need golden references that are missing.
    """
    channels = line.models.channels
    planned = parts.facts.get(AugmentationPlan, plan_augmentation(parts, line, split_id, policy=policy).id)
    row_id = identify("trainset", planned.id, channels)
    if parts.facts.find(TrainingSet, id=row_id):
        return Outcome(row_id, reused=True)
    train, validation = (samples_on(parts, split_id, side) for side in (Side.TRAIN, Side.VALIDATION))
    variants = [image.variant for image in parts.facts.find(PlannedImage, plan_id=planned.id)]
    work = _arrange(train, validation, variants)
    teachers = {sample.name: sample for sample in train}

    def make(item: _Work) -> list[TrainingItem]:
        original = Original.load(parts, item.sample, channels)
        made = []
        for position, variant in item.variants:
            image = parts.files.put(parts.encode(original.render(parts, variant, teachers)))
            made.append(_item(row_id, position, image, variant, item.side))
        return made

    def items() -> Iterator[TrainingItem]:
        for done, made in enumerate(ahead(make, work), start=1):
            progress("making the training set", done, len(work))
            yield from made

    row = TrainingSet(
        id=row_id,
        split_id=split_id,
        channels=channels,
        originals=len(train),
        augmented=len(variants),
        validation=len(validation),
        plan=planned.classes,
        created_at=parts.clock(),
        plan_id=planned.id,
        synthetic=planned.synthetic,
    )
    ready = list(items())  # every file is stored before a row speaks of it
    return Outcome(row_id, not parts.facts.save(row, ready))


def samples_on(parts: Parts, split_id: str, side: Side) -> list[Sample]:
    """Return the samples of one side of a split, in order."""
    members = parts.facts.find(SplitMember, split_id=split_id, side=side.value)
    wanted = {member.position for member in members}
    dataset = parts.facts.get(Split, split_id).dataset_id
    return [sample for sample in parts.facts.find(Sample, dataset_id=dataset) if sample.position in wanted]


def groups_on(parts: Parts, split_id: str, samples: Sequence[Sample]) -> list[str]:
    """Return the group of each sample of a split."""
    group = {member.name: member.group for member in parts.facts.find(SplitMember, split_id=split_id)}
    return [group[sample.name] for sample in samples]


def check_training_set(
    parts: Parts, policy: LikenessPolicy, training_set_id: str, *, told_apart: bool = False
) -> LeakProof:
    """Compare what is really trained on with validation and test (rule M10).

    Near-duplicates are those of the policy given: a search under another one, tried out once, binds nobody.

    Args:
        parts: the real parts.
        policy: from when on two images show the same part.
        training_set_id: what is trained on.
        told_apart: whether the line groups its images: those that look like too many others are then known apart.
    """
    training_set = parts.facts.get(TrainingSet, training_set_id)
    split = parts.facts.get(Split, training_set.split_id)
    samples = {sample.name: sample for sample in parts.facts.find(Sample, dataset_id=split.dataset_id)}
    members = parts.facts.find(SplitMember, split_id=split.id)
    group = {member.name: member.group for member in members}
    taught: dict[str, list[TrainingItem]] = defaultdict(list)
    for item in parts.facts.find(TrainingItem, training_set_id=training_set_id):
        taught[item.side].append(item)
    train, validation = (
        [teacher for item in taught[side] for teacher in items_of_training(item, _parents(item, samples, group))]
        for side in (Side.TRAIN, Side.VALIDATION)
    )
    test = [item_of_sample(samples[member.name], member.group) for member in members if member.side is Side.TEST]
    find_near_duplicates(parts, policy, split.dataset_id)
    same = known_pairs(parts, split.dataset_id, policy)
    crowds = [] if told_apart else known_crowds(parts, split.dataset_id, policy)
    return check_leaks(train, validation, test, near_duplicates=same, crowds=crowds)


def _parents(item: TrainingItem, samples: Mapping[str, Sample], group: Mapping[str, str]) -> list[tuple[Sample, str]]:
    return [(samples[name], group[name]) for name in (item.origin, item.donor) if name]


def _arrange(train: Sequence[Sample], validation: Sequence[Sample], planned: Sequence[Variant]) -> list[_Work]:
    made: dict[str, list[tuple[int, Variant]]] = defaultdict(list)
    first = len(train) + len(validation)
    for position, variant in enumerate(planned, start=first):
        made[variant.origin].append((position, variant))
    originals = [(sample, Side.TRAIN) for sample in train] + [(sample, Side.VALIDATION) for sample in validation]
    return [
        _Work(sample, side, [(position, _as_it_is(sample)), *(made[sample.name] if side is Side.TRAIN else ())])
        for position, (sample, side) in enumerate(originals)
    ]


def _as_it_is(sample: Sample) -> Variant:
    return Variant(sample.name, (), sample.boxes, sample.width, sample.height)


def _item(row_id: str, position: int, image: str, variant: Variant, side: Side) -> TrainingItem:
    return TrainingItem(
        training_set_id=row_id,
        position=position,
        origin=variant.origin,
        operations=variant.operations,
        image=image,
        width=variant.width,
        height=variant.height,
        boxes=variant.boxes,
        side=side.value,
        donor=variant.donor,
    )
