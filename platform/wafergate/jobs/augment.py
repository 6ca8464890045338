"""A split to the training set that is really trained on, each file with its lineage."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wafergate.domain.identity import identify
from wafergate.domain.samples import Sample
from wafergate.domain.splits import LeakProof, Side, Split, SplitMember
from wafergate.domain.training import PlannedImage, TrainingItem, TrainingSet
from wafergate.jobs.near_duplicates import known_pairs
from wafergate.jobs.parts import Outcome, Parts, ahead, composed, silent
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.augment import plan
from wafergate.stages.leaks import check_leaks, item_of_sample, item_of_training
from wafergate.stages.pixels import apply_operations

__all__ = ["augment", "check_training_set", "samples_on"]


@dataclass(frozen=True, slots=True)
class _Work:
    """One original and everything made of it, with the place of each in the training set."""

    sample: Sample
    side: Side
    position: int
    variants: Sequence[tuple[int, PlannedImage]]


def augment(parts: Parts, line: LineFile, split_id: str, *, progress: Progress = silent) -> Outcome:
    """Plan the augmentation of the training side, carry it out, and store what training will read.

    Raises:
        AugmentError: the plan passes its caps.
        SourceError: the channels need golden references that are missing.
    """
    channels = line.models.channels
    row_id = identify("trainset", split_id, line.augment, channels)
    if parts.facts.find(TrainingSet, id=row_id):
        return Outcome(row_id, reused=True)
    train, validation = (samples_on(parts, split_id, side) for side in (Side.TRAIN, Side.VALIDATION))
    planned = plan(train, line.classes, line.augment)
    work = _arrange(train, validation, planned.images)

    def make(item: _Work) -> list[TrainingItem]:
        pixels = composed(parts, item.sample, channels)
        made = [_item(row_id, item, item.position, parts.files.put(parts.encode(pixels)))]
        for position, variant in item.variants:
            moved = np.asarray(apply_operations(variant.operations, pixels), dtype=np.uint8)
            image = parts.files.put(parts.encode(moved))
            made.append(_item(row_id, item, position, image, variant))
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
        augmented=len(planned.images),
        validation=len(validation),
        plan=planned.classes,
        created_at=parts.clock(),
    )
    ready = list(items())  # every file is stored before a row speaks of it
    return Outcome(row_id, not parts.facts.save(row, ready))


def samples_on(parts: Parts, split_id: str, side: Side) -> list[Sample]:
    """Return the samples of one side of a split, in order."""
    members = parts.facts.find(SplitMember, split_id=split_id, side=side.value)
    wanted = {member.position for member in members}
    dataset = parts.facts.get(Split, split_id).dataset_id
    return [sample for sample in parts.facts.find(Sample, dataset_id=dataset) if sample.position in wanted]


def check_training_set(parts: Parts, training_set_id: str) -> LeakProof:
    """Compare what is really trained on with validation and test (rule M10)."""
    training_set = parts.facts.get(TrainingSet, training_set_id)
    split = parts.facts.get(Split, training_set.split_id)
    samples = {sample.name: sample for sample in parts.facts.find(Sample, dataset_id=split.dataset_id)}
    members = parts.facts.find(SplitMember, split_id=split.id)
    group = {member.name: member.group for member in members}
    taught: dict[str, list[TrainingItem]] = defaultdict(list)
    for item in parts.facts.find(TrainingItem, training_set_id=training_set_id):
        taught[item.side].append(item)
    train, validation = (
        [item_of_training(item, samples[item.origin], group[item.origin]) for item in taught[side]]
        for side in (Side.TRAIN, Side.VALIDATION)
    )
    test = [item_of_sample(samples[member.name], member.group) for member in members if member.side is Side.TEST]
    return check_leaks(train, validation, test, near_duplicates=known_pairs(parts, split.dataset_id))


def _arrange(train: Sequence[Sample], validation: Sequence[Sample], planned: Sequence[PlannedImage]) -> list[_Work]:
    variants: dict[str, list[tuple[int, PlannedImage]]] = defaultdict(list)
    first = len(train) + len(validation)
    for position, image in enumerate(planned, start=first):
        variants[image.origin].append((position, image))
    originals = [(sample, Side.TRAIN) for sample in train] + [(sample, Side.VALIDATION) for sample in validation]
    return [
        _Work(sample, side, position, variants[sample.name] if side is Side.TRAIN else ())
        for position, (sample, side) in enumerate(originals)
    ]


def _item(row_id: str, work: _Work, position: int, image: str, variant: PlannedImage | None = None) -> TrainingItem:
    made = variant or PlannedImage(work.sample.name, (), work.sample.boxes, work.sample.width, work.sample.height)
    return TrainingItem(
        row_id, position, made.origin, made.operations, image, made.width, made.height, made.boxes, work.side.value
    )
