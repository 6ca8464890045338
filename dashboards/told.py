"""What would change a verdict, in the reader's language, from the stored sentences of the gate.

The rows hold their sentences in English, with the figures that count. Everything here returns plain text: whoever puts
it on a page escapes it. What the gate found is told by `wafergate.formats.verdicts`.
"""

import re

from dashboards.texts import Text, phrases
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.formats.verdicts import subject

__all__ = ["next_step", "next_steps"]

_FOUND = r".+: (?P<hits>\d+) of (?P<trials>\d+) found, lower bound(?: by groups)? [\d.]+, limit [\d.]+: "
_MORE = rf"{_FOUND}(?P<more>\d+) more, all found, would prove it"
_APART = r"not_worse: {}: judge both on new test images .*"
_NONE_LEFT = r".+: no test instance is left to compare with the champion on{}: new test images of it .*"
_SAID = {
    "step_recall_undecided": _MORE,
    "step_recall_groups": rf"{_MORE}, with instances of (?P<least>\d+) groups or more",
    "step_recall_few_groups": rf"{_FOUND}fewer than (?P<least>\d+) groups show it; instances from more groups .*",
    "step_recall_same_groups": rf"{_FOUND}the misses come from few groups; instances from more groups .*",
    "step_recall_no_groups": r".+: bounds by groups are asked for and were not computed: .*",
    "step_recall_fail": r".+: look at the (?P<misses>\d+) instances? not found \((?P<kinds>.+)\) and train on more .*",
    "step_recall_unlike": r".+: look at the (?P<misses>\d+) instances? not found and train on more .*",
    "step_not_worse_groups": r".+: the loss is beyond chance, but fewer than (?P<least>\d+) groups show it; .*",
    "step_classes_present": r".+: no instance in the test set: (?P<more>\d+), all found, .* of (?P<limit>[\d.]+)",
    "step_overkill_undecided": r"overkill: (?P<hits>\d+) of (?P<trials>\d+) normal images .*: (?P<more>\d+) more .*",
    "step_overkill_none": r"overkill: (?P<more>\d+) normal images in the test set, none of them alarmed, .*",
    "step_not_worse_classes": _APART.format("the two detect no class in common"),
    "step_not_worse_learnt": _APART.format(r"the champion learnt from every one of the (?P<images>\d+) test images"),
    "step_not_worse_golden": _APART.format(
        r"the champion compares with golden references, which (?P<images>[\d,]+) test images? lack, e\.g\. (?P<name>.+)"
    ),
    "step_not_worse_none_left": _NONE_LEFT.format(""),
    "step_not_worse_left_out": _NONE_LEFT.format(
        r"; left out: (?P<images>[\d,]+) test images? the champion learnt from"
    ),
    "step_latency_few": r"latency: (?P<timed>\d+) answers were timed and (?P<needed>\d+) are needed: .*",
    "step_leak_alike": r"leak: (?P<alike>[\d,]+) images in test and on another side look like more others .*",
    "step_leak_copies": r"leak: keep one of the images with equal bytes .*",
    "step_licence_unnamed": r"licence: state that of the weights with .*",
}
"""The steps of `wafergate.stages.decide` that tell figures, or that are one of several of their rule."""


def next_steps(decision: GateDecision, text: Text) -> list[str]:
    """Return what would change a verdict, a sentence for each rule that holds it back."""
    held = [rule for rule in decision.rules if rule.verdict is not Verdict.PASS and rule.next_step]
    return [next_step(rule, text) for rule in held]


def next_step(rule: RuleResult, text: Text) -> str:
    """Return what would change a rule's verdict, as it was stored where no sentence of the reader's language fits."""
    said = ((key, re.fullmatch(pattern, rule.next_step)) for key, pattern in _SAID.items())
    key, values = next(((key, found.groupdict()) for key, found in said if found), (_usual(rule), {}))
    if "kinds" in values:
        kinds = re.findall(r"(\d+) ([a-z ]+)", values["kinds"])
        values["kinds"] = ", ".join(text.plain(f"kind_{kind.replace(' ', '_')}", count=count) for count, kind in kinds)
    known, about = key in phrases()[text.language], subject(rule, text) or text.word(rule.rule)
    return text.plain(key, subject=about, **values) if known else rule.next_step


def _usual(rule: RuleResult) -> str:
    """Return the key of what a rule of this verdict usually asks for; none for a rule whose steps tell figures."""
    return "" if rule.rule == "recall" else f"step_{rule.rule}_{rule.verdict}"
