"""What the gate found, in the reader's language, from the figures of the rows a verdict stands on.

The rows hold their sentences in English. What figures cannot tell (who accepted a licence and why) is shown as it was
stored. Everything here returns plain text: whoever puts it on a page escapes it.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.domain.line_state import weakest_recall
from wafergate.domain.splits import Side, Split, SplitMode
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.words import Words

__all__ = [
    "Grounds",
    "code_licence",
    "evidence",
    "part",
    "rule_bound",
    "say",
    "sentences",
    "split_notes",
    "subject",
    "summary",
]

_PARITY_DIGITS = 4

_NOT_ALLOWED = r"is not in \[licences\] allowed \(.*?\)"
_LICENCE_SAID = {
    "allowed": r"(?P<licence>.+) is in \[licences\] allowed",
    "exception": r"(?P<licence>.+?) is accepted in \[licences\.exceptions\] by (?P<who>.+)",
    "research": r"(?P<licence>.+) may be trained with and never promoted \(\[licences\] research_only\)",
    "unnamed": rf"nobody names a licence, so it {_NOT_ALLOWED}",
    "ended": rf"(?P<licence>.+?) {_NOT_ALLOWED}; the exception of (?P<who>.+) has ended",
    "refused": rf"(?P<licence>.+?) {_NOT_ALLOWED}",
}
"""The sentences of `wafergate.domain.licences.explain_licence` that the gate stores."""


@cache
def sentences() -> dict[str, dict[str, str]]:
    """Return the sentences of every language."""
    return tomllib.loads((Path(__file__).parent / "verdicts.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Grounds:
    """The rows a verdict stands on, as far as they are at hand; what is not is left out of the sentences.

    Attributes:
        evaluation: what the verdict was given on.
        split: whose test side that was.
    """

    evaluation: Evaluation | None = None
    split: Split | None = None


def summary(decision: GateDecision, grounds: Grounds, words: Words) -> str:
    """Return a verdict in a sentence: what held the model back, or the class nearest to its limit."""
    if decision.verdict is Verdict.PASS:
        nearest = weakest_recall(decision)
        if nearest is None:
            return say(words, "told_pass")
        return say(words, "told_nearest", subject=nearest.subject, evidence=evidence(nearest, grounds, words))
    against = [rule for rule in decision.rules if rule.verdict is decision.verdict]
    if not against:
        return decision.summary
    first, others = against[0], len(against) - 1
    word = words.word(first.rule)
    about = word[:1].upper() + word[1:] + (f", {subject(first, words)}" if first.subject else "")
    told = say(words, "told_against", about=about, evidence=evidence(first, grounds, words))
    return f"{told} {say(words, f'told_more_{decision.verdict}', count=others)}" if others else told


def evidence(rule: RuleResult, grounds: Grounds, words: Words) -> str:
    """Return what a rule found, as it was stored where its figures do not tell it."""
    key, values = _found(rule, grounds, words)
    return say(words, key, **values) if key in sentences()[words.language] else rule.evidence


def subject(rule: RuleResult, words: Words) -> str:
    """Return what a rule speaks of: a defect class, or a part of the model by its word."""
    return part(rule.subject, words) if rule.rule in {"licence", "export_parity"} else rule.subject


def part(name: str, words: Words) -> str:
    """Return the word of a part of a model; a name that is none is returned as it is."""
    return sentences()[words.language].get(f"part_{name}", name)


def split_notes(split: Split, words: Words) -> list[str]:
    """Return what a split holds less of than an even one would, told from its counts."""
    test, validation = (split.counts.get(side, {}) for side in (Side.TEST, Side.VALIDATION))
    notes = [say(words, "split_test_holds", least=min(test.values()))] if test else []
    if split.mode is SplitMode.TEST_EVEN and validation:
        least, most = min(validation.values()), max(validation.values())
        notes.append(say(words, "split_as_it_falls", least=least, most=most))
    notes += [say(words, "split_lacks", name=name) for name, count in validation.items() if not count]
    if split.images.get(Side.UNUSED):
        notes.append(say(words, "split_unused", count=words.count(split.images[Side.UNUSED])))
    if any(split.normal_images.values()):
        empty = [side for side in (Side.TEST, Side.VALIDATION) if not split.normal_images.get(side)]
        notes += [say(words, "split_no_normal", side=words.word(side)) for side in empty]
    return notes


def rule_bound(rule: RuleResult, words: Words, digits: int = 3) -> str:
    """Return the bound a rule compared, rounded so that it never seems to reach a limit it does not reach."""
    return (words.at_most if rule.rule == "overkill" else words.at_least)(rule.bound, digits)


def say(words: Words, key: str, **values: object) -> str:
    """Return a sentence of `verdicts.toml` with its values."""
    return sentences()[words.language][key].format(**values)


def _found(rule: RuleResult, grounds: Grounds, words: Words) -> tuple[str, dict[str, str]]:
    """Return the key of the sentence that tells what a rule found, and its values; a key of none where it cannot."""
    if rule.rule in _OF_THEIR_OWN:
        return _OF_THEIR_OWN[rule.rule](rule, grounds, words)
    name, limit = f"told_{rule.rule}", words.limit(rule.limit)
    if rule.value is None or rule.rule == "classes_present":
        if rule.value is None and "timed" in rule.counts:
            return f"{name}_few", {"limit": limit} | {key: words.count(n) for key, n in rule.counts.items()}
        unmeasured = rule.value is None and rule.rule in {"latency", "size"}
        return f"{name}_{'unmeasured' if unmeasured else rule.verdict}", {"limit": limit}
    if rule.rule == "export_parity":
        return f"{name}_{rule.subject}", {"value": words.value(rule.value, _PARITY_DIGITS), "limit": limit}
    name += f"_{rule.subject}" if rule.subject else ""  # which of the times
    digits = 0 if rule.rule == "test_looks" else 1
    values = {"value": words.value(rule.value, digits), "limit": limit}
    return (name if rule.limit is not None else f"{name}_free"), values


def _licensed(rule: RuleResult, _grounds: Grounds, words: Words) -> tuple[str, dict[str, str]]:
    """Tell what the policy said of a part's licence: the policy is not stored, only the sentence the gate gave of it.

    Who accepted a licence and why stays in that person's words.
    """
    if rule.verdict is Verdict.UNDECIDED:
        return "told_licence_undecided", {}
    for name, said in _LICENCE_SAID.items():
        if found := re.fullmatch(said, rule.evidence):
            if _NOT_ALLOWED in said and words.language == "en":
                return "", {}  # the stored sentence says what is allowed
            values = found.groupdict()
            return f"told_licence_{name}", values | ({"who": _until(values["who"], words)} if "who" in values else {})
    return "", {}


def code_licence(decision: GateDecision, model: ModelVersion) -> str:
    """Return the licence of a model's code as the gate judged it; its candidate's where it judged none."""
    said = [rule.evidence for rule in decision.rules if (rule.rule, rule.subject) == ("licence", "code")]
    found = (re.fullmatch(pattern, sentence) for sentence in said for pattern in _LICENCE_SAID.values())
    named = (match.groupdict().get("licence", "") for match in found if match)
    return next(named, "") or model.candidate.code_licence


def _until(exception: str, words: Words) -> str:
    """Return who accepted a licence and why, with its last day in the reader's language."""
    told, _, last = exception.rpartition(" (until ")
    return f"{told} ({say(words, 'told_until', day=last.removesuffix(')'))})" if told else exception


def _leaked(rule: RuleResult, _grounds: Grounds, words: Words) -> tuple[str, dict[str, str]]:
    if rule.verdict is Verdict.FAIL and words.language == "en":
        return "", {}  # the stored sentence says of which kinds they are
    if "alike" in rule.counts:
        return "told_leak_alike", {"alike": words.count(rule.counts["alike"])}
    known = rule.verdict is not Verdict.FAIL or bool(rule.counts)
    return (f"told_leak_{rule.verdict}" if known else ""), {key: words.count(n) for key, n in rule.counts.items()}


def _even(rule: RuleResult, grounds: Grounds, words: Words) -> tuple[str, dict[str, str]]:
    if rule.verdict is not Verdict.PASS:
        return f"told_even_test_{rule.verdict}", {}
    if grounds.split is None:
        return "", {}
    warnings = grounds.split.warnings
    notes = split_notes(grounds.split, words) if warnings and words.language != "en" else warnings
    return "told_even_test", {"mode": "; ".join((words.word(grounds.split.mode), *notes))}


def _compared(rule: RuleResult, _grounds: Grounds, words: Words) -> tuple[str, dict[str, str]]:
    if rule.value is not None:
        values = {"bound": words.value(rule.bound), "limit": words.limit(rule.limit)}
        return "told_not_worse", {"change": f"{rule.value:+.3f}", **values}
    if rule.verdict is not Verdict.PASS:
        kept = words.language == "en"  # the stored sentence says why
        return ("" if kept else f"told_not_worse_{'none_left' if rule.subject else 'apart'}"), {}
    return f"told_not_worse_{'new' if rule.subject else 'alone'}", {}


def _counted(rule: RuleResult, grounds: Grounds, words: Words) -> tuple[str, dict[str, str]]:
    evaluation, name = grounds.evaluation, f"told_{rule.rule}"
    told = {"bound": rule_bound(rule, words), "limit": words.limit(rule.limit)}
    if evaluation is None:
        bounded = rule.bound is not None and rule.limit is not None
        return (f"{name}_bare" if bounded else ""), told
    if rule.rule == "overkill":
        rate = evaluation.overkill
        if rate.value is None:
            return f"{name}_none", {}
        name += "_free" if rule.limit == 1 else ""
    else:
        figures = evaluation.by_class().get(rule.subject)
        if figures is None or not figures.recall.trials:
            return "", {}
        rate = figures.recall
    return name, told | {"hits": words.count(rate.hits), "trials": words.count(rate.trials)}


_OF_THEIR_OWN: Mapping[str, Callable[[RuleResult, Grounds, Words], tuple[str, dict[str, str]]]] = {
    "recall": _counted,
    "overkill": _counted,
    "not_worse": _compared,
    "licence": _licensed,
    "leak": _leaked,
    "even_test": _even,
}
"""Rules that are told from more than their own value and limit."""
