"""The data behind a line's models: versions, one of them whole, and what waits for a person."""

from dataclasses import dataclass
from pathlib import Path

from wafergate.domain.quarantine import QuarantineChange, QuarantineState
from wafergate.domain.review import ReviewAnswer, ReviewItem, ReviewState, Suspicion, standing
from wafergate.domain.runs import LineFileVersion
from wafergate.domain.samples import DatasetVersion, Quarantined
from wafergate.domain.splits import Split
from wafergate.domain.validation_rows import ValidationResult
from wafergate.jobs.plan import Plan, plan_split
from wafergate.line import parse_line
from wafergate.ports import FactStore

__all__ = ["HeldBack", "OneVersion", "count_held", "load_held", "load_version", "load_versions"]

VERSIONS_READ = 100
HELD_READ = 1000  # entries of the quarantine, newest first; `wafergate quarantine list` has them all


@dataclass(frozen=True, slots=True)
class OneVersion:
    """One dataset version.

    Attributes:
        version: the version.
        validation: its newest check.
        split: its newest split.
        plan: what its test set can prove, under the line's newest line file; None without a split or a line file.
        review: its review list with where each item stands, the worst kind and the highest score first.
    """

    version: DatasetVersion
    validation: ValidationResult | None
    split: Split | None
    plan: Plan | None
    review: tuple[tuple[ReviewItem, ReviewState], ...]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Something in quarantine and where it stands."""

    entry: Quarantined
    state: QuarantineState


def load_versions(facts: FactStore, line: str) -> list[DatasetVersion]:
    """Return the dataset versions of a line, newest first."""
    return facts.find(DatasetVersion, line=line, limit=VERSIONS_READ)


def load_version(facts: FactStore, dataset_id: str) -> OneVersion:
    """Read one dataset version.

    Raises:
        NotFoundError: there is none.
        ConfigError: the line's stored line file does not suit this version of wafergate.
    """
    version = facts.get(DatasetVersion, dataset_id)
    checks = facts.find(ValidationResult, dataset_id=dataset_id, limit=1)
    splits = facts.find(Split, dataset_id=dataset_id, limit=1)
    split = splits[0] if splits else None
    return OneVersion(
        version,
        checks[0] if checks else None,
        split,
        _plan(facts, version.line, split) if split else None,
        _review(facts, dataset_id),
    )


def count_held(facts: FactStore, line: str) -> int:
    """Return how many entries the quarantine of a line has."""
    return facts.count(Quarantined, "line", line=line).get(line, 0)


def load_held(facts: FactStore, line: str) -> list[HeldBack]:
    """Return the newest entries of a line's quarantine, newest first; the newest decision about an entry holds."""
    entries = facts.find(Quarantined, line=line, limit=HELD_READ)
    newest: dict[str, QuarantineChange] = {}
    for change in sorted(facts.find(QuarantineChange, line=line), key=lambda change: change.step):
        newest[change.quarantined_id] = change
    return [
        HeldBack(entry, newest[entry.id].state if entry.id in newest else QuarantineState.OPEN) for entry in entries
    ]


def _plan(facts: FactStore, line: str, split: Split) -> Plan | None:
    kept = facts.find(LineFileVersion, line=line, limit=1)
    return plan_split(facts, parse_line(kept[0].text, Path(f"{line}.toml")), split) if kept else None


def _review(facts: FactStore, dataset_id: str) -> tuple[tuple[ReviewItem, ReviewState], ...]:
    order = list(Suspicion)
    items = sorted(
        facts.find(ReviewItem, dataset_id=dataset_id),
        key=lambda item: (order.index(item.kind), -item.score, item.sample, item.id),
    )
    answers = facts.find(ReviewAnswer, key=[item.key for item in items]) if items else []
    states = standing(items, answers)
    return tuple((item, states[item.id]) for item in items)
