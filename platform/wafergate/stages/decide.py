"""The gate: a table of rules, each a small function of the evidence; only a pass promotes (rules M2, M3, M7 to M10).

Accuracy appears in no rule: calling everything normal is 99.9 % right on a line with few defects (M7). What nobody
looked at never passes: it leaves the verdict undecided.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wafergate.domain import proof
from wafergate.domain.bounds import reaches
from wafergate.domain.evidence import Evidence
from wafergate.domain.gate import GateDecision, RuleResult, Verdict, answers
from wafergate.domain.identity import identify
from wafergate.domain.latency import P99_CALLS, latency_limits
from wafergate.domain.licences import explain_licence, licence_standing
from wafergate.domain.splits import LeakKind

__all__ = ["RULES", "Rule", "decide", "summarise"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the gate.

    Attributes:
        name: as stored and shown.
        question: what it asks, for a person.
        check: gives its results, one for each thing it speaks of.
    """

    name: str
    question: str
    check: Callable[[Evidence], Iterator[RuleResult]]


def decide(evidence: Evidence, *, line: str, now: datetime) -> GateDecision:
    """Ask every rule: fail if any failed, else undecided if any is undecided, else pass.

    Args:
        evidence: what is known about the model.
        line: the production line.
        now: when the decision becomes visible.

    Returns:
        The decision; the same evidence gives the same id.
    """
    results = tuple(result for rule in RULES for result in rule.check(evidence))
    verdict = Verdict.worst([result.verdict for result in results])
    evaluation = evidence.evaluation
    return GateDecision(
        # not the measured latency: the same model judged on a busier machine is the same decision
        id=identify("decision", line, evaluation.id, evidence.policy, answers(results)),
        line=line,
        model_id=evaluation.model_id,
        evaluation_id=evaluation.id,
        verdict=verdict,
        rules=results,
        policy=evidence.policy,
        summary=summarise(verdict, results),
        created_at=now,
    )


def summarise(verdict: Verdict, results: Sequence[RuleResult]) -> str:
    """Return the verdict in one sentence: what held the model back, or the class that came nearest to its limit."""
    if verdict is Verdict.PASS:
        proven = [
            (result.bound - result.limit, result)
            for result in results
            if result.rule == "recall" and result.bound is not None and result.limit is not None
        ]
        if not proven:
            return "pass: every rule holds"
        nearest = min(proven, key=lambda pair: pair[0])[1]
        return f"pass: every rule holds; nearest to its limit is {nearest.subject}: {nearest.evidence}"
    against = [result for result in results if result.verdict is verdict]
    first = against[0]
    if verdict is Verdict.FAIL:
        about = f"{first.rule} of {first.subject}" if first.subject else first.rule
        sentence = f"fail: {about}: {first.evidence}"
    else:
        sentence = f"undecided: {first.next_step}"
    return sentence if len(against) == 1 else f"{sentence}; and {len(against) - 1} more {verdict}"


def _latency(evidence: Evidence) -> Iterator[RuleResult]:
    serving = evidence.serving
    times = latency_limits(serving.latency if serving else (), evidence.serve)
    in_runtime = f" in {serving.runtime}" if serving else ""
    alone = next((item for item in serving.latency if item.batch == 1), None) if serving else None
    for place, (key, what, value, limit) in enumerate(times):
        if key == "latency_p99_ms" and limit and alone and value is None:
            yield _few_timed(f"{what}{in_runtime}", alone.calls, limit, subject=key)
        elif place == 0 or limit:  # the median of one image is told in any case
            yield _within("latency", f"{what}{in_runtime}", "ms", value, limit, subject=key if place else "")


def _few_timed(what: str, calls: int, limit: float, *, subject: str) -> RuleResult:
    found = f"{what} is not known: {calls} answers were timed, {P99_CALLS} are needed, limit {limit:g} ms"
    step = (
        f"latency: {calls} answers were timed and {P99_CALLS} are needed: measure again while the machine is idle, "
        "choose a smaller candidate or image size, or take latency_p99_ms out of [hardware.serve]"
    )
    result = RuleResult("latency", subject, None, None, limit, Verdict.UNDECIDED, found, step)
    return replace(result, counts={"timed": calls, "needed": P99_CALLS})


def _size(evidence: Evidence) -> Iterator[RuleResult]:
    yield _within("size", "exported model", "MiB", evidence.size_mib, evidence.serve.size_mib)


def _within(rule: str, what: str, unit: str, value: float | None, limit: float, *, subject: str = "") -> RuleResult:
    if not limit:
        told = "not measured" if value is None else f"{value:.1f} {unit}"
        return RuleResult(
            rule, subject, value, None, None, Verdict.PASS, f"{what}: {told}; no limit in [hardware.serve]"
        )
    if value is None:
        found = f"{what} was not measured, limit {limit:g} {unit}"
        return RuleResult(
            rule, subject, None, None, limit, Verdict.UNDECIDED, found, f"{rule}: measure the exported model"
        )
    found = f"{what}: {value:.1f} {unit}, limit {limit:g} {unit}"
    if value <= limit:
        return RuleResult(rule, subject, value, None, limit, Verdict.PASS, found)
    step = f"{rule}: choose a smaller candidate or image size, or raise the limit in [hardware.serve]"
    return RuleResult(rule, subject, value, None, limit, Verdict.FAIL, found, step)


def _export_parity(evidence: Evidence) -> Iterator[RuleResult]:
    parity, policy = evidence.parity, evidence.policy
    cure = "export_parity: train again, and compare the library versions with those of the last model that agreed"
    if parity is None or not parity.detections:
        found = (
            "the export was not compared" if parity is None else f"neither detects anything on {parity.images} images"
        )
        yield RuleResult("export_parity", "", None, None, None, Verdict.UNDECIDED, found, cure)
        return
    name, gap = parity.recall_gap
    agreed = parity.agreed / parity.detections
    seen = f"{parity.agreed} of {parity.detections} detections on {parity.images} images are in both"
    score = f"scores differ by {parity.score_gap:.2g} at most, limit {policy.parity_score:g}"
    recall = f"recall differs by {gap:.2g} at most{f' ({name})' if gap else ''}, limit {policy.parity_recall:g}"
    for subject, value, limit, holds, found in (
        (
            "boxes",
            agreed,
            policy.parity_agreed,
            reaches(agreed, policy.parity_agreed),
            f"{seen}, limit {policy.parity_agreed:g}",
        ),
        ("scores", parity.score_gap, policy.parity_score, reaches(policy.parity_score, parity.score_gap), score),
        ("recall", gap, policy.parity_recall, reaches(policy.parity_recall, gap), recall),
    ):
        verdict = Verdict.PASS if holds else Verdict.FAIL
        yield RuleResult("export_parity", subject, value, None, limit, verdict, found, "" if holds else cure)


def _licence(evidence: Evidence) -> Iterator[RuleResult]:
    if not evidence.licences:
        yield _answered("licence", None, "no licence was looked at", "licence: name the licences of code and weights")
        return
    policy = evidence.licence_policy
    for part in evidence.licences:
        standing = licence_standing(part.licence, policy, today=evidence.today)
        told = explain_licence(part.licence, policy, today=evidence.today)
        step = f"licence: replace the {part.subject}, or add an exception with who accepted it and why"
        if part.subject == "weights" and not part.licence:
            step = "licence: state that of the weights with `wafergate weights add`, and run the same again"
        yield _answered("licence", standing in {"allowed", "exception"}, told, step, subject=part.subject)


def _validation(evidence: Evidence) -> Iterator[RuleResult]:
    found = "the dataset version passed validation" if evidence.validation_success else "validation was not passed"
    step = "validation: mend the findings of error level and run intake again"
    yield _answered("validation", evidence.validation_success, found, step)


def _taxonomy(evidence: Evidence) -> Iterator[RuleResult]:
    found = "the mapping of labels is signed, or changes nothing" if evidence.taxonomy_signed else "nobody signed it"
    step = "taxonomy: have the customer agree, enter it with `wafergate taxonomy sign`, and retrain"
    yield _answered("taxonomy", evidence.taxonomy_signed, found, step)


def _leak(evidence: Evidence) -> Iterator[RuleResult]:
    proof_of = evidence.leak
    if proof_of is None:
        yield _answered("leak", None, "", "leak: run the leak check on what was trained on")
        return
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(proof_of.kinds.items()) if count)
    links = f"{proof_of.cross_edges or 'no'} {'link' if proof_of.cross_edges == 1 else 'links'}"
    found = f"{links} between training and test in {proof_of.pairs:,} pairs looked at"
    found = f"{found} ({kinds})" if kinds else found
    step = "leak: split again so that linked images stay on one side, and train again"
    if proof_of.kinds.get(LeakKind.SAME_BYTES):
        step = (
            "leak: keep one of the images with equal bytes in the source, run intake again, and train on what it makes"
        )
    counts = {"links": proof_of.cross_edges, "pairs": proof_of.pairs}
    alike = proof_of.look_alikes
    if alike and not proof_of.cross_edges:
        found = f"{found}; {alike:,} images in test and on another side look like too many others to be joined"
        step = (
            f"leak: {alike:,} images in test and on another side look like more others than [near_duplicates] "
            "max_views: name what tells parts apart in [split] group_by, or raise max_views, and split again"
        )
        yield replace(_answered("leak", None, found, step), counts=counts | {"alike": alike})
        return
    yield replace(_answered("leak", proof_of.cross_edges == 0, found, step), counts=counts)


def _even_test(evidence: Evidence) -> Iterator[RuleResult]:
    mode = evidence.split_mode
    found = f"split {mode}" if mode else ""
    if evidence.split_warnings:
        found = f"{found}; {'; '.join(evidence.split_warnings)}"
    yield _answered("even_test", True if mode else None, found, "even_test: split the dataset version evenly first")


def _test_looks(evidence: Evidence) -> Iterator[RuleResult]:
    look, limit = evidence.evaluation.look, evidence.policy.max_looks
    if not limit:
        found = f"look {look} at this test set; no limit is set"
        yield RuleResult("test_looks", "", float(look), None, None, Verdict.PASS, found)
        return
    found = f"look {look} at this test set, limit {limit}"
    verdict = Verdict.PASS if look <= limit else Verdict.UNDECIDED
    step = "" if look <= limit else "test_looks: the test set is worn out: collect new images and split again"
    yield RuleResult("test_looks", "", float(look), None, float(limit), verdict, found, step)


def _answered(rule: str, answer: bool | None, evidence: str, next_step: str, *, subject: str = "") -> RuleResult:
    """Return the result of a yes-or-no rule; None means that nobody looked."""
    if answer is None:
        return RuleResult(rule, subject, None, None, None, Verdict.UNDECIDED, evidence or "not looked at", next_step)
    verdict = Verdict.PASS if answer else Verdict.FAIL
    return RuleResult(rule, subject, None, None, None, verdict, evidence, "" if answer else next_step)


RULES: tuple[Rule, ...] = (
    Rule("recall", "Does the lower bound of every class's recall reach its limit?", proof.recall),
    Rule("classes_present", "Does every class of the line have test instances?", proof.classes_present),
    Rule("overkill", "Does the upper bound of the overkill rate stay within its limit?", proof.overkill),
    Rule("not_worse", "Is no class found significantly worse than by the champion?", proof.not_worse),
    Rule("latency", "Does the exported model answer in time on the serve profile?", _latency),
    Rule("size", "Does the exported model fit the serve profile?", _size),
    Rule("export_parity", "Does the exported file say what the trained checkpoint says?", _export_parity),
    Rule("licence", "May every part of the model reach production?", _licence),
    Rule("validation", "Did the dataset version pass validation?", _validation),
    Rule("taxonomy", "Did the customer agree to the mapping of labels?", _taxonomy),
    Rule("leak", "Is nothing of the training side in the test side?", _leak),
    Rule("even_test", "Does the test side hold the classes evenly?", _even_test),
    Rule("test_looks", "Is the test set not worn out by too many looks?", _test_looks),
)
"""Every rule of the gate in the order in which they are told; a new rule is a function and a row here."""
