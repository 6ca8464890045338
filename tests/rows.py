"""Rows of the domain for tests: small, complete, and right by construction."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.augmentation import ClassPlan
from wafergate.domain.drift import (
    Advice,
    DriftCause,
    DriftPolicy,
    DriftReport,
    DriftSlice,
    DriftVerdict,
    FeatureDrift,
    ReferenceKind,
)
from wafergate.domain.evaluation import ClassFigures, Comparison, Evaluation, OperatingPoint, Paired, Rate
from wafergate.domain.gate import GateDecision, GatePolicy, RuleResult, Verdict
from wafergate.domain.geometry import Box
from wafergate.domain.models import Candidate, Channels, Decoder
from wafergate.domain.parity import ExportParity
from wafergate.domain.production import (
    ProductionClass,
    ProductionDraw,
    ProductionExport,
    ProductionFigures,
    ProductionItem,
    ProductionReview,
    ReviewedImage,
    ReviewPolicy,
    Stratum,
)
from wafergate.domain.report import DecisionReport
from wafergate.domain.review import Answer, ReviewAnswer, ReviewItem, Suspected, Suspicion, item_of
from wafergate.domain.samples import DatasetVersion, ImageRecord, LabelledBox, Part, Sample
from wafergate.domain.splits import LeakProof, Split, SplitMode
from wafergate.domain.training_rows import ModelVersion, TrainingSet

NOW = datetime(2026, 3, 1, 8, 30, 0, 123456, tzinfo=UTC)
CANDIDATE = Candidate("yolox-nano", "libreyolo", "LibreYOLOXn", "MIT", 0.9)


def image(digest: str) -> ImageRecord:
    return ImageRecord(digest, 64, 48, "L", 8, 900, "00ff00ff00ff00ff", 99.5, 20.25, 3.5, 1.5, 0.01, 0.2, NOW)


def dataset(line: str, row_id: str = "") -> DatasetVersion:
    counts = {"scratch": 2, "particle": 1}
    return DatasetVersion(
        row_id or f"data-{line}", line, 0, "folder x", "coco", 2, 1, counts, counts, 0, True, "Apache-2.0", NOW
    )


def sample(line: str, position: int, digest: str, row_id: str = "") -> Sample:
    boxes = (
        LabelledBox("scr", "scratch", Box(1, 2.5, 10, 20), ((1.0, 2.5), (10.0, 2.5), (10.0, 20.0))),
        LabelledBox("particle", "particle", Box(-3, 2, 4, 4)),
    )
    part = Part("lot/whole.png", "ee" * 32, Box(10, 20, 74, 68)) if position % 2 else None
    return Sample(
        row_id or f"data-{line}",
        position,
        f"lot/{position}.png",
        digest,
        None,
        64,
        48,
        boxes,
        {"lot": "한글 A'1"},
        part,
    )


def split(line: str) -> Split:
    sides = {"train": {"scratch": 1}, "validation": {"scratch": 1}, "test": {"scratch": 1}}
    ones = dict.fromkeys(("train", "validation", "test"), 1)
    proof = LeakProof(3, 0, {"same_bytes": 0})
    return Split(
        f"split-{line}", f"data-{line}", SplitMode.TEST_EVEN, sides, ones, ones, 3, dict.fromkeys(ones, 1.0), True, 0.0,
        "ab" * 32, proof, ("validation is not even",), NOW,
    )  # fmt: skip


def training_set(line: str) -> TrainingSet:
    plan = (ClassPlan("scratch", 1, 1, 2, 3, "target"),)
    return TrainingSet(f"trainset-{line}", f"split-{line}", Channels.GOLDEN, 1, 2, 1, plan, NOW)


def model(line: str, name: str) -> ModelVersion:
    return ModelVersion(
        f"model-{line}-{name}", line, 0, f"trainset-{line}", f"split-{line}", f"data-{line}", CANDIDATE,
        ("scratch", "particle"), Channels.GOLDEN, 128, "aa" * 32, "bb" * 32, Decoder.YOLOX,
        {"scratch": 0.25, "particle": 0.5}, None, 10, 8, 0, 12.5, 3.4, {"torch": "2"}, NOW,
        (OperatingPoint("scratch", 0.25, Rate(9, 9, 0.7, 1.0), 2, "lowest_cost", "scratch: rests on 9", 0.5),),
        parity=ExportParity(8, 40, 39, 0.002, {"scratch": (0.875, 1.0)}),
    )  # fmt: skip


def evaluation(line: str, name: str) -> Evaluation:
    rate = Rate(29, 30, 0.851, 0.998)
    figures = ClassFigures("scratch", rate, rate, 0.9667, 0.95, 0.25)
    return Evaluation(
        f"evaluation-{line}-{name}", f"model-{line}-{name}", f"split-{line}", "test", 0.5, 0.95, 40, (figures,),
        Rate(1, 30, 0.0, 0.1), Rate(0, 10, 0.0, 0.26), 0.25, "cc" * 32, 1, NOW,
    )  # fmt: skip


def comparison(line: str, name: str, champion: str) -> Comparison:
    return Comparison(
        f"comparison-{line}-{name}-{champion}", f"evaluation-{line}-{name}", f"model-{line}-{champion}", 39, 1,
        (Paired("scratch", 28, 1, 0, 1, 0.0),), "", "dd" * 32, NOW,
    )  # fmt: skip


def decision(line: str, name: str, verdict: Verdict = Verdict.PASS) -> GateDecision:
    rule = RuleResult("recall", "scratch", 0.97, 0.85, 0.8, verdict, "29 of 30 found")
    return GateDecision(
        f"decision-{line}-{name}", line, f"model-{line}-{name}", f"evaluation-{line}-{name}", verdict, (rule,),
        GatePolicy(), f"{verdict.value}: scratch", NOW,
    )  # fmt: skip


def report(line: str, name: str) -> DecisionReport:
    return DecisionReport(f"report-{line}-{name}", line, f"decision-{line}-{name}", "ee" * 32, "", NOW)


def alert(line: str, cause: str = "gate") -> Alert:
    return Alert(f"alert-{line}-{cause}", line, cause, "x", "title", "body", AlertState.WAITING, 0, "", NOW)


def review_item(line: str, image: str) -> ReviewItem:
    suspected = Suspected("lot/0.png", None, "한글", Box(1, 2.5, 10, 20), Suspicion.MISSED, 0.75, "score 0.75")
    return item_of(suspected, dataset_id=f"data-{line}", line=line, image=image, now=NOW)


def review_answer(item: ReviewItem, answer: Answer = Answer.KEPT) -> ReviewAnswer:
    return ReviewAnswer(f"answer-{item.id}-{answer}", item.id, item.key, answer, "kim", "right", None, NOW)


def production_draw(line: str, name: str, run: str = "1", images: int = 40, share: float = 0.5) -> ProductionDraw:
    drawn = {Stratum.AUDIT: 20, Stratum.NEAR: 2, Stratum.FAR: 0}
    return ProductionDraw(
        f"draw-{line}-{run}", line, f"inspection-{line}-{run}", f"model-{line}-{name}", "2026-03-01", images, 3, share,
        drawn, ReviewPolicy(), NOW, NOW,
    )  # fmt: skip


def production_item(
    draw: ProductionDraw, image: str, rank: int = 0, stratum: Stratum = Stratum.AUDIT
) -> ProductionItem:
    return ProductionItem(
        f"item-{draw.run_id}-{stratum}-{rank}", draw.id, draw.line, draw.run_id, draw.model_id, 10 + rank, stratum,
        rank, "drawn at random", f"lot/한글 {rank}.png", image, None, {"lot": "A1"},
        (("scratch", 0.75, 1.0, 2.5, 10.0, 20.0),), NOW,
    )  # fmt: skip


def production_export(item: ProductionItem) -> ProductionExport:
    return ProductionExport(f"export-{item.line}", item.line, {"a.png": (item.id, "")}, NOW)


def production_review(item: ProductionItem) -> ProductionReview:
    boxes = {"added": 1, "removed": 0}
    return ProductionReview(f"truth-{item.line}", item.line, f"export-{item.line}", "kim", "weekly", 1, boxes, NOW)


def reviewed_image(item: ProductionItem, boxes: tuple[LabelledBox, ...] = ()) -> ReviewedImage:
    return ReviewedImage(
        f"reviewed-{item.id}", f"truth-{item.line}", item.line, item.image, item.id, boxes, 1, "kim", NOW
    )


def production_figures(line: str, name: str) -> ProductionFigures:
    rate = Rate(29, 30, 0.851, 0.998)
    figures = ProductionClass("scratch", rate, rate, rate, {"missed": 1}, {"background": 1})
    return ProductionFigures(
        f"production-{line}", line, f"model-{line}-{name}", NOW, NOW, 0.5, 0.95, 0.05, 4, 2000, 100, 3, 50, (figures,),
        Rate(1, 30, 0.0, 0.1), Rate(0, 10, 0.0, 0.26), NOW,
    )  # fmt: skip


def drift_report(line: str, model: ModelVersion) -> DriftReport:
    """Return a report of a day on which one of two stations drifted."""
    feature = FeatureDrift("sharpness", 6.0, 3.5, True, 640.0, 200.0, -1.4)
    return DriftReport(
        id=f"drift-{line}",
        line=line,
        dataset_id=model.dataset_id,
        source="inspections",
        reference_images=300,
        current_images=90,
        verdict=DriftVerdict.DRIFTED,
        share=1.0,
        features=(feature, replace(feature, feature="class pit", drifted=False, judged=False)),
        policy=DriftPolicy(),
        report="f" * 64,
        created_at=NOW,
        model_id=model.id,
        window="day 2026-03-02",
        since=NOW,
        until=NOW + timedelta(hours=8),
        reference=ReferenceKind.ACCEPTED,
        slices=(DriftSlice("station", "S2", 40, DriftVerdict.DRIFTED, ("sharpness",), DriftCause.LIGHT_OR_FOCUS),),
        cause=DriftCause.LIGHT_OR_FOCUS,
        advice=Advice.RECALIBRATE,
        reason="light or focus has moved",
    )
