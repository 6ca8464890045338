"""An out-of-fold estimate to the labels it contradicts, on the review list; no label is changed (rule M4)."""

from typing import NamedTuple

from wafergate.domain.evaluation import Truth
from wafergate.domain.out_of_fold import OutOfFold
from wafergate.domain.review import Suspected
from wafergate.domain.samples import Sample
from wafergate.formats.predictions import read_predictions
from wafergate.jobs.parts import Parts
from wafergate.jobs.review import add_items
from wafergate.ports import LabelScorer
from wafergate.stages.doubt import LEAST, calibrate, rank_doubts

__all__ = ["Doubts", "doubt"]


class Doubts(NamedTuple):
    """What is doubted, and how much of it the review list did not hold yet."""

    suspected: list[Suspected]
    new: int


def doubt(parts: Parts, scorer: LabelScorer, estimate_id: str, *, limit: int = 30) -> Doubts:
    """Rank missed, swapped and badly placed labels, and put them on their dataset version's review list.

    Args:
        parts: the real parts.
        scorer: scores labels against predictions.
        estimate_id: of the `OutOfFold` row whose predictions are asked.
        limit: how many of each kind, at most.
    """
    row = parts.facts.get(OutOfFold, estimate_id)
    said = read_predictions(parts.files.get(row.predictions))
    held = {sample.name: sample for sample in parts.facts.find(Sample, dataset_id=row.dataset_id)}
    samples = [held[name] for name in said.names]
    truth = [Truth.of(sample.boxes, said.classes) for sample in samples]
    likely = calibrate(truth, said.detections, said.classes, iou=row.iou)
    scores = scorer(truth, likely, classes=len(said.classes), least=LEAST)
    suspected = rank_doubts(samples, truth, likely, scores, said.classes, limit=limit)
    return Doubts(suspected, add_items(parts, row.dataset_id, suspected))
