"""What a model missed and falsely alarmed on its test set, drawn from its stored predictions: nothing is run again."""

from collections.abc import Sequence
from dataclasses import dataclass

from wafergate.adapters.images import decode
from wafergate.domain.evaluation import Evaluation, Truth
from wafergate.domain.geometry import Box
from wafergate.domain.judging import Judged, judge
from wafergate.domain.report import Spot
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Split, SplitMember
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.predictions import read_predictions
from wafergate.formats.sheet import Tile, tile_png
from wafergate.ports import FactStore, FileReader
from wafergate.stages.curves import pick_alarms, pick_misses

__all__ = ["Mistake", "Mistakes", "load_mistakes"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One miss or false alarm: what it is, the name of its image, and a PNG of the place with its boxes."""

    spot: Spot
    sample: str
    picture: bytes


@dataclass(frozen=True, slots=True)
class Mistakes:
    """The mistakes of one class.

    Attributes:
        missed: how many instances were missed.
        alarmed: how many detections found nothing.
        misses: the first of the missed ones.
        alarms: the surest of the false alarms.
    """

    missed: int
    alarmed: int
    misses: tuple[Mistake, ...]
    alarms: tuple[Mistake, ...]


def load_mistakes(facts: FactStore, files: FileReader, evaluation_id: str, defect_class: str, most: int) -> Mistakes:
    """Match stored predictions with the labels as the evaluation did, and draw what does not agree.

    Args:
        facts: rows.
        files: predictions and images.
        evaluation_id: the evaluation.
        defect_class: the class.
        most: pictures of misses, and of false alarms.

    Raises:
        NotFoundError: a row, the predictions or an image is not stored.
        StorageError: what is stored is not what was written.
    """
    evaluation = facts.get(Evaluation, evaluation_id)
    model = facts.get(ModelVersion, evaluation.model_id)
    split = facts.get(Split, evaluation.split_id)
    members = facts.find(SplitMember, split_id=split.id, side=evaluation.side)
    samples = facts.find(Sample, dataset_id=split.dataset_id, position=[member.position for member in members])
    judged = _judged(files, evaluation, model, samples)
    everything = len(judged.scene.truth.classes) + len(judged.scene.scores)
    misses = [spot for spot in pick_misses(judged, everything) if spot.defect_class == defect_class]
    alarms = [spot for spot in pick_alarms(judged, everything) if spot.defect_class == defect_class]

    def drawn(spots: Sequence[Spot]) -> tuple[Mistake, ...]:
        return tuple(_drawn(files, judged, samples[spot.image], spot) for spot in spots[:most])

    return Mistakes(len(misses), len(alarms), drawn(misses), drawn(alarms))


def _judged(files: FileReader, evaluation: Evaluation, model: ModelVersion, samples: Sequence[Sample]) -> Judged:
    kept = read_predictions(files.get(evaluation.predictions))
    own = dict(zip(kept.names, kept.detections, strict=True))
    truth = [Truth.of(sample.boxes, model.classes) for sample in samples]
    thresholds = {item.defect_class: item.threshold for item in evaluation.classes}
    detections = [own[sample.name] for sample in samples]
    return judge(truth, detections, model.classes, thresholds=thresholds, iou=evaluation.iou)


def _drawn(files: FileReader, judged: Judged, sample: Sample, spot: Spot) -> Mistake:
    said = judged.scene.detections
    own = slice(int(said.offsets[spot.image]), int(said.offsets[spot.image + 1]))
    tile = Tile(
        pixels=decode(files.get(sample.image)),
        focus=spot.box,
        labelled=[item.box for item in sample.boxes],
        found=[Box(*corners) for corners in said.boxes[own][judged.kept[own]].tolist()],
        title="",
        note="",
    )
    return Mistake(spot, sample.name, tile_png(tile))
