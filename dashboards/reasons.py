"""Why a candidate was dropped, what drift asks for and why the governor holds a line back, in the reader's language.

The rows hold their sentences in English, which is what a reader of English sees; other languages are told from stored
figures. Everything here returns plain text: whoever puts it on a page escapes it.
"""

from collections.abc import Callable, Mapping, Sequence

from dashboards.texts import Text, phrases
from wafergate.domain.choice import CandidateStanding, ModelChoice
from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.domain.evaluation import Comparison
from wafergate.domain.gate import RuleResult, Verdict
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.models import Channels
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.verdicts import part

__all__ = ["advised", "dropped", "governed", "not_compared"]


def dropped(item: CandidateStanding, choice: ModelChoice, text: Text) -> str:
    """Return what dropped a candidate, as it was stored where its figures do not tell it."""
    teller = _DROPPED.get(item.dropped_by)
    return (teller(item, choice, text) if teller else "") or item.reason


def advised(report: DriftReport, text: Text) -> str:
    """Return why a drift report advises what it does; other languages leave out how much is labelled."""
    about = report.cause if report.verdict is DriftVerdict.DRIFTED else report.verdict
    key = f"advised_{report.advice}_{about}"
    told = text.language != "en" and key in phrases()[text.language]
    return text.plain(key) if told else report.reason


def not_compared(comparison: Comparison, challenger: ModelVersion, champion: ModelVersion, text: Text) -> str:
    """Return why two models could not be compared on a test set, as it was stored where the rows do not tell it."""
    if text.language == "en":
        return comparison.reason
    if not set(challenger.classes) & set(champion.classes):
        return text.plain("apart_classes")
    if champion.channels is Channels.GOLDEN and challenger.channels is not Channels.GOLDEN:
        return text.plain("apart_golden")
    return text.plain("apart_learnt", count=text.count(comparison.left_out))


def governed(decision: GovernorDecision, reports: Sequence[DriftReport], text: Text) -> str:
    """Return what the governor decided and why.

    Args:
        decision: its answer.
        reports: drift reports, among them the one that asked, if it is at hand.
        text: the reader's language.
    """
    advice = next((text.word(report.advice) for report in reports if report.id == decision.event), "")
    told = [_rule(rule, advice, text) for rule in decision.missing or decision.rules]
    return f"{text.plain(f'governor_{decision.verdict}')}: {'; '.join(sentence for sentence in told if sentence)}"


def _rule(rule: RuleResult, advice: str, text: Text) -> str:
    """Return what a rule of the governor found; nothing where no report that asked is at hand and none held back."""
    if rule.rule == "advice":
        stored = "" if rule.verdict is Verdict.PASS else rule.evidence
        return text.plain("governor_advice", advice=advice) if advice else stored
    if rule.value is None or rule.limit is None or rule.rule not in {"new_labels", "cooldown", "budget", "running"}:
        return rule.evidence
    # A line that was never retrained is stored as just cooled down.
    none = {"cooldown": rule.value == rule.limit, "running": not rule.value}.get(rule.rule, False)
    digits = 1 if rule.rule == "cooldown" else 0
    values = {"value": text.value(rule.value, digits), "limit": f"{rule.limit:g}"}
    return text.plain(f"governor_{rule.rule}{'_none' if none else ''}", **values)


def _limited(item: CandidateStanding, _choice: ModelChoice, text: Text) -> str:
    broken = item.broken
    if broken is None:
        return text.plain("dropped_memory_none") if item.dropped_by == "memory" and item.memory_mib is None else ""
    return text.plain(f"dropped_{broken.key}", value=text.value(broken.value, 1), limit=f"{broken.limit:g}")


def _licence(item: CandidateStanding, _choice: ModelChoice, text: Text) -> str:
    named = [
        f"{part(name, text)} {licence}"
        for name, licence in item.licences.items()
        if any(f"the {name} {verb} under {licence}: " in item.reason for verb in ("is", "are"))
    ]
    return text.plain("dropped_licence", parts=", ".join(named)) if named else text.plain("dropped_licence_some")


def _validation(item: CandidateStanding, choice: ModelChoice, text: Text) -> str:
    """Compare with the last one that went on from the round that dropped the candidate."""
    place = len(item.rungs) - 1
    kept = [
        one
        for one in choice.standings
        if len(one.rungs) > place and (len(one.rungs) > place + 1 or one.candidate == choice.winner)
    ]
    if place < 0 or not kept:
        return ""
    own = item.rungs[place]
    last = max(kept, key=lambda one: (-one.rungs[place].lowest_recall, -one.rungs[place].map50, one.size_mib or 0.0))
    its = last.rungs[place]
    values = {
        "epochs": own.epochs,
        "weakest": own.weakest,
        "recall": text.value(own.lowest_recall, 2),
        "map50": text.value(own.map50, 2),
        "other": last.candidate,
    }
    if (own.lowest_recall, own.map50) == (its.lowest_recall, its.map50):
        sizes = {"size": text.value(item.size_mib, 1), "other_size": text.value(last.size_mib, 1)}
        return text.plain("dropped_validation_larger", **values, **sizes)
    others = {"other_recall": text.value(its.lowest_recall, 2), "other_map50": text.value(its.map50, 2)}
    return text.plain("dropped_validation", **values, **others)


_DROPPED: Mapping[str, Callable[[CandidateStanding, ModelChoice, Text], str]] = {
    "memory": _limited,
    "latency": _limited,
    "size": _limited,
    "licence": _licence,
    "validation": _validation,
}
"""What drops a candidate and is told from figures; an input size and missing weights are told as they were stored."""
