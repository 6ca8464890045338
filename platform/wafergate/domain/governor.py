"""When a line may be retrained by itself, and what was decided each time somebody or something asked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from wafergate.domain.drift import Advice
from wafergate.domain.gate import RuleResult, Verdict

__all__ = ["GovernorDecision", "GovernorPolicy", "GovernorVerdict", "RetrainStanding"]


class GovernorVerdict(StrEnum):
    """Only `retrain` starts a run."""

    RETRAIN = "retrain"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class GovernorPolicy:
    """`[governor]`: what a retraining that nobody asked for by name must wait for.

    Attributes:
        min_new_labels: images whose labels the champion has not learnt from: new ones, and those labelled otherwise.
        cooldown_hours: from the start of the last retraining, whoever started it; 0 switches it off.
        runs_per_week: retrainings that may start within seven days, whoever starts them.
        heed_advice: whether drift whose report advises to recalibrate or to wait holds a retraining back: a model that
            learns a failing lamp is a worse model.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    min_new_labels: Annotated[int, Ge(1)] = 30
    cooldown_hours: Annotated[float, Ge(0), Le(24 * 365)] = 24.0
    runs_per_week: Annotated[int, Ge(1)] = 3
    heed_advice: bool = True

    @property
    def cooldown(self) -> timedelta:
        """Return the cool-down as a duration."""
        return timedelta(hours=self.cooldown_hours)


@dataclass(frozen=True, slots=True)
class RetrainStanding:
    """What the governor looks at.

    Attributes:
        new_labels: labelled images that the champion has not learnt from.
        started: when the retrainings of the line started, in any order.
        running: ids of the retraining runs that have not ended.
        advice: what the drift report that asks advises; None where no report asks.
    """

    new_labels: int
    started: tuple[datetime, ...] = ()
    running: tuple[str, ...] = ()
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class GovernorDecision:
    """One answer of the governor; an event is answered once.

    Attributes:
        id: from the line and the event.
        line: the production line.
        event: what asked: id of a drift report, or of the flow run that asked on a schedule or for a person.
        verdict: `retrain` or `hold`.
        rules: every rule with its number, limit and, where it did not hold, what would change that.
        model_id: the champion whose labels were compared; empty where the line has none.
        dataset_id: the newest dataset version, which a retraining uses; empty where the line has none.
        actor: who asked.
        policy: the limits that were in force.
        created_at: when it was decided.
    """

    id: str
    line: str
    event: str
    verdict: GovernorVerdict
    rules: tuple[RuleResult, ...]
    model_id: str
    dataset_id: str
    actor: str
    policy: GovernorPolicy
    created_at: datetime

    @property
    def missing(self) -> tuple[RuleResult, ...]:
        """Return the rules that did not hold."""
        return tuple(rule for rule in self.rules if rule.verdict is not Verdict.PASS)

    @property
    def summary(self) -> str:
        """Say in one sentence what was decided and why."""
        told = "; ".join(rule.evidence for rule in self.missing or self.rules)
        return f"{self.verdict.value}: {told}"
