"""What would change a verdict, in the reader's language, from the stored figures.

The rows hold their sentences in English. Everything here returns plain text: whoever puts it on a page escapes it. What
the gate found is told by `wafergate.formats.verdicts`.
"""

from dashboards.texts import Text, phrases
from wafergate.domain.bounds import more_to_prove
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.formats.verdicts import subject

__all__ = ["next_step", "next_steps"]


_OTHER_STEPS = {"equal bytes": "step_leak_copies", "`wafergate weights add`": "step_licence_unnamed"}
"""What a step says where its rule has another answer than the usual one, and the sentence for it."""


def next_steps(decision: GateDecision, evaluation: Evaluation, text: Text) -> list[str]:
    """Return what would change a verdict, a sentence for each rule that holds it back."""
    held = [rule for rule in decision.rules if rule.verdict is not Verdict.PASS and rule.next_step]
    return [next_step(rule, decision, evaluation, text) for rule in held]


def next_step(rule: RuleResult, decision: GateDecision, evaluation: Evaluation, text: Text) -> str:
    """Return what would change a rule's verdict, as it was stored where its figures do not tell it."""
    key = next(
        (step for said, step in _OTHER_STEPS.items() if said in rule.next_step), f"step_{rule.rule}_{rule.verdict}"
    )
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
