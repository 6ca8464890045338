"""Stores in memory that tell one story each, for the tests and screenshots of the pages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tests.dashboards.judged import DOCS, members_of, predictions_of, samples_of
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.choice import CandidateStanding, ModelChoice, RungResult
from wafergate.domain.drift import Advice, DriftCause, DriftPolicy, DriftReport, DriftSlice, DriftVerdict, FeatureDrift
from wafergate.domain.evaluation import ClassFigures, Comparison, Evaluation, Paired, Rate
from wafergate.domain.evidence import Evidence
from wafergate.domain.gate import Champion, GateDecision, GatePolicy, LedgerKind, Verdict
from wafergate.domain.geometry import Box
from wafergate.domain.golden import DifferenceKind, GoldenDifference, GoldenPolicy, GoldenRun
from wafergate.domain.identity import digest_bytes
from wafergate.domain.latency import Latency, ServingFigures
from wafergate.domain.learning_curve import ClassCurve, CurvePoint, CurveValue, LearningCurve, PowerLaw
from wafergate.domain.licences import LicencedPart
from wafergate.domain.models import Candidate, Channels, Decoder
from wafergate.domain.parity import ExportParity
from wafergate.domain.production import ProductionClass, ProductionFigures
from wafergate.domain.quarantine import QuarantineChange, QuarantineState
from wafergate.domain.report import DecisionReport
from wafergate.domain.review import Answer, ReviewAnswer, Suspected, Suspicion, item_of
from wafergate.domain.runs import LineFileVersion
from wafergate.domain.samples import DatasetVersion, Quarantined, QuarantineReason
from wafergate.domain.serving import Runtime, ServeProfile
from wafergate.domain.splits import LeakProof, Split, SplitMode
from wafergate.domain.training_rows import ModelVersion, TrainingSet
from wafergate.domain.validation_rows import ValidationFinding, ValidationResult
from wafergate.errors import ServiceError
from wafergate.ports import FactStore, LedgerDraft
from wafergate.stages.alerts import flow_alert, gate_alert
from wafergate.stages.decide import decide

MORNING = datetime(2026, 3, 9, 6, 30, tzinfo=UTC)
CLASSES = ("particle", "scratch", "bridge", "void")
POLICY = GatePolicy(recall=0.85, critical_recall=0.90, overkill=0.10)
CONFIDENCE = POLICY.confidence
SERVING = ServingFigures(
    "latency-1", "model-1", "a processor", Runtime.OPENVINO, (Latency(1, 4.2, 4.9, 5.3), Latency(2, 8.1, 8.8, 9.0)), 8,
    MORNING,
)  # fmt: skip
HOSTILE = (
    "<img src=x onerror=alert(1)> ![p](http://evil.example/p.png) [c](http://evil.example) :red[r] $x^2$ `c` :smile:"
)
PROVEN = {"particle": (58, 58), "scratch": (57, 58), "bridge": (56, 58), "void": (58, 58)}
SCARCE = {"particle": (39, 40), "scratch": (40, 40), "bridge": (36, 40), "void": (11, 12)}
TRICKED = {HOSTILE: (58, 58), **PROVEN}
BROKEN = {"particle": (58, 58), "scratch": (57, 58), "bridge": (31, 58), "void": (58, 58)}
LINE = """
[line]
name = "die-a"
classes = ["particle", "scratch", "bridge", "void"]
critical = ["void"]

[gate]
recall = 0.85
critical_recall = 0.90
"""


@dataclass(frozen=True)
class Act:
    """One retraining of a story: what was found of what, on which version, and when."""

    number: int
    found: Mapping[str, tuple[int, int]]
    at: datetime
    line: str = "die-a"
    overkill: tuple[int, int] = (1, 60)
    reason: str = "every rule of the gate passed"
    source: str = "lots/2026-03"


def tell(facts: FactStore, act: Act, *, promote: bool) -> GateDecision:
    """Store every row of one retraining; promote its model if asked to."""
    key = f"{act.line}-{act.number}"
    dataset, split = _dataset(act, key), _split(act, key)
    evaluation, model = _evaluation(act, key), _model(act, key)
    decision = _decision(act, evaluation, model, dataset)
    facts.save(dataset, samples_of(dataset.id, act.found))
    facts.save(split, members_of(split.id, act.found))
    for row in (_validation(act, key), _training_set(act, key), model, evaluation):
        facts.save(row)
    alerts = [] if decision.verdict is Verdict.PASS else [_tried(gate_alert(decision, model, evaluation, now=act.at))]
    told = {"model": model.id, "verdict": decision.verdict.value}
    draft = LedgerDraft(act.line, LedgerKind.DECIDED, decision.id, "flow retrain", decision.summary, told)
    facts.save(decision, alerts=alerts, ledger=[draft])
    facts.save(DecisionReport(f"report-{key}", act.line, decision.id, digest_bytes(DOCS), "", act.at))
    if promote:
        if now := facts.champion(act.line):
            facts.save(replace(_comparison(decision), id=f"comparison-{key}", champion_id=now.model_id))
        since = act.at + timedelta(minutes=1)
        champion = Champion(act.line, model.id, decision.id, "flow retrain", act.reason, since)
        facts.promote(champion, kind=LedgerKind.PROMOTED, details={})
    return decision


def drift(facts: FactStore, act: Act, verdict: DriftVerdict, *, images: int = 120, told: str = "") -> None:
    """Store a drift report on the data of an act; with advice, a station and a lot where `told` names them."""
    policy = DriftPolicy(method="wasserstein", threshold=0.3, share=0.34, min_images=30)
    distances = {
        "brightness": 0.94 if verdict is DriftVerdict.DRIFTED else 0.08,
        "contrast": 0.41 if verdict is DriftVerdict.DRIFTED else 0.12,
        "sharpness": 0.05,
        "noise": 0.19,
        "saturation_share": 0.33 if verdict is DriftVerdict.DRIFTED else 0.02,
        "edge_density": 0.11,
    }
    means = {
        "brightness": (118.2, 97.6),
        "contrast": (41.3, 36.0),
        "sharpness": (812.4, 804.1),
        "noise": (3.21, 3.48),
        "saturation_share": (0.004, 0.012),
        "edge_density": (0.0817, 0.0842),
    }
    features = tuple(
        FeatureDrift(name, distance, policy.threshold, distance >= policy.threshold, *means[name])
        for name, distance in distances.items()
    )
    share = sum(feature.drifted for feature in features) / len(features)
    key = f"{act.line}-{act.number}"
    row = DriftReport(
        f"drift-{key}",
        act.line,
        f"dataset-{key}",
        "incoming/week-11",
        268,
        images,
        verdict,
        share,
        () if verdict is DriftVerdict.NOT_ENOUGH else features,
        policy,
        None,
        act.at + timedelta(hours=3),
    )
    if told:
        moved = ("brightness", "contrast")
        parts = tuple(
            DriftSlice(key, told, 60, DriftVerdict.DRIFTED, moved, DriftCause.LIGHT_OR_FOCUS)
            for key in ("station", "lot")
        )
        row = replace(row, slices=parts, cause=DriftCause.LIGHT_OR_FOCUS, advice=Advice.RECALIBRATE, reason=told)
    facts.save(row)


def empty() -> MemoryFacts:
    """Nothing has run."""
    return MemoryFacts(clock=lambda: MORNING)


def undecided() -> MemoryFacts:
    """The first act of the demo: a rare class proves too little, no champion, an alert waits."""
    facts = empty()
    tell(facts, Act(1, SCARCE, MORNING), promote=False)
    return facts


def covered() -> MemoryFacts:
    """The second act: the next model passes and becomes champion; nothing has drifted."""
    facts = undecided()
    act = Act(2, PROVEN, MORNING + timedelta(hours=2))
    tell(facts, act, promote=True)
    drift(facts, act, DriftVerdict.STABLE)
    return facts


def failed() -> MemoryFacts:
    """A champion judges; a newer model failed and its alert was sent."""
    facts = covered()
    decision = tell(facts, Act(3, BROKEN, MORNING + timedelta(hours=26), overkill=(5, 60)), promote=False)
    alert = next(alert for alert in facts.find(Alert) if alert.subject == decision.id)
    facts.mark_alert(replace(alert, state=AlertState.SENT, attempts=1, sent_at=alert.created_at))
    facts.save(_comparison(decision))
    facts.save(_curve(decision.created_at))
    facts.save(_production(decision.created_at))
    facts.save(LineFileVersion("7" * 64, "die-a", LINE, decision.created_at))
    _set_aside(facts, decision.created_at)
    _suspect(facts, decision.created_at)
    facts.save(_choice(decision.created_at))
    return facts


def drifted() -> MemoryFacts:
    """The champion's images have drifted from those it was trained on."""
    facts = empty()
    act = Act(1, PROVEN, MORNING)
    tell(facts, act, promote=True)
    drift(facts, act, DriftVerdict.DRIFTED, told="AOI-2")
    return facts


def few_images() -> MemoryFacts:
    """The last drift report had too few images to say."""
    facts = empty()
    act = Act(1, PROVEN, MORNING)
    tell(facts, act, promote=True)
    drift(facts, act, DriftVerdict.NOT_ENOUGH, images=7)
    return facts


def two_lines() -> MemoryFacts:
    """One line is covered, another one blind."""
    facts = covered()
    tell(facts, Act(1, {"Blowhole": (9, 10), "Fray": (0, 0), "Uneven": (8, 10)}, MORNING, line="tiles"), promote=False)
    return facts


def hostile() -> MemoryFacts:
    """Text from data tries to become markup wherever a person or a file name can put it."""
    facts = empty()
    act = Act(1, TRICKED, MORNING, reason=HOSTILE, source=HOSTILE)
    decision = tell(facts, act, promote=True)
    drift(facts, act, DriftVerdict.DRIFTED, told=HOSTILE)
    facts.save(_golden(decision))
    facts.save(_curve(MORNING, HOSTILE))
    facts.save(_production(MORNING, model=decision.model_id, also=HOSTILE))
    facts.save(replace(_choice(MORNING, HOSTILE), training_set_id="training-die-a-1"))
    _set_aside(facts, MORNING)
    _suspect(facts, MORNING, dataset="dataset-die-a-1", name=HOSTILE)
    alert = flow_alert("die-a", "retrain", "run-1", HOSTILE, now=act.at)
    facts.save(replace(alert, title=HOSTILE, body=HOSTILE, last_error=HOSTILE))
    return facts


def awaiting() -> MemoryFacts:
    """A newer model, judged anew under a gate that asks a person, passed this minute and waits for a release."""
    facts, now = covered(), datetime.now(UTC)
    decision = tell(facts, Act(3, PROVEN, now - timedelta(minutes=1)), promote=False)
    policy = replace(decision.policy, approval="approval")
    facts.save(replace(decision, id="decision-waiting", policy=policy, created_at=now))
    return facts


def stopped() -> FactStore:
    """The database does not answer."""
    message = "PostgreSQL does not answer at 127.0.0.1: connection refused; start it with `wafergate up`"
    raise ServiceError(message)


STORIES: dict[str, Callable[[], FactStore]] = {
    story.__name__: story
    for story in (empty, undecided, covered, awaiting, failed, drifted, few_images, two_lines, hostile, stopped)
}


def open_story(name: str) -> FactStore:
    """Open the store that tells the story `name`."""
    return STORIES[name]()


def _comparison(decision: GateDecision) -> Comparison:
    pairs = tuple(
        Paired(name, both=found - 1, only_champion=trials - found, only_challenger=1, neither=0, change_upper=0.0312)
        for name, (found, trials) in BROKEN.items()
    )
    made = decision.created_at
    return Comparison("comparison-3", decision.evaluation_id, "model-die-a-2", 131, 9, pairs, "", "6" * 64, made)


def _golden(decision: GateDecision) -> GoldenRun:
    odd = GoldenDifference(DifferenceKind.MISSING, HOSTILE, "8" * 64, (HOSTILE, 0.9, 4.0, 4.0, 9.0, 9.0), None, HOSTILE)
    return GoldenRun(
        "golden-1", "die-a", "set-1", decision.model_id, "answers-1", 12, (odd,), "", GoldenPolicy(), MORNING
    )


def _curve(at: datetime, *also: str) -> LearningCurve:
    law = PowerLaw(0.97, 0.9, 0.55)

    def of(name: str, images: int) -> ClassCurve:
        if name == "void":
            points = (CurvePoint(5, 1, 5, Rate.exact(4, 12, CONFIDENCE)),)
            return ClassCurve(name, images, points, None, (), None, None, None, "void: too few sizes for a law")
        points = tuple(
            CurvePoint(size, 1, size, Rate.exact(round(60 * law(size)), 60, CONFIDENCE)) for size in (5, 10, 20, 40)
        )
        grown = range(5, images + 55, 5)
        line = tuple(CurveValue(n, law(n), law(n) - 0.3 / n**0.5, min(1.0, law(n) + 0.3 / n**0.5)) for n in grown)
        gain = law(images + 50) - law(images)
        told = f"50 more {name} images would buy about {100 * gain:.1f} points of recall"
        return ClassCurve(name, images, points, law, line, gain, gain / 2, gain * 1.6, told)

    classes = tuple(of(name, 116) for name in (*also, *CLASSES))
    ids = ("curverun-1", "curverun-2")
    return LearningCurve(
        "curve-1", "die-a", "dataset-die-a-3", "split-die-a-3", 0, "yolox-nano", 12, 0.31, CONFIDENCE, 0,
        (5, 10, 20, 40), 50, ids, classes, at,
    )  # fmt: skip


def _production(at: datetime, *, model: str = "model-die-a-2", also: str = "") -> ProductionFigures:
    def of(name: str, hits: int, trials: int) -> ProductionClass:
        rate = Rate.exact(hits, trials, CONFIDENCE)
        return ProductionClass(name, rate, Rate.exact(hits, hits + 3, CONFIDENCE), rate, {}, {})

    classes = (of("particle", 40, 41), of("scratch", 22, 24), of("bridge", 9, 11), of("void", 0, 0))
    classes += (of(also, 3, 4),) if also else ()
    escapes, overkill = Rate.exact(3, 74, CONFIDENCE), Rate.exact(11, 420, CONFIDENCE)
    since = at - timedelta(days=6)
    return ProductionFigures(
        "production-1", "die-a", model, since, at, 0.5, CONFIDENCE, 0.05, 14, 9880, 494, 12, 0,
        classes, escapes, overkill, at,
    )  # fmt: skip


def _choice(at: datetime, reason: str = "AGPL-3.0 is not allowed") -> ModelChoice:
    free = {"code": "Apache-2.0", "weights": "Apache-2.0"}
    rungs = (RungResult(4, 0.71, "void", 0.64), RungResult(12, 0.88, "bridge", 0.79))
    standings = (
        CandidateStanding("rtmdet-x", free, 9216.0, None, None, (), "memory", "9,216 MiB, limit 6,144 MiB"),
        CandidateStanding("yolox-nano", free, 812.0, 4.2, 3.6, rungs),
        CandidateStanding("yolo11n", {"code": "AGPL-3.0"}, dropped_by="licence", reason=reason),
    )
    return ModelChoice("choice-3", "die-a", "training-die-a-3", "yolox-nano", standings, at)


def _set_aside(facts: FactStore, at: datetime) -> None:
    told = (
        (QuarantineReason.IMAGE_WITHOUT_LABEL, "lots/2026-03/W04_D11.png"),
        (QuarantineReason.IMAGE_WITHOUT_LABEL, "lots/2026-03/W04_D12.png"),
        (QuarantineReason.UNREADABLE_IMAGE, HOSTILE),
    )
    for place, (reason, path) in enumerate(told):
        facts.save(Quarantined(f"quarantine-{place}", "die-a", path, reason, "one sentence", None, at))
    facts.save(
        QuarantineChange("change-1", "quarantine-0", 1, "die-a", QuarantineState.RELEASED, "Kim", "no defect on it", at)
    )


def _suspect(
    facts: FactStore, at: datetime, *, dataset: str = "dataset-die-a-3", name: str = "lot-7/W01_D009.png"
) -> None:
    box = Box(4, 4, 140, 9)
    suspected = [
        Suspected("lot-7/W01_D003.png", 0, "scratch", box, Suspicion.ASPECT, 34.0, "34 times as long as wide"),
        Suspected(name, 1, "void", box, Suspicion.DUPLICATE, 0.97, "overlaps another void by 0.97"),
    ]
    items = [item_of(one, dataset_id=dataset, line="die-a", image="8" * 64, now=at) for one in suspected]
    facts.save_all(items)
    facts.save(ReviewAnswer("answer-1", items[0].id, items[0].key, Answer.KEPT, "Kim", "a long scratch", None, at))


def _tried(alert: Alert) -> Alert:
    return replace(alert, attempts=2, last_error="mailto: the server refused the connection")


def _dataset(act: Act, key: str) -> DatasetVersion:
    instances = {name: trials * 4 for name, (_, trials) in act.found.items()}
    return DatasetVersion(
        id=f"dataset-{key}",
        line=act.line,
        number=act.number,
        source=act.source,
        format="coco",
        images=sum(instances.values()) // 2 + 240,
        normal_images=240,
        instances=instances,
        image_counts={name: count // 2 for name, count in instances.items()},
        quarantined=3,
        taxonomy_signed=True,
        licence="LicenseRef-Proprietary",
        created_at=act.at - timedelta(minutes=5),
    )


def _validation(act: Act, key: str) -> ValidationResult:
    held = ValidationFinding(
        "box_inside_image", "error", success=True, checked=900, unexpected=0, examples=(), detail=""
    )
    odd = replace(held, expectation="box_aspect", severity="warning", success=False, unexpected=2)
    return ValidationResult(
        f"validation-{key}", f"dataset-{key}", True, (held, odd), "0" * 64, act.at, digest_bytes(DOCS)
    )


def _split(act: Act, key: str) -> Split:
    test = {name: trials for name, (_, trials) in act.found.items()}
    few = min(test.values())
    return Split(
        id=f"split-{key}",
        dataset_id=f"dataset-{key}",
        mode=SplitMode.TEST_EVEN,
        counts={
            "train": {name: 2 * count + place for place, (name, count) in enumerate(test.items())},
            "validation": {name: count // 3 + place for place, (name, count) in enumerate(test.items())},
            "test": test,
        },
        images={"train": 360, "validation": 70, "test": 140},
        normal_images={"train": 120, "validation": 60, "test": 60},
        groups=61,
        evenness={"train": 1.4, "validation": 1.3, "test": max(test.values()) / few if few else 0.0},
        optimal=True,
        gap=0.0,
        test_digest="1" * 64,
        leak=LeakProof(51_300, 0, {}),
        warnings=("validation is not even: numbers from it carry a bias",),
        created_at=act.at - timedelta(minutes=4),
    )


def _training_set(act: Act, key: str) -> TrainingSet:
    made = act.at - timedelta(minutes=3)
    return TrainingSet(f"training-{key}", f"split-{key}", Channels.GOLDEN, 360, 90, 70, (), made)


def _model(act: Act, key: str) -> ModelVersion:
    return ModelVersion(
        id=f"model-{key}",
        line=act.line,
        number=act.number,
        training_set_id=f"training-{key}",
        split_id=f"split-{key}",
        dataset_id=f"dataset-{key}",
        candidate=Candidate("yolox-nano", "libreyolo", "yolox_nano", "Apache-2.0"),
        classes=tuple(act.found),
        channels=Channels.GOLDEN,
        image_size=160,
        weights="2" * 64,
        onnx="3" * 64,
        decoder=Decoder.YOLOX,
        thresholds=dict.fromkeys(act.found, 0.31),
        start=None,
        epochs=30,
        batch=8,
        seed=0,
        seconds=104.0,
        size_mib=3.6,
        versions={},
        created_at=act.at - timedelta(minutes=2),
    )


def _evaluation(act: Act, key: str) -> Evaluation:
    figures = tuple(
        ClassFigures(
            defect_class=name,
            recall=Rate.exact(hits, trials, CONFIDENCE),
            precision=Rate.exact(hits, hits + 2, CONFIDENCE),
            f1=2 * hits / (hits + 2 + trials) if trials else None,
            ap50=hits / trials * 0.98 if trials else None,
            threshold=0.31,
        )
        for name, (hits, trials) in act.found.items()
    )
    return Evaluation(
        id=f"evaluation-{key}",
        model_id=f"model-{key}",
        split_id=f"split-{key}",
        side="test",
        iou=0.5,
        confidence=CONFIDENCE,
        images=140,
        classes=figures,
        escapes=Rate.exact(2, 80, CONFIDENCE),
        overkill=Rate.exact(*act.overkill, CONFIDENCE),
        baseline_accuracy=60 / 140,
        predictions=digest_bytes(predictions_of(act.found)),
        look=act.number,
        created_at=act.at - timedelta(minutes=1),
    )


def _decision(act: Act, evaluation: Evaluation, model: ModelVersion, dataset: DatasetVersion) -> GateDecision:
    evidence = Evidence(
        evaluation=evaluation,
        policy=POLICY,
        classes=tuple(act.found),
        critical=tuple(name for name in act.found if name == "void"),
        serve=ServeProfile(latency_ms=20.0, size_mib=16.0),
        serving=SERVING,
        size_mib=model.size_mib,
        licences=(LicencedPart("code", f"{model.candidate.code_licence} AND MIT"),),  # MIT as the catalogue knows it
        validation_success=True,
        taxonomy_signed=dataset.taxonomy_signed,
        parity=ExportParity(8, 40, 40, 0.002, {}),
        leak=LeakProof(51_300, 0, {}),
        split_mode=SplitMode.TEST_EVEN,
    )
    return decide(evidence, line=act.line, now=act.at)
