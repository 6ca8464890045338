"""What the gate found and what an alert is about, in the reader's language, from the stored figures.

The rows hold their sentences in English. What figures cannot tell (a licence's reason, an exception's message) is shown
as it was stored. Everything here returns plain text: whoever puts it on a page escapes it.
"""

from collections.abc import Sequence

from dashboards.reading.line import Judged, LineView
from dashboards.texts import Text, phrases
from wafergate.domain.alerts import Alert, AlertCause
from wafergate.domain.bounds import more_to_prove
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.domain.line_state import weakest_recall
from wafergate.domain.splits import Side, Split, SplitMode

__all__ = ["alert_title", "evidence", "known", "next_step", "next_steps", "part", "split_notes", "subject", "summary"]

SHOWN = 3  # features that have drifted, in a title
PARITY_DIGITS = 4


def summary(decision: GateDecision, evaluation: Evaluation | None, text: Text) -> str:
    """Return a verdict in a sentence: what held the model back, or the class nearest to its limit.

    Args:
        decision: the verdict.
        evaluation: what it was given on; without it counts are left out.
        text: the reader's language.
    """
    if decision.verdict is Verdict.PASS:
        nearest = weakest_recall(decision)
        if nearest is None:
            return text.plain("told_pass")
        return text.plain("told_nearest", subject=nearest.subject, evidence=evidence(nearest, evaluation, text))
    against = [rule for rule in decision.rules if rule.verdict is decision.verdict]
    if not against:
        return decision.summary
    first, others = against[0], len(against) - 1
    about = f"{text.title(first.rule)}, {subject(first, text)}" if first.subject else text.title(first.rule)
    told = text.plain("told_against", about=about, evidence=evidence(first, evaluation, text))
    return f"{told} {text.plain(f'told_more_{decision.verdict}', count=others)}" if others else told


def evidence(rule: RuleResult, evaluation: Evaluation | None, text: Text) -> str:
    """Return what a rule found, as it was stored where its figures do not tell it."""
    key, values = _found(rule, evaluation, text)
    return text.plain(key, **values) if key in phrases()[text.language] else rule.evidence


def next_steps(decision: GateDecision, evaluation: Evaluation, text: Text) -> list[str]:
    """Return what would change a verdict, a sentence for each rule that holds it back."""
    held = [rule for rule in decision.rules if rule.verdict is not Verdict.PASS and rule.next_step]
    return [next_step(rule, decision, evaluation, text) for rule in held]


def next_step(rule: RuleResult, decision: GateDecision, evaluation: Evaluation, text: Text) -> str:
    """Return what would change a rule's verdict, as it was stored where its figures do not tell it."""
    key = f"step_{rule.rule}_{rule.verdict}"
    values: dict[str, object] = {"subject": subject(rule, text)}
    if rule.rule == "recall":
        figures = evaluation.by_class().get(rule.subject)
        if figures is None or rule.limit is None:
            return rule.next_step
        hits, trials = figures.recall.hits, figures.recall.trials
        more = more_to_prove(hits, trials, rule.limit, decision.policy.confidence)
        # Held back by something else than the count: the groups, or a confidence shared by several classes.
        if rule.verdict is Verdict.UNDECIDED and f" {more} more, all found" not in rule.next_step:
            return rule.next_step
        kinds = [text.plain(f"kind_{kind}", count=count) for kind, count in figures.misses.items() if count]
        if rule.verdict is Verdict.FAIL and not kinds:
            return rule.next_step
        values |= {"hits": hits, "trials": trials, "more": more, "misses": trials - hits, "kinds": ", ".join(kinds)}
    return text.plain(key, **values) if key in phrases()[text.language] else rule.next_step


def subject(rule: RuleResult, text: Text) -> str:
    """Return what a rule speaks of: a defect class, or a part of the model by its word."""
    return part(rule.subject, text) if rule.rule in {"licence", "export_parity"} else rule.subject


def part(name: str, text: Text) -> str:
    """Return the word of a part of a model; a name that is none is returned as it is."""
    return phrases()[text.language].get(f"part_{name}", name)


def split_notes(split: Split, text: Text) -> list[str]:
    """Return what a split holds less of than an even one would, told from its counts."""
    test, validation = (split.counts.get(side, {}) for side in (Side.TEST, Side.VALIDATION))
    notes = [text.plain("split_test_holds", least=min(test.values()))] if test else []
    if split.mode is SplitMode.TEST_EVEN and validation:
        least, most = min(validation.values()), max(validation.values())
        notes.append(text.plain("split_as_it_falls", least=least, most=most))
    notes += [text.plain("split_lacks", name=name) for name, count in validation.items() if not count]
    if split.images.get(Side.UNUSED):
        notes.append(text.plain("split_unused", count=text.count(split.images[Side.UNUSED])))
    if any(split.normal_images.values()):
        empty = [side for side in (Side.TEST, Side.VALIDATION) if not split.normal_images.get(side)]
        notes += [text.plain("split_no_normal", side=text.word(side)) for side in empty]
    return notes


def alert_title(
    alert: Alert,
    decisions: Sequence[tuple[GateDecision, Evaluation | None, str]],
    reports: Sequence[DriftReport],
    text: Text,
) -> str:
    """Return what an alert is about; its stored title where it is about none of the rows given.

    Args:
        alert: the message.
        decisions: gate decisions with their evaluation, if it is at hand, and their model's name.
        reports: drift reports.
        text: the reader's language.
    """
    for decision, evaluation, model in decisions:
        if decision.id == alert.subject and alert.cause == AlertCause.GATE:
            told = summary(decision, evaluation, text).rstrip(".")
            return text.plain("alert_gate", model=model, verdict=text.word(decision.verdict), summary=told)
        if decision.id == alert.subject and alert.cause == AlertCause.APPROVAL:
            return text.plain("alert_approval", model=model)
    for report in reports:
        moved = [text.feature(item.feature) for item in report.features if item.drifted]
        if report.id == alert.subject and moved:
            more = f" +{len(moved) - SHOWN}" if len(moved) > SHOWN else ""
            return text.plain("alert_drift", features=", ".join(moved[:SHOWN]) + more)
    return alert.title.removeprefix(f"{alert.line}: ")


def known(view: LineView, text: Text) -> list[tuple[GateDecision, Evaluation | None, str]]:
    """Return the decisions a line's view holds, as `alert_title` wants them."""
    judged: list[Judged] = [item for item in (view.latest, view.judged) if item is not None]
    return [(item.decision, item.evaluation, text.model(item.model)) for item in judged]


def _found(rule: RuleResult, evaluation: Evaluation | None, text: Text) -> tuple[str, dict[str, str]]:
    """Return the key of the sentence that tells what a rule found, and its values; a key of none where it cannot."""
    name, limit = f"told_{rule.rule}", text.limit(rule.limit)
    if rule.rule in {"recall", "overkill"}:
        return _counted(rule, evaluation, text)
    if rule.rule == "not_worse":
        return _compared(rule, text)
    if rule.value is None:
        return f"{name}_{rule.verdict}", {}
    if rule.rule == "export_parity":
        return f"{name}_{rule.subject}", {"value": text.value(rule.value, PARITY_DIGITS), "limit": limit}
    digits = 0 if rule.rule == "test_looks" else 1
    return name if rule.limit is not None else f"{name}_free", {"value": text.value(rule.value, digits), "limit": limit}


def _compared(rule: RuleResult, text: Text) -> tuple[str, dict[str, str]]:
    if rule.value is not None:
        values = {"bound": text.value(rule.bound), "limit": text.limit(rule.limit)}
        return "told_not_worse", {"change": f"{rule.value:+.3f}", **values}
    if rule.verdict is not Verdict.PASS:
        return "", {}
    return f"told_not_worse_{'new' if rule.subject else 'alone'}", {}


def _counted(rule: RuleResult, evaluation: Evaluation | None, text: Text) -> tuple[str, dict[str, str]]:
    name = f"told_{rule.rule}"
    if evaluation is None:
        shown = text.at_most(rule.bound) if rule.rule == "overkill" else text.at_least(rule.bound)
        bounded = rule.bound is not None and rule.limit is not None
        return (f"{name}_bare" if bounded else ""), {"bound": shown, "limit": text.limit(rule.limit)}
    if rule.rule == "overkill":
        rate, bound = evaluation.overkill, text.at_most(rule.bound)
        if rate.value is None:
            return f"{name}_none", {}
        name += "_free" if rule.limit == 1 else ""
    else:
        figures = evaluation.by_class().get(rule.subject)
        if figures is None or not figures.recall.trials:
            return "", {}
        rate, bound = figures.recall, text.at_least(rule.bound)
    counts = {"hits": text.count(rate.hits), "trials": text.count(rate.trials)}
    return name, counts | {"bound": bound, "limit": text.limit(rule.limit)}
