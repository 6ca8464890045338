"""What earlier splits of a line decided about its images, and how often a test set was looked at."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from wafergate.domain.evaluation import Evaluation
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import Side, Split, SplitMember, SplitPolicy
from wafergate.domain.standing import Past, Renewal, Standing, bind_groups, standing_of, strongest
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.parts import Parts
from wafergate.stages.group import assign_groups, has_keys

__all__ = ["Units", "line_splits", "looks", "renewals", "sealed", "units"]


class Units(NamedTuple):
    """The group of every sample, and what the samples and groups were before."""

    groups: list[str]
    past: Past


def units(
    parts: Parts,
    dataset: DatasetVersion,
    samples: Sequence[Sample],
    policy: SplitPolicy,
    *,
    same: Iterable[tuple[str, str]] = (),
    retiring: str = "",
) -> Units:
    """Group the samples of a dataset version and say what each was before.

    An image is known by its bytes. Images of earlier versions that this one no longer holds still speak for their
    group: a new image of a lot that taught follows that lot.

    Args:
        parts: the stores.
        dataset: the version to split.
        samples: its images.
        policy: what makes a group.
        same: names of samples that show the same part again.
        retiring: id of a split, to act as if the line's test sets up to this one had been retired.

    Raises:
        SplitError: a sample lacks what the policy groups by.
    """
    retired = renewals(parts, dataset.line)
    splits = _binding(parts, dataset, {row.split_id for row in retired} | {retiring})
    known = _standings(parts, splits, {row.id for row in splits} if retiring else _worn(splits, retired))
    here = {sample.image for sample in samples}
    gone = _gone(parts, splits, {image for image in known if image not in here}, policy)
    stood = [known.get(sample.image) for sample in [*samples, *gone]]
    groups = assign_groups([*samples, *gone], policy, same=same)
    size = len(samples)
    return Units(groups[:size], Past(stood[:size], bind_groups(stood, groups)))


def sealed(parts: Parts, dataset: DatasetVersion) -> set[str]:
    """Return the SHA-256 of every image that judges: on test in a split that binds a version, or in its newest one.

    The image that such a tile was cut from is one of them. What is made of a version before the gate judges must not
    show how a model does on them (rule M9).
    """
    retired = renewals(parts, dataset.line)
    splits = _binding(parts, dataset, {row.split_id for row in retired})
    splits += parts.facts.find(Split, dataset_id=dataset.id, limit=1)
    standings = _standings(parts, splits, _worn(splits, retired))
    judging = {image for image, standing in standings.items() if standing is Standing.TEST}
    datasets = sorted({split.dataset_id for split in splits})
    tiles = parts.facts.find(Sample, dataset_id=datasets, image=sorted(judging)) if judging else []
    return judging | {tile.part.image for tile in tiles if tile.part}


def renewals(parts: Parts, line: str) -> list[Renewal]:
    """Return the test sets of a line that were retired, newest first."""
    return parts.facts.find(Renewal, line=line)


def line_splits(parts: Parts, line: str) -> list[Split]:
    """Return every split of a line's dataset versions, newest first."""
    versions = [row.id for row in parts.facts.find(DatasetVersion, line=line)]
    return parts.facts.find(Split, dataset_id=versions)


def looks(parts: Parts, split: Split) -> int:
    """Count how often a test set was looked at: as often as its most used image, in this or any other test set.

    A test set that grew has another digest; the looks at its earlier images carry over, because what was learnt from
    them is not forgotten. Other lines' looks count as well: a line file under another name makes no test set new.
    """
    judged = [member.image for member in parts.facts.find(SplitMember, split_id=split.id, side=Side.TEST.value)]
    members = parts.facts.find(SplitMember, image=judged, side=Side.TEST.value)
    splits = sorted({member.split_id for member in members})
    used = Counter(row.split_id for row in parts.facts.find(Evaluation, split_id=splits, side=Side.TEST.value))
    counts: Counter[str] = Counter()
    for image, split_id in {(member.image, member.split_id) for member in members}:
        counts[image] += used[split_id]
    return max(counts.values(), default=0)


def _binding(parts: Parts, dataset: DatasetVersion, retired: set[str]) -> list[Split]:
    """Return the splits that bind a version: the newest of each other version, all that a model came from, all retired.

    A split that nothing was trained on binds no other split of the same version: a policy may be tried out.
    """
    taught = retired | {model.split_id for model in parts.facts.find(ModelVersion, line=dataset.line)}
    binding, newest = [], set()
    for split in line_splits(parts, dataset.line):
        first = split.dataset_id != dataset.id and split.dataset_id not in newest
        newest.add(split.dataset_id)
        if first or split.id in taught:
            binding.append(split)
    return binding


def _worn(splits: Iterable[Split], retired: Sequence[Renewal]) -> set[str]:
    """Return the ids of the splits that are not newer than the last test set that was retired."""
    last = max((row.created_at for row in retired), default=None)
    return {row.id for row in splits if last is not None and row.created_at <= last}


def _standings(parts: Parts, splits: Sequence[Split], worn: set[str]) -> dict[str, Standing]:
    """Return the strongest tie of every image that a side has used, by the image's SHA-256."""
    known: dict[str, Standing] = {}
    for member in parts.facts.find(SplitMember, split_id=[row.id for row in splits]) if splits else ():
        standing = standing_of(member.side, retired=member.split_id in worn)
        if standing is not None:
            known[member.image] = strongest((standing, known.get(member.image, standing)))
    return known


def _gone(parts: Parts, splits: Iterable[Split], images: set[str], policy: SplitPolicy) -> list[Sample]:
    """Return the samples of images that this version no longer holds, where the policy can group them."""
    found: dict[str, Sample] = {}
    for dataset_id in dict.fromkeys(split.dataset_id for split in splits) if images else ():
        for sample in parts.facts.find(Sample, dataset_id=dataset_id):
            if sample.image in images and sample.image not in found and has_keys(sample, policy):
                # Its name may be that of another image by now.
                found[sample.image] = replace(sample, name=f"{sample.name} of {dataset_id}")
    return list(found.values())
