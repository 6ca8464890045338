"""May this line be retrained now? One rule for each limit of the policy."""

from datetime import datetime, timedelta
from typing import Final

from wafergate.domain.drift import Advice
from wafergate.domain.gate import RuleResult, Verdict
from wafergate.domain.governor import GovernorPolicy, GovernorVerdict, RetrainStanding

__all__ = ["judge_retraining"]

_WEEK: Final = timedelta(days=7)


def judge_retraining(
    standing: RetrainStanding, policy: GovernorPolicy, *, now: datetime
) -> tuple[GovernorVerdict, tuple[RuleResult, ...]]:
    """Return whether a retraining may start, and every rule behind it; all must hold."""
    rules = (
        _enough_labels(standing, policy),
        _cooled_down(standing, policy, now),
        _within_budget(standing, policy, now),
        _none_runs(standing),
        _advised(standing, policy),
    )
    held = all(rule.verdict is Verdict.PASS for rule in rules)
    return (GovernorVerdict.RETRAIN if held else GovernorVerdict.HOLD), rules


def _rule(name: str, value: float | None, limit: float | None, evidence: str, next_step: str) -> RuleResult:
    """Return a rule that holds where nothing is left to do."""
    verdict = Verdict.FAIL if next_step else Verdict.PASS
    return RuleResult(name, "", value, None, limit, verdict, evidence, next_step)


def _enough_labels(standing: RetrainStanding, policy: GovernorPolicy) -> RuleResult:
    short = policy.min_new_labels - standing.new_labels
    evidence = f"{standing.new_labels} images with labels the champion has not learnt from, of {policy.min_new_labels}"
    step = f"label {short} more of the newest images, those that drifted first" if short > 0 else ""
    return _rule("new_labels", standing.new_labels, policy.min_new_labels, evidence, step)


def _cooled_down(standing: RetrainStanding, policy: GovernorPolicy, now: datetime) -> RuleResult:
    if not standing.started:
        return _rule("cooldown", policy.cooldown_hours, policy.cooldown_hours, "no retraining before this one", "")
    last = max(standing.started)
    hours = (now - last) / timedelta(hours=1)
    evidence = f"{hours:.1f} h since the last retraining started, of {policy.cooldown_hours:g}"
    over = last + policy.cooldown
    step = f"ask again after {over:%Y-%m-%d %H:%M} UTC" if now < over else ""
    return _rule("cooldown", hours, policy.cooldown_hours, evidence, step)


def _within_budget(standing: RetrainStanding, policy: GovernorPolicy, now: datetime) -> RuleResult:
    recent = sorted(when for when in standing.started if now - when < _WEEK)
    evidence = f"{len(recent)} of {policy.runs_per_week} retrainings allowed within seven days"
    step = ""
    if len(recent) >= policy.runs_per_week:
        free = recent[-policy.runs_per_week] + _WEEK
        step = f"ask again after {free:%Y-%m-%d %H:%M} UTC, or raise [governor] runs_per_week"
    return _rule("budget", len(recent), policy.runs_per_week, evidence, step)


def _none_runs(standing: RetrainStanding) -> RuleResult:
    if not standing.running:
        return _rule("running", 0, 0, "no retraining runs", "")
    evidence = f"a retraining runs or waits already: {standing.running[0]}"
    return _rule("running", len(standing.running), 0, evidence, "wait for its end; it takes the newest labels with it")


def _advised(standing: RetrainStanding, policy: GovernorPolicy) -> RuleResult:
    if standing.advice is None:
        return _rule("advice", None, None, "no drift report asks", "")
    evidence = f"the drift report advises: {standing.advice.value}"
    other = policy.heed_advice and standing.advice in {Advice.RECALIBRATE, Advice.WAIT}
    step = "do as the drift report advises first; a person may still retrain by hand" if other else ""
    return _rule("advice", None, None, evidence, step)
