"""A dataset version to one of its tiles: PNG files, labels by the stated rule, lineage to each original."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.geometry import Box
from wafergate.domain.identity import identify
from wafergate.domain.samples import DatasetVersion, ImageRecord, Sample, count_classes
from wafergate.domain.tiling import TilePolicy, Tiling
from wafergate.errors import ConfigError
from wafergate.jobs.parts import Outcome, Parts, ahead, silent
from wafergate.line import LineFile
from wafergate.ports import ImageExaminer, Progress
from wafergate.stages.compose import registered
from wafergate.stages.tile import TilePlan, count_fates, plan_tiles

__all__ = ["tile"]

Pixels = NDArray[np.uint8]
_Cut = tuple[list[Sample], list[ImageRecord]]


def tile(
    parts: Parts, line: LineFile, dataset_id: str, *, policy: TilePolicy | None = None, progress: Progress = silent
) -> Outcome:
    """Cut every image of a dataset version, and its golden reference alike, into tiles.

    Args:
        parts: the real parts.
        line: the line file.
        dataset_id: the version to cut; it stays as it is.
        policy: what to cut; None takes the line's `[tile]`.
        progress: told of every image.

    Returns:
        The id of the version of tiles; the same version and policy give the same one.

    Raises:
        ConfigError: the policy cuts nothing, or an image has no room for so many tiles.
    """
    policy = policy or line.tile
    if not policy.active:
        message = "one row and one column cut nothing: set rows and columns in [tile], or give --rows and --columns"
        raise ConfigError(message)
    row_id = identify("tiling", dataset_id, policy)
    if known := parts.facts.find(Tiling, id=row_id):
        return Outcome(known[0].dataset_id, reused=True)
    parent = parts.facts.get(DatasetVersion, dataset_id)
    samples = parts.facts.find(Sample, dataset_id=dataset_id)
    plans = [_plan(sample, policy) for sample in samples]
    tiles, records = _cut_all(parts, line, samples, plans, progress=progress)
    version = _version(parts, parent, policy, tiles)
    row = Tiling(
        id=row_id,
        dataset_id=version.id,
        parent_id=parent.id,
        policy=policy,
        images=len(samples),
        tiles=len(tiles),
        left_out=sum(plan.left_out for plan in plans),
        classes=count_fates(plans, dict.fromkeys([*line.classes, *parent.instances])),
        created_at=parts.clock(),
    )
    parts.facts.save_all(records)
    placed = (replace(item, dataset_id=version.id, position=place) for place, item in enumerate(tiles))
    if not parts.facts.save(version, [*placed, row]):
        parts.facts.save(row)  # another policy cut the very same tiles before
    return Outcome(version.id, reused=False)


def _plan(sample: Sample, policy: TilePolicy) -> TilePlan:
    try:
        return plan_tiles(sample, policy)
    except ConfigError as error:
        message = f"{sample.name} ({sample.width} x {sample.height}): {error}"
        raise ConfigError(message) from error


def _cut_all(
    parts: Parts, line: LineFile, samples: Sequence[Sample], plans: Sequence[TilePlan], *, progress: Progress
) -> tuple[list[Sample], list[ImageRecord]]:
    """Cut, store and examine every tile; a file is stored before a row speaks of it."""
    examine = parts.examiner(line.intake.max_pixels)

    def cut(item: tuple[Sample, TilePlan]) -> _Cut:
        return _cut(parts, examine, *item)

    tiles: list[Sample] = []
    records: list[ImageRecord] = []
    work: Iterator[_Cut] = ahead(cut, zip(samples, plans, strict=True))
    for done, (cuts, examined) in enumerate(work, start=1):
        tiles += cuts
        records += examined
        progress("cutting tiles", done, len(samples))
    return tiles, records


def _cut(parts: Parts, examine: ImageExaminer, sample: Sample, plan: TilePlan) -> _Cut:
    image, reference = parts.decode(parts.files.get(sample.image)), None
    if sample.reference:
        # laid over the whole image, as inspection does: a tile alone may show too little to find the shift by
        reference = _narrowed(registered(image, parts.decode(parts.files.get(sample.reference))))
    image = _narrowed(image)
    records: list[ImageRecord] = []

    def enter(pixels: Pixels, window: Box) -> ImageRecord:
        part = pixels[int(window.y1) : int(window.y2), int(window.x1) : int(window.x2)]
        data = parts.encode(np.ascontiguousarray(part))
        parts.files.put(data)
        records.append(examine(data, now=parts.clock()))
        return records[-1]

    cuts = []
    for planned in plan.tiles:
        record = enter(image, planned.window)
        golden = enter(reference, planned.window).id if reference is not None else None
        cuts.append(
            replace(
                sample,
                name=planned.name,
                image=record.id,
                reference=golden,
                width=record.width,
                height=record.height,
                boxes=planned.boxes,
                part=planned.part,
            )
        )
    return cuts, records


def _narrowed(pixels: Pixels) -> Pixels:
    """Keep one channel of a grey image: decoding gives it three equal ones, which would triple the tiles' files."""
    first = pixels[:, :, 0]
    grey = np.array_equal(first, pixels[:, :, 1]) and np.array_equal(first, pixels[:, :, 2])
    return first if grey else pixels


def _version(parts: Parts, parent: DatasetVersion, policy: TilePolicy, tiles: Sequence[Sample]) -> DatasetVersion:
    content = [replace(item, dataset_id="", position=place) for place, item in enumerate(tiles)]
    instances, images = count_classes(tiles, parent.instances)
    return replace(
        parent,
        id=identify("data", parent.line, content, parent.taxonomy_signed, parent.licence, sorted(parent.instances)),
        number=0,
        source=f"version {parent.number} cut {policy.rows} x {policy.columns}",
        format="tiles",
        images=len(tiles),
        normal_images=sum(not item.boxes for item in tiles),
        instances=instances,
        image_counts=images,
        created_at=parts.clock(),
        parent=None,  # corrections may have made the version that was cut, never this one
    )
