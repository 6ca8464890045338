"""Pictures of an evaluation's mistakes, from its stored predictions."""

from collections.abc import Sequence

from wafergate.domain.evaluation import ErrorKind, Evaluation, Truth
from wafergate.domain.geometry import Box
from wafergate.domain.judging import Judged, judge
from wafergate.domain.report import Spot
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.predictions import read_predictions
from wafergate.formats.report_page import Picture
from wafergate.formats.sheet import Tile, picture_sheet, tile_png
from wafergate.jobs.augment import samples_on
from wafergate.jobs.parts import Parts, ahead
from wafergate.stages.curves import pick_alarms, pick_misses

__all__ = ["MOST_PICTURES", "judged_again", "mistake_sheet", "pictures"]

MOST_PICTURES = 12
"""Of misses, of false alarms, and of both together on a sheet."""


def mistake_sheet(parts: Parts, evaluation_id: str) -> str:
    """Store the picture sheet of an evaluation's mistakes; return its SHA-256, empty where no mistake was made."""
    evaluation = parts.facts.get(Evaluation, evaluation_id)
    model = parts.facts.get(ModelVersion, evaluation.model_id)
    judged, samples = judged_again(parts, evaluation, model)
    misses = pick_misses(judged, MOST_PICTURES)
    spots = misses[: MOST_PICTURES // 2] + pick_alarms(judged, MOST_PICTURES - min(len(misses), MOST_PICTURES // 2))
    if not spots:
        return ""
    tiles = list(ahead(lambda spot: _tile(parts, judged, samples, spot), spots))
    title = f"{model.line}, model {model.number}: misses and false alarms on the test set"
    return parts.files.put(picture_sheet(tiles, title))


def judged_again(parts: Parts, evaluation: Evaluation, model: ModelVersion) -> tuple[Judged, list[Sample]]:
    """Match the stored predictions again: the figures are those of the evaluation, nothing is run twice."""
    samples = samples_on(parts, evaluation.split_id, Side(evaluation.side))
    kept = read_predictions(parts.files.get(evaluation.predictions))
    own = dict(zip(kept.names, kept.detections, strict=True))
    truth = [Truth.of(sample.boxes, model.classes) for sample in samples]
    thresholds = {item.defect_class: item.threshold for item in evaluation.classes}
    detections = [own[sample.name] for sample in samples]
    return judge(truth, detections, model.classes, thresholds=thresholds, iou=evaluation.iou), samples


def pictures(parts: Parts, judged: Judged, samples: Sequence[Sample], spots: Sequence[Spot]) -> list[Picture]:
    """Draw mistakes one by one, in order."""
    tiles = ahead(lambda spot: _tile(parts, judged, samples, spot), spots)
    return [Picture(tile_png(tile), tile.title, tile.note) for tile in tiles]


def _tile(parts: Parts, judged: Judged, samples: Sequence[Sample], spot: Spot) -> Tile:
    sample, said = samples[spot.image], judged.scene.detections
    own = slice(int(said.offsets[spot.image]), int(said.offsets[spot.image + 1]))
    found = said.boxes[own][judged.kept[own]]
    if spot.score is not None:
        mistake = f"false alarm {spot.score:.2f}"
        kind = f"labelled {spot.other}, " if spot.other else f"{spot.kind.replace('_', ' ')}, "
    else:
        mistake = f"taken for {spot.other}" if spot.other else "missed"
        kind = "" if spot.other or spot.kind == ErrorKind.MISSED else f"{spot.kind.replace('_', ' ')}, "
    return Tile(
        pixels=parts.decode(parts.files.get(sample.image)),
        focus=spot.box,
        labelled=[item.box for item in sample.boxes],
        found=[Box(*corners) for corners in found.tolist()],
        title=f"{spot.defect_class}: {mistake}",
        note=f"{kind}{sample.name}",
    )
