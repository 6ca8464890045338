"""What is known of a line at one moment, read from the fact store in one go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from wafergate.domain.alerts import Alert, AlertCause, AlertState
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import Champion, GateDecision
from wafergate.domain.report import DecisionReport
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import Split
from wafergate.domain.training_rows import ModelVersion
from wafergate.domain.validation_rows import ValidationResult
from wafergate.formats.verdicts import Grounds
from wafergate.jobs.alert_subjects import subjects_of
from wafergate.jobs.line_drift import drift_behind
from wafergate.ports import FactStore

__all__ = ["Judged", "LineView", "list_lines", "load_judged", "load_view"]

ALERTS_READ = 50  # a line with more undelivered messages than this has one problem: its channel


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate decision with the rows it stands on."""

    decision: GateDecision
    evaluation: Evaluation
    model: ModelVersion
    split: Split
    dataset: DatasetVersion

    @property
    def grounds(self) -> Grounds:
        """What the verdict's sentences are told from."""
        return Grounds(self.evaluation, self.split)


@dataclass(frozen=True, slots=True)
class LineView:
    """What is known of one line at one moment.

    Attributes:
        line: the production line.
        champion: the model that judges it now.
        judged: the decision that made the champion.
        latest: the newest decision, of whichever model.
        report: the stored page about the newest decision.
        newest_dataset: the newest dataset version.
        validation: the newest check of the shown dataset version.
        drift: the newest drift report on the data the champion was trained on, else the newest of the line.
        drift_behind: the one that the line's state goes by.
        alerts: open alerts, newest first.
        subjects: what they are about, by the id they name.
        looks: how often the shown test set has been used so far.
        read_at: when this was read, UTC.
    """

    line: str
    champion: Champion | None
    judged: Judged | None
    latest: Judged | None
    report: DecisionReport | None
    newest_dataset: DatasetVersion | None
    validation: ValidationResult | None
    drift: DriftReport | None
    drift_behind: DriftReport | None
    alerts: tuple[Alert, ...]
    subjects: Mapping[str, object]
    looks: int
    read_at: datetime

    @property
    def shown(self) -> Judged | None:
        """The model whose figures lead the page: the champion, else the newest one judged."""
        return self.judged or self.latest

    @property
    def challenger(self) -> Judged | None:
        """The newest judged model where it is not the champion and came after it."""
        if self.judged is None or self.latest is None or self.latest.model.id == self.judged.model.id:
            return None
        return self.latest if self.latest.decision.created_at > self.judged.decision.created_at else None

    @property
    def dataset(self) -> DatasetVersion | None:
        """The dataset version behind the shown model, else the newest."""
        return self.shown.dataset if self.shown else self.newest_dataset

    @property
    def drift_is_current(self) -> bool:
        """Whether the drift report compares with the data the champion was trained on."""
        return bool(self.drift and self.judged and self.drift.dataset_id == self.judged.model.dataset_id)


def list_lines(facts: FactStore) -> list[str]:
    """Return the lines that have stored a dataset version or an alert, sorted."""
    return sorted({*facts.count(DatasetVersion, "line"), *facts.count(Alert, "line")})


def load_view(facts: FactStore, line: str) -> LineView:
    """Read what the pages show of a line.

    Raises:
        NotFoundError: a row refers to another that is not there.
        ServiceError: the store does not answer.
    """
    champion = facts.champion(line)
    judged = load_judged(facts, facts.get(GateDecision, champion.decision_id)) if champion else None
    decisions = facts.find(GateDecision, line=line, limit=1)
    same = judged is not None and bool(decisions) and decisions[0].id == judged.decision.id
    latest = judged if same else load_judged(facts, decisions[0]) if decisions else None
    pages = facts.find(DecisionReport, decision_id=latest.decision.id, limit=1) if latest else []
    datasets = facts.find(DatasetVersion, line=line, limit=1)
    newest = datasets[0] if datasets else None
    shown = judged or latest
    dataset = shown.dataset if shown else newest
    checks = facts.find(ValidationResult, dataset_id=dataset.id, limit=1) if dataset else []
    drift = _newest_drift(facts, line, judged)
    behind = drift_behind(facts, line, judged.model.dataset_id) if judged else None
    alerts = _open_alerts(facts, line, latest.decision if latest else None, behind or drift)
    return LineView(
        line=line,
        champion=champion,
        judged=judged,
        latest=latest,
        report=pages[0] if pages else None,
        newest_dataset=newest,
        validation=checks[0] if checks else None,
        drift=drift,
        drift_behind=behind,
        alerts=alerts,
        subjects=subjects_of(facts, alerts),
        looks=_looks(facts, shown),
        read_at=datetime.now(UTC),
    )


def load_judged(facts: FactStore, decision: GateDecision) -> Judged:
    """Read the rows a gate decision stands on.

    Raises:
        NotFoundError: one of them is not there.
    """
    evaluation = facts.get(Evaluation, decision.evaluation_id)
    model = facts.get(ModelVersion, decision.model_id)
    split = facts.get(Split, evaluation.split_id)
    return Judged(decision, evaluation, model, split, facts.get(DatasetVersion, split.dataset_id))


def _newest_drift(facts: FactStore, line: str, judged: Judged | None) -> DriftReport | None:
    own = facts.find(DriftReport, line=line, dataset_id=judged.model.dataset_id, limit=1) if judged else []
    return next(iter(own or facts.find(DriftReport, line=line, limit=1)), None)


def _looks(facts: FactStore, shown: Judged | None) -> int:
    if shown is None:
        return 0
    return max(row.look for row in facts.find(Evaluation, split_id=shown.split.id, side="test"))


def _open_alerts(
    facts: FactStore, line: str, decision: GateDecision | None, drift: DriftReport | None
) -> tuple[Alert, ...]:
    """Return what waits to be delivered, and what speaks of the newest verdict or drift report or came after them."""
    newest = {"gate": decision, "drift": drift, "flow": decision}

    def is_open(alert: Alert) -> bool:
        if alert.cause == AlertCause.REPORT:  # it asks for nothing once it has gone out
            return alert.state is AlertState.WAITING
        about = newest.get(alert.cause)
        return (
            alert.state is AlertState.WAITING
            or about is None
            or alert.subject in {about.id, getattr(about, "evaluation_id", about.id)}
            or alert.created_at > about.created_at
        )

    closed = {AlertState.FOLDED, AlertState.ACKNOWLEDGED}
    found = facts.find(Alert, line=line, limit=ALERTS_READ)
    return tuple(alert for alert in found if alert.state not in closed and is_open(alert))
