"""The rules of the gate that rest on counts: what is proven, what is refuted, and what would decide the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from wafergate.domain.bounds import (
    excess_probability,
    least_groups,
    lower_bound,
    more_to_prove,
    proving_count,
    reaches,
    upper_bound,
)
from wafergate.domain.evaluation import ClassFigures, Paired
from wafergate.domain.evidence import Evidence
from wafergate.domain.gate import RuleResult, Verdict
from wafergate.domain.words import counted

__all__ = ["classes_present", "not_worse", "overkill", "recall"]


def classes_present(evidence: Evidence) -> Iterator[RuleResult]:
    """Hold back a model with a class that no test instance speaks for."""
    missing = [name for name in evidence.classes if not _has_instances(evidence, name)]
    confidence = evidence.policy.first_confidence(len(evidence.classes))
    for name in missing:
        limit = _limit(evidence, name)
        step = (
            f"{name}: no instance in the test set: {proving_count(limit, confidence)}, all found, "
            f"would prove a recall of {limit:.2f}"
        )
        found = "the test set holds no instance of this class"
        yield RuleResult("classes_present", name, 0.0, None, None, Verdict.UNDECIDED, found, step)
    if not missing:
        found = f"every one of the {len(evidence.classes)} classes has instances in the test set"
        yield RuleResult("classes_present", "", None, None, None, Verdict.PASS, found)


def recall(evidence: Evidence) -> Iterator[RuleResult]:
    """Judge the recall of every class that has test instances by its lower bound.

    Pass: the bound reaches the limit. Fail: the upper bound lies below it, or the point does although there are
    instances enough to have proven it. Else undecided, with the number of instances that would prove it.
    """
    known = evidence.evaluation.by_class()
    judged = [known[name] for name in evidence.classes if _has_instances(evidence, name)]
    confidences = _confidences(evidence, judged)
    for figures, confidence in zip(judged, confidences, strict=True):
        yield _recall_of(evidence, figures, confidence)


def overkill(evidence: Evidence) -> Iterator[RuleResult]:
    """Judge the share of normal images that raise an alarm by its upper bound; the mirror image of recall."""
    rate, limit, confidence = evidence.evaluation.overkill, evidence.policy.overkill, evidence.policy.confidence
    if limit >= 1:
        found = f"{rate.hits} of {rate.trials} normal images alarmed; the limit is switched off"
        yield RuleResult("overkill", "", rate.value, rate.upper, 1.0, Verdict.PASS, found)
        return
    needed = proving_count(1 - limit, confidence)
    if rate.value is None:
        step = f"overkill: {needed} normal images in the test set, none of them alarmed, would prove it"
        found = f"the test set holds no normal image, limit {limit:.2f}"
        yield RuleResult("overkill", "", None, None, limit, Verdict.UNDECIDED, found, step)
        return
    upper, bar = _beside(rate.upper, limit)
    found = f"{rate.hits} of {rate.trials} normal images alarmed, upper bound {upper}, limit {bar}"
    result = RuleResult("overkill", "", rate.value, rate.upper, limit, Verdict.PASS, found)
    if reaches(limit, rate.upper):
        yield result
    elif rate.lower > limit or (rate.value > limit and rate.trials >= needed):
        step = "overkill: look at the alarms on normal images; more normal images in training lower their scores"
        yield replace(result, verdict=Verdict.FAIL, next_step=step)
    else:
        more = more_to_prove(rate.trials - rate.hits, rate.trials, 1 - limit, confidence)
        step = f"overkill: {found}: {more} more normal images, none alarmed, would prove it"
        yield replace(result, verdict=Verdict.UNDECIDED, next_step=step)


def not_worse(evidence: Evidence) -> Iterator[RuleResult]:
    """Refuse a model that finds a class significantly worse than the champion on the same test instances.

    One-sided exact test of Q. McNemar (Psychometrika 12, 1947): of the instances only one of the two found, the
    champion's share is compared with one half. Where bounds by groups are asked for, the upper bound of the change by
    bootstrap over groups must lie below 0 as well, as instances of a group are lost together; where too few groups show
    the class such a loss stays undecided. What cannot be compared although there is a champion stays undecided too.
    """
    comparison = evidence.comparison
    if comparison is None:
        found = "the line has no other champion to compare with"
        yield RuleResult("not_worse", "", None, None, None, Verdict.PASS, found)
        return
    if comparison.reason:
        step = f"not_worse: {comparison.reason}: judge both on new test images that neither has learnt from"
        yield RuleResult("not_worse", "", None, None, None, Verdict.UNDECIDED, comparison.reason, step)
        return
    pairs = comparison.by_class()
    for name in evidence.classes:
        if name in pairs:
            yield _not_worse_of(evidence, pairs[name], comparison.left_out)
        else:
            found = "the champion does not know this class"
            yield RuleResult("not_worse", name, None, None, None, Verdict.PASS, found)


def _not_worse_of(evidence: Evidence, pair: Paired, left_out: int) -> RuleResult:
    name, limit = pair.defect_class, 1 - evidence.policy.confidence
    aside = f"; left out: {counted(left_out, 'test image')} the champion learnt from" if left_out else ""
    if not pair.instances:
        found = f"no test instance is left to compare with the champion on{aside}"
        step = f"{name}: {found}: new test images of it would decide"
        return RuleResult("not_worse", name, None, None, None, Verdict.UNDECIDED, found, step)
    probability = _loss_probability(pair)
    change = (pair.only_challenger - pair.only_champion) / pair.instances
    told, bar = _beside(probability, limit)
    found = (
        f"of {counted(pair.instances, 'instance')} {pair.only_champion} lost and {pair.only_challenger} gained against "
        f"the champion, probability by chance {told}, limit {bar}{aside}"
    )
    result = RuleResult("not_worse", name, change, probability, limit, Verdict.PASS, found)
    worse = probability <= limit
    if evidence.policy.grouped and pair.change_upper is not None:
        if worse and pair.change_upper >= 1:  # the bound that says nothing
            few = f"fewer than {least_groups(evidence.policy.confidence)} groups show it"
            step = f"{name}: the loss is beyond chance, but {few}; instances from more groups would decide it"
            return replace(result, verdict=Verdict.UNDECIDED, evidence=f"{found}; {few}", next_step=step)
        worse = worse and pair.change_upper < 0
        result = replace(result, evidence=f"{found}; by groups the change is at most {pair.change_upper:+.3f}")
    if not worse:
        return result
    step = f"{name}: look at the instances the champion finds and this model loses"
    return replace(result, verdict=Verdict.FAIL, next_step=step)


def _loss_probability(pair: Paired) -> float:
    from scipy.special import bdtr  # a command's help must not wait for it

    differing = pair.only_champion + pair.only_challenger
    return float(bdtr(pair.only_challenger, differing, 0.5)) if differing else 1.0


def _has_instances(evidence: Evidence, name: str) -> bool:
    figures = evidence.evaluation.by_class().get(name)
    return figures is not None and figures.recall.trials > 0


def _limit(evidence: Evidence, name: str) -> float:
    return evidence.policy.critical_recall if name in evidence.critical else evidence.policy.recall


def _confidences(evidence: Evidence, judged: Sequence[ClassFigures]) -> list[float]:
    """Return the confidence each class is judged at.

    Under Holm the class with the least doubt bears the most, the next one less, until one is not proven: none after it
    is proven either, so all of them are judged as that one was.
    """
    confidences = [evidence.policy.confidence] * len(judged)
    if evidence.policy.family == "holm":
        error = 1 - evidence.policy.confidence
        doubt = [
            excess_probability(item.recall.hits, item.recall.trials, _limit(evidence, item.defect_class))
            for item in judged
        ]
        sharers = len(judged)
        for place in sorted(range(len(judged)), key=doubt.__getitem__):
            confidences[place] = 1 - error / sharers
            if doubt[place] <= error / sharers:
                sharers -= 1
    return confidences


def _recall_of(evidence: Evidence, figures: ClassFigures, confidence: float) -> RuleResult:
    name, limit, policy = figures.defect_class, _limit(evidence, figures.defect_class), evidence.policy
    hits, trials, lower, upper = figures.recall.hits, figures.recall.trials, figures.recall.lower, figures.recall.upper
    if confidence != policy.confidence:
        lower, upper = float(lower_bound(hits, trials, confidence)), float(upper_bound(hits, trials, confidence))
    bound, which = lower, "lower bound"
    if policy.grouped and figures.grouped_recall is not None and figures.grouped_recall.lower < lower:
        bound, which = figures.grouped_recall.lower, "lower bound by groups"
    told, bar = _beside(bound, limit)
    found = f"{hits} of {trials} found, {which} {told}, limit {bar}"
    result = RuleResult("recall", name, hits / trials, bound, limit, Verdict.PASS, found)
    if upper < limit or (hits / trials < limit and trials >= proving_count(limit, confidence)):
        return replace(result, verdict=Verdict.FAIL, next_step=_cure(figures))
    grouped, least = figures.grouped_recall if policy.grouped else None, least_groups(policy.confidence)
    few = grouped is not None and (grouped.lower, grouped.upper) == (0.0, 1.0)
    if not reaches(lower, limit):
        more = more_to_prove(hits, trials, limit, confidence)
        groups = f", with instances of {least} groups or more" if few else ""
        step = f"{name}: {found}: {more} more, all found, would prove it{groups}"
    elif policy.grouped and figures.grouped_recall is None:
        step = f"{name}: bounds by groups are asked for and were not computed: evaluate with the groups of the split"
    elif not reaches(bound, limit):
        why = f"fewer than {least} groups show it" if few else "the misses come from few groups"
        step = f"{name}: {found}: {why}; instances from more groups would decide it"
    else:
        return result
    return replace(result, verdict=Verdict.UNDECIDED, next_step=step)


def _cure(figures: ClassFigures) -> str:
    kinds = sorted(((count, kind) for kind, count in figures.misses.items() if count), reverse=True)
    told = ", ".join(f"{count} {kind.replace('_', ' ')}" for count, kind in kinds)
    misses = figures.recall.trials - figures.recall.hits
    noun = "instance" if misses == 1 else "instances"
    return (
        f"{figures.defect_class}: look at the {misses} {noun} not found{f' ({told})' if told else ''} and train "
        "on more images like them"
    )


def _beside(value: float, limit: float) -> tuple[str, str]:
    """Write two numbers with two decimals, or with as many as tell them apart."""
    for decimals in (2, 3, 4):
        texts = f"{value:.{decimals}f}", f"{limit:.{decimals}f}"
        if texts[0] != texts[1] or value == limit:
            return texts
    return f"{value:.6f}", f"{limit:.6f}"
