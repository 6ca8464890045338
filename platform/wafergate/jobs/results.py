"""Stored inspections to files for other tools, and to the summary of a lot."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wafergate.domain.bounds import lower_bound, upper_bound
from wafergate.domain.evaluation import Rate
from wafergate.domain.geometry import Box
from wafergate.domain.inspection import InspectedImage, InspectionRun
from wafergate.domain.production import ProductionItem
from wafergate.domain.samples import ImageRecord
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError, StorageError
from wafergate.formats.drawing import draw_found
from wafergate.formats.inspected import as_coco, as_csv
from wafergate.jobs.inspect_lot import Inspected
from wafergate.jobs.parts import Parts, ahead

__all__ = ["LotSummary", "images_of_runs", "show_lot", "write_coco", "write_csv", "write_pictures"]


@dataclass(frozen=True, slots=True)
class LotSummary:
    """What was found in a lot, each image as it was seen last.

    Attributes:
        line: the production line.
        lot: the lot.
        run: its newest inspection.
        models: numbers of the models that saw its images last: several where a champion followed another in the lot.
        defective: defective images of all, with 95 % bounds on each side.
        instances: class to its detections, classes without any too.
        showing: class to the images that show it.
        review: images of the lot in the review queue.
    """

    line: str
    lot: str
    run: InspectionRun
    models: tuple[int, ...]
    defective: Rate
    instances: dict[str, int]
    showing: dict[str, int]
    review: int


def images_of_runs(parts: Parts, line: str, done: Inspected) -> list[InspectedImage]:
    """Return what an inspection of a source found, of this time or an earlier one, by name."""
    found = [
        image
        for run in done.runs
        for image in parts.inspections.images(line=line, run_id=run)
        if done.images.get((image.name, image.image)) == run
    ]
    return sorted(found, key=lambda image: image.name)


def show_lot(parts: Parts, *, line: str, lot: str) -> LotSummary:
    """Sum up a lot: what was found on each image when it was seen last.

    Raises:
        NotFoundError: no image of the lot is stored.
    """
    runs = parts.inspections.lot_runs(line, lot)
    images = parts.inspections.seen_last(line=line, lot=lot)
    if not runs or not images:
        message = (
            f"line {line!r} holds no inspected image of lot {lot!r}; `wafergate inspections list` shows what it has"
        )
        raise NotFoundError(message)
    models = parts.facts.find(ModelVersion, id=sorted({image.model_id for image in images}))
    classes = dict.fromkeys(name for model in models for name in model.classes)
    instances = Counter(name for image in images for name, *_ in image.detections)
    showing = Counter(name for image in images for name in {name for name, *_ in image.detections})
    asked = sorted({image.run_id for image in images})
    queued = parts.facts.find(ProductionItem, line=line, run_id=asked)
    return LotSummary(
        line=line,
        lot=lot,
        run=runs[0].run,
        models=tuple(sorted(model.number for model in models)),
        defective=_share(sum(bool(image.detections) for image in images), len(images)),
        instances={name: instances[name] for name in classes},
        showing={name: showing[name] for name in classes},
        review=len({item.image for item in queued} & {image.image for image in images}),
    )


def _share(hits: int, trials: int) -> Rate:
    lower, upper = (float(bound(hits, trials, 0.95)) for bound in (lower_bound, upper_bound))
    return Rate(hits, trials, lower, upper)


def write_coco(parts: Parts, images: Sequence[InspectedImage], target: Path) -> None:
    """Write detections as COCO.

    Raises:
        StorageError: the file cannot be written.
    """
    images = list({image.name: image for image in images}.values())  # of a file that was replaced, the last
    records = parts.facts.find(ImageRecord, id=sorted({image.image for image in images}))
    sizes = {record.id: (record.width, record.height) for record in records}
    models = sorted({image.model_id for image in images})
    classes = dict.fromkeys(name for model in models for name in parts.facts.get(ModelVersion, model).classes)
    _write([(target, as_coco(images, sizes, list(classes)))])


def write_csv(images: Sequence[InspectedImage], target: Path) -> None:
    """Write detections as a table, a row each.

    Raises:
        StorageError: the file cannot be written.
    """
    _write([(target, as_csv(images))])


def write_pictures(parts: Parts, images: Sequence[InspectedImage], folder: Path, *, most: int) -> int:
    """Write annotated pictures as PNG, those with most and strongest detections first; return how many.

    Raises:
        StorageError: the folder cannot be written to.
    """
    chosen = sorted(images, key=lambda item: (-len(item.detections), -_strongest(item), item.name))[:most]

    def drawn(numbered: tuple[int, InspectedImage]) -> tuple[Path, bytes]:
        place, image = numbered
        boxes = [(f"{name} {score:.2f}", Box(*sides)) for name, score, *sides in image.detections]
        picture = draw_found(parts.decode(parts.files.get(image.image)), boxes)
        stem = PurePosixPath(image.name).with_suffix("").as_posix().replace("/", "-")
        return folder / f"{place:04d}-{stem[-80:]}.png", parts.encode(picture)

    _write(ahead(drawn, enumerate(chosen, start=1)))
    return len(chosen)


def _strongest(image: InspectedImage) -> float:
    return max((score for _, score, *_ in image.detections), default=0.0)


def _write(files: Iterable[tuple[Path, bytes]]) -> None:
    for path, data in files:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            message = f"{path} cannot be written ({error.strerror}): give a place that can"
            raise StorageError(message) from error
