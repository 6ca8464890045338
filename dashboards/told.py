"""What would change a verdict and what an alert is about, in the reader's language, from the stored figures.

The rows hold their sentences in English. What figures cannot tell (an exception's message) is shown as it was stored.
Everything here returns plain text: whoever puts it on a page escapes it. What the gate found is told by
`wafergate.formats.verdicts`.
"""

from collections.abc import Sequence

from dashboards.reading.line import Judged, LineView
from dashboards.texts import Text, phrases
from wafergate.domain.alerts import Alert, AlertCause
from wafergate.domain.bounds import more_to_prove
from wafergate.domain.drift import DriftReport
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.formats.verdicts import Grounds, subject, summary

__all__ = ["alert_title", "known", "next_step", "next_steps"]

SHOWN = 3  # features that have drifted, in a title


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


def alert_title(
    alert: Alert,
    decisions: Sequence[tuple[GateDecision, Grounds, str]],
    reports: Sequence[DriftReport],
    text: Text,
) -> str:
    """Return what an alert is about; its stored title where it is about none of the rows given.

    Args:
        alert: the message.
        decisions: gate decisions with what is at hand of their grounds, and their model's name.
        reports: drift reports.
        text: the reader's language.
    """
    for decision, grounds, model in decisions:
        if decision.id == alert.subject and alert.cause == AlertCause.GATE:
            told = summary(decision, grounds, text).rstrip(".")
            return text.plain("alert_gate", model=model, verdict=text.word(decision.verdict), summary=told)
        if decision.id == alert.subject and alert.cause == AlertCause.APPROVAL:
            return text.plain("alert_approval", model=model)
    for report in reports:
        moved = [text.feature(item.feature) for item in report.features if item.drifted]
        if report.id == alert.subject and moved:
            more = f" +{len(moved) - SHOWN}" if len(moved) > SHOWN else ""
            return text.plain("alert_drift", features=", ".join(moved[:SHOWN]) + more)
    return alert.title.removeprefix(f"{alert.line}: ")


def known(view: LineView, text: Text) -> list[tuple[GateDecision, Grounds, str]]:
    """Return the decisions a line's view holds, as `alert_title` wants them."""
    judged: list[Judged] = [item for item in (view.latest, view.judged) if item is not None]
    return [(item.decision, item.grounds, text.model(item.model)) for item in judged]
