"""Which table holds which value object, and how a field becomes a column."""

import dataclasses
import enum
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from psycopg.types.json import Json, Jsonb
from pydantic import TypeAdapter, ValidationError

from wafergate.domain.ablation import Ablation, FactorRun
from wafergate.domain.alerts import Alert
from wafergate.domain.augmentation import AugmentationPlan, PlannedImage
from wafergate.domain.choice import BriefTraining, ModelChoice, Probe
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import Comparison, Evaluation
from wafergate.domain.gate import Champion, GateDecision, LedgerEntry
from wafergate.domain.golden import GoldenAnswers, GoldenRun, GoldenSet
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.inspection import InspectionRun
from wafergate.domain.latency import ServingFigures
from wafergate.domain.learning_curve import CurveRun, LearningCurve
from wafergate.domain.near_duplicates import NearDuplicates
from wafergate.domain.novelty import ModelReference
from wafergate.domain.out_of_fold import FoldRun, OutOfFold
from wafergate.domain.production import (
    ProductionDraw,
    ProductionExport,
    ProductionFigures,
    ProductionItem,
    ProductionReview,
    ReviewedImage,
)
from wafergate.domain.quarantine import QuarantineChange
from wafergate.domain.report import DecisionReport
from wafergate.domain.reproduction import Reproduction
from wafergate.domain.review import ReviewAnswer, ReviewItem
from wafergate.domain.runs import FlowRun, LineFileVersion
from wafergate.domain.samples import DatasetVersion, ImageRecord, Quarantined, Sample
from wafergate.domain.serving import RuntimeChoice
from wafergate.domain.splits import Split, SplitMember
from wafergate.domain.standing import Renewal
from wafergate.domain.taxonomy import Signature, TaxonomyVersion
from wafergate.domain.tiling import Tiling
from wafergate.domain.training_rows import (
    CheckpointRemoval,
    MemoryStep,
    ModelVersion,
    TrainingCheckpoint,
    TrainingEpoch,
    TrainingItem,
    TrainingSet,
)
from wafergate.domain.validation_rows import ValidationResult
from wafergate.domain.weekly import WeeklyReport
from wafergate.domain.weights import WeightFile
from wafergate.errors import StorageError

__all__ = ["ALERT_CHANGES", "KINDS", "Table", "table_of"]

ALERT_CHANGES = ("state", "attempts", "last_error", "sent_at", "next_try_at", "taken", "told_by", "acknowledged_by")
"""What may change of an alert; what it says never does."""

_PLAIN = (str, int, float, bool, datetime)


@dataclass(frozen=True, slots=True)
class Table:
    """A table and the columns of its value object, in the order of the fields."""

    name: str
    kind: type
    key: tuple[str, ...]
    newest_first: str
    columns: tuple[str, ...]
    nested: Mapping[str, TypeAdapter[object]]
    whole: TypeAdapter[object]

    def encode(self, row: object) -> tuple[object, ...]:
        """Return the column values of a row: nested values as JSON."""
        wrap = Json if self.name == "ledger" else Jsonb
        return tuple(
            wrap(self.nested[name].dump_python(value, mode="json"))
            if name in self.nested
            else (value.value if isinstance(value, enum.Enum) else value)
            for name, value in ((name, getattr(row, name)) for name in self.columns)
        )

    def decode(self, values: tuple[object, ...]) -> object:
        """Return the value object of a row read back.

        Raises:
            StorageError: the row does not hold what it should.
        """
        try:
            return self.whole.validate_python(dict(zip(self.columns, values, strict=True)))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            message = (
                f"a row of table {self.name} cannot be read (column {where}): it was changed by hand, or another "
                "version wrote it; `wafergate ledger verify` checks the ledger"
            )
            raise StorageError(message) from error


def _is_plain(hint: object) -> bool:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return all(_is_plain(part) for part in typing.get_args(hint) if part is not types.NoneType)
    return isinstance(hint, type) and (issubclass(hint, _PLAIN) or issubclass(hint, enum.Enum))


KINDS: dict[type, tuple[str, tuple[str, ...], str]] = {
    LineFileVersion: ("line_file", ("id",), "created_at DESC, id"),
    FlowRun: ("flow_run", ("id",), "created_at DESC, id"),
    ImageRecord: ("image", ("id",), "created_at DESC, id"),
    Quarantined: ("quarantine", ("id",), "created_at DESC, id"),
    QuarantineChange: ("quarantine_change", ("id",), "created_at DESC, step DESC, id"),
    DatasetVersion: ("dataset_version", ("id",), "number DESC"),
    Tiling: ("tiling", ("id",), "created_at DESC, id"),
    Sample: ("sample", ("dataset_id", "position"), "dataset_id, position"),
    ValidationResult: ("validation_result", ("id",), "created_at DESC, id"),
    ReviewItem: ("review_item", ("id",), "created_at DESC, kind, score DESC, id"),
    ReviewAnswer: ("review_answer", ("id",), "created_at DESC, id"),
    TaxonomyVersion: ("taxonomy_version", ("id",), "number DESC"),
    Signature: ("taxonomy_signature", ("id",), "created_at DESC, id"),
    NearDuplicates: ("near_duplicates", ("id",), "created_at DESC, id"),
    Split: ("dataset_split", ("id",), "created_at DESC, id"),
    SplitMember: ("split_member", ("split_id", "position"), "split_id, position"),
    Renewal: ("renewal", ("id",), "created_at DESC, id"),
    AugmentationPlan: ("augmentation_plan", ("id",), "created_at DESC, id"),
    PlannedImage: ("planned_image", ("plan_id", "position"), "plan_id, position"),
    TrainingSet: ("training_set", ("id",), "created_at DESC, id"),
    TrainingItem: ("training_item", ("training_set_id", "position"), "training_set_id, position"),
    FactorRun: ("factor_run", ("id",), "created_at DESC, id"),
    Ablation: ("ablation", ("id",), "created_at DESC, id"),
    CurveRun: ("curve_run", ("id",), "created_at DESC, id"),
    LearningCurve: ("learning_curve", ("id",), "created_at DESC, id"),
    TrainingEpoch: ("training_epoch", ("id",), "created_at DESC, id"),
    Probe: ("probe", ("id",), "created_at DESC, id"),
    BriefTraining: ("brief_training", ("id",), "created_at DESC, id"),
    ModelChoice: ("model_choice", ("id",), "created_at DESC, id"),
    WeightFile: ("weight_file", ("id",), "created_at DESC, id"),
    CheckpointRemoval: ("checkpoint_removal", ("id",), "created_at DESC, id"),
    TrainingCheckpoint: ("training_checkpoint", ("id",), "created_at DESC, id"),
    MemoryStep: ("memory_step", ("id",), "created_at DESC, id"),
    ModelVersion: ("model_version", ("id",), "number DESC"),
    Reproduction: ("reproduction", ("id",), "created_at DESC, id"),
    Evaluation: ("evaluation", ("id",), "created_at DESC, id"),
    Comparison: ("comparison", ("id",), "created_at DESC, id"),
    FoldRun: ("fold_run", ("id",), "created_at DESC, id"),
    OutOfFold: ("out_of_fold", ("id",), "created_at DESC, id"),
    GateDecision: ("gate_decision", ("id",), "created_at DESC, id"),
    DecisionReport: ("decision_report", ("id",), "created_at DESC, id"),
    LedgerEntry: ("ledger", ("seq",), "seq DESC"),
    Champion: ("champion", ("line",), "since DESC, line"),
    ServingFigures: ("serving_figures", ("id",), "created_at DESC, id"),
    RuntimeChoice: ("runtime_choice", ("id",), "created_at DESC, id"),
    InspectionRun: ("inspection_run", ("id",), "created_at DESC, id"),
    ModelReference: ("model_reference", ("id",), "created_at DESC, id"),
    ProductionDraw: ("production_draw", ("id",), "created_at DESC, id"),
    ProductionItem: ("production_item", ("id",), "created_at DESC, stratum, rank, id"),
    ProductionExport: ("production_export", ("id",), "created_at DESC, id"),
    ProductionReview: ("production_review", ("id",), "created_at DESC, id"),
    ReviewedImage: ("reviewed_image", ("id",), "created_at DESC, id"),
    ProductionFigures: ("production_figures", ("id",), "created_at DESC, id"),
    DriftReport: ("drift_report", ("id",), "created_at DESC, id"),
    GoldenSet: ("golden_set", ("id",), "created_at DESC, id"),
    GoldenAnswers: ("golden_answers", ("id",), "created_at DESC, id"),
    GoldenRun: ("golden_run", ("id",), "created_at DESC, id"),
    GovernorDecision: ("governor_decision", ("id",), "created_at DESC, id"),
    WeeklyReport: ("weekly_report", ("id",), "created_at DESC, id"),
    Alert: ("alert", ("id",), "created_at DESC, id"),
}


def table_of(kind: type) -> Table:
    """Return the table of a value object's class.

    Raises:
        TypeError: the class has none.
    """
    return _build(kind)


@cache
def _build(kind: Hashable) -> Table:
    assert isinstance(kind, type)  # noqa: S101 - narrows for the type checker; a class is hashable
    if kind not in KINDS:
        message = f"{kind.__name__} has no table"
        raise TypeError(message)
    name, key, order = KINDS[kind]
    hints = typing.get_type_hints(kind)
    columns = tuple(field.name for field in dataclasses.fields(kind))
    nested = {column: TypeAdapter(hints[column]) for column in columns if not _is_plain(hints[column])}
    return Table(name, kind, key, order, columns, nested, TypeAdapter(kind))
