"""What an alert says: line, class, number, limit and the next step, for whoever reads it first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from wafergate.domain.alerts import Alert, AlertCause, AlertState
from wafergate.domain.drift import DriftReport, DriftSlice, DriftVerdict, FeatureDrift, ReferenceKind
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision, RuleResult, Verdict
from wafergate.domain.golden import GoldenRun
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.identity import identify
from wafergate.domain.training_rows import ModelVersion
from wafergate.domain.weekly import WeeklyReport

__all__ = [
    "approval_alert",
    "crash_alert",
    "drift_alert",
    "flow_alert",
    "gate_alert",
    "golden_alert",
    "labels_alert",
    "together",
    "weekly_alert",
    "without_attachment",
]

_LISTED = 10  # differences told in words

_CAUSES = {
    "brightness": "light or exposure",
    "contrast": "light or exposure",
    "saturation_share": "light or exposure",
    "sharpness": "focus or a dirty lens",
    "edge_density": "focus, or another pattern or product",
    "noise": "camera gain, cable or exposure time",
    "novelty": "patterns, products or defects the model was not trained on",
}
_HELD = {
    ReferenceKind.TRAINING: "images the model was trained on",
    ReferenceKind.ACCEPTED: "images of the champion's first stable windows",
}
_LISTED = 10


def _alert(
    line: str, cause: AlertCause, subject: str, *, title: str, body: str, key: Sequence[str], now: datetime
) -> Alert:
    return Alert(
        id=identify("alert", line, cause, subject),
        line=line,
        cause=cause.value,
        subject=subject,
        title=title,
        body=body,
        state=AlertState.WAITING,
        attempts=0,
        last_error="",
        created_at=now,
        key=identify("cause", line, cause, key),
    )


def together(newest: Alert, earlier: Sequence[Alert]) -> tuple[str, str]:
    """Return title and body of a message that tells an alert and those of the same cause that waited with it.

    Args:
        newest: the one whose words are used.
        earlier: the others, oldest first.
    """
    if not earlier:
        return newest.title, newest.body
    since = f"{earlier[0].created_at:%Y-%m-%d %H:%M} UTC"
    more = f"{len(earlier)} more time" + ("s" if len(earlier) > 1 else "")
    return (
        f"{newest.title} ({more})",
        f"{newest.body}\n\nThe same cause came up {more} since {since}; this is the newest.",
    )


def without_attachment(body: str, digest: str, problem: str) -> str:
    """Return a body that says that an attachment is missing, and why."""
    return f"{body}\n\nThe attachment {digest[:12]} could not be read and is not attached: {problem}"


def gate_alert(decision: GateDecision, model: ModelVersion, evaluation: Evaluation, *, now: datetime) -> Alert:
    """Return the alert of a gate decision that does not promote.

    Raises:
        ValueError: the decision is a pass.
    """
    if decision.verdict is Verdict.PASS:
        message = f"a pass needs no alert: decision {decision.id}"
        raise ValueError(message)
    failed = [rule for rule in decision.rules if rule.verdict is Verdict.FAIL]
    undecided = [rule for rule in decision.rules if rule.verdict is Verdict.UNDECIDED]
    weakest = (failed or undecided)[:1]
    outcome = "failed the gate" if decision.verdict is Verdict.FAIL else "is undecided at the gate"
    title = f"{decision.line}: {_model(model)} {outcome}"
    if weakest:
        others = len(failed or undecided) - 1
        title += f": {_named(weakest[0])}" + (f" and {others} more" if others else "")
    body = [decision.summary, ""]
    for heading, rules in (("Failed", failed), ("Undecided", undecided)):
        if rules:
            body += [f"{heading}:", *(_told(rule, evaluation) for rule in rules), ""]
    body += ["The model is not promoted; the champion, if there is one, goes on judging the line.", ""]
    body.append(f"Line {decision.line}, decision {decision.id}, {model.id}, evaluation {decision.evaluation_id}")
    key = (decision.verdict.value, *sorted(_named(rule) for rule in failed or undecided))
    return _alert(decision.line, AlertCause.GATE, decision.id, title=title, body="\n".join(body), key=key, now=now)


def approval_alert(decision: GateDecision, model: ModelVersion, *, now: datetime) -> Alert:
    """Return the alert of a model that passed and waits for a person; each is a cause of its own."""
    another = " by another person than the one who trained it" if decision.policy.approver_differs else ""
    body = [
        decision.summary,
        "",
        f"Next step: the model waits to be released{another}: "
        f"`wafergate approve {decision.id} --as NAME --reason WHY`. Until then the champion, if there is one, goes on "
        "judging the line.",
        "",
        f"Line {decision.line}, decision {decision.id}, {model.id}, evaluation {decision.evaluation_id}",
    ]
    title = f"{decision.line}: {_model(model)} passed the gate and awaits approval"
    key = (decision.id,)
    return _alert(decision.line, AlertCause.APPROVAL, decision.id, title=title, body="\n".join(body), key=key, now=now)


def weekly_alert(report: WeeklyReport, *, title: str, body: str, now: datetime) -> Alert:
    """Return the message that carries a weekly report, as PDF where there is one; each is a cause of its own."""
    alert = _alert(report.line, AlertCause.REPORT, report.id, title=title, body=body, key=(report.id,), now=now)
    return replace(alert, attachments=(report.paper or report.page,))


def _model(model: ModelVersion) -> str:
    return f"model {model.number} ({model.candidate.name})"


def _named(rule: RuleResult) -> str:
    return f"{rule.rule} of {rule.subject}" if rule.subject else rule.rule


def _told(rule: RuleResult, evaluation: Evaluation) -> str:
    figures = [
        f"{name} {value:.3g}"
        for name, value in (("value", rule.value), ("bound", rule.bound), ("limit", rule.limit))
        if value is not None
    ]
    lines = [f"- {_named(rule)}: {rule.evidence}" + (f" ({', '.join(figures)})" if figures else "")]
    if kinds := _kinds_of_error(rule, evaluation):
        lines.append(f"  Kinds of error: {kinds}")
    if rule.next_step:
        lines.append(f"  Next step: {rule.next_step}")
    return "\n".join(lines)


def _kinds_of_error(rule: RuleResult, evaluation: Evaluation) -> str:
    """Return what went wrong behind a rule: misses of its class, or all false alarms for overkill."""
    figures = evaluation.by_class().get(rule.subject)
    if figures is not None:
        counts = Counter(figures.misses)
    elif rule.rule == "overkill":
        counts = sum((Counter(item.false_alarms) for item in evaluation.classes), Counter())
    else:
        return ""
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.most_common() if count)


def drift_alert(report: DriftReport, *, now: datetime) -> Alert:
    """Return the alert of a window that drifted.

    Raises:
        ValueError: the window did not drift, or was too small to say.
    """
    if report.verdict is not DriftVerdict.DRIFTED:
        message = f"only drift needs an alert: report {report.id} is {report.verdict.value}"
        raise ValueError(message)
    # Each against its own threshold, so that the strongest stands first whatever the method's scale.
    drifted = sorted(
        (feature for feature in report.features if feature.drifted),
        key=lambda feature: feature.distance / feature.threshold,
        reverse=True,
    )
    slices = [part for part in report.slices if part.verdict is DriftVerdict.DRIFTED]
    moved = [feature.feature for feature in drifted] or [f"{part.key} {part.value}" for part in slices]
    names, more = ", ".join(moved[:3]), len(moved) - 3
    title = f"{report.line}: images have drifted: {names}" + (f" and {more} more" if more > 0 else "")
    causes = list(dict.fromkeys(_CAUSES[item.feature] for item in drifted if item.feature in _CAUSES))
    place = report.source if report.window == "folder" else report.window
    body = [
        f"{len(drifted)} of {sum(feature.judged for feature in report.features)} features of {report.current_images} "
        f"images of {place} differ from the {report.reference_images} {_HELD[report.reference]} "
        f"(method {report.policy.method}, limit {report.policy.threshold:g}).",
        "",
        *(_moved(feature) for feature in drifted),
        *(_where(part) for part in slices[:_LISTED]),
        "",
        *([f"Advice: {report.advice.value}: {report.reason}."] if report.advice else []),
        f"Look at the newest images for {'; '.join(causes) or 'what changed'}. Until labelled images of what is new "
        "have judged the model, its recall on them is not proven.",
        "",
        f"Line {report.line}, drift report {report.id}, dataset {report.dataset_id}",
    ]
    key = sorted(moved)
    return _alert(report.line, AlertCause.DRIFT, report.id, title=title, body="\n".join(body), key=key, now=now)


def _where(part: DriftSlice) -> str:
    return f"- in {part.key} {part.value}, {part.images} images: {', '.join(part.drifted)}"


def _moved(feature: FeatureDrift) -> str:
    return (
        f"- {feature.feature}: mean {feature.reference_mean:.4g} -> {feature.current_mean:.4g}, distance "
        f"{feature.distance:.3g} (limit {feature.threshold:.3g})"
    )


def flow_alert(line: str, flow: str, run: str, message: str, *, now: datetime) -> Alert:
    """Return the alert of a flow run that failed.

    Args:
        line: the production line.
        flow: the flow's name.
        run: id of the flow run; one run is one alert, however often it is told.
        message: why it failed: the first line goes into the title.
        now: when it failed.
    """
    first = message.strip().partition("\n")[0] or "no reason given"
    title = f"{line}: {flow} failed: {first if len(first) <= 120 else first[:119] + '…'}"
    body = [
        message.strip() or "The flow gave no reason.",
        "",
        f"Next step: mend the cause and run {flow} again; finished stages are reused and nothing is half-written. The "
        "champion, if there is one, goes on judging the line.",
        "",
        f"Line {line}, flow {flow}, run {run}",
    ]
    return _alert(line, AlertCause.FLOW, run, title=title, body="\n".join(body), key=(flow, first), now=now)


def labels_alert(decision: GovernorDecision, *, now: datetime) -> Alert:
    """Return the alert that asks for labels, without which the line cannot be retrained.

    Raises:
        ValueError: labels are not what is missing.
    """
    lacking = next((rule for rule in decision.missing if rule.rule == "new_labels"), None)
    if lacking is None:
        message = f"labels are not what decision {decision.id} lacks"
        raise ValueError(message)
    line = decision.line
    body = [
        f"{decision.event} asked for a retraining, and the governor holds it back:",
        *(f"- {rule.rule}: {rule.evidence}" for rule in decision.missing),
        "",
        f"Next step: {lacking.next_step}, then import them with `wafergate review` or as a new source: the governor "
        "asks again at the next drift, or at once with `wafergate governor ask`. The champion goes on judging the "
        "line.",
        "",
        f"Line {line}, decision {decision.id}, champion {decision.model_id or 'none'}, "
        f"dataset {decision.dataset_id or 'none'}",
    ]
    title = f"{line}: retraining waits for labels: {lacking.evidence}"
    return _alert(line, AlertCause.LABELS, decision.id, title=title, body="\n".join(body), key=("labels",), now=now)


def crash_alert(line: str, run: str, subject: str, reason: str, *, again: bool, now: datetime) -> Alert:
    """Return the alert of a flow run that died without a word of its own.

    Args:
        line: the production line.
        run: the run's name.
        subject: id of the run and which of its crashes this is; told once.
        reason: what Prefect says of it.
        again: whether it was taken up again.
        now: when that was found.
    """
    step = (
        "Next step: none if it ends now: it was taken up again, and finished stages are reused. If it crashes again, "
        "look at the worker's machine: memory, disk, power."
        if again
        else "Next step: it crashed too often and is not taken up again. Look at the worker's machine (memory, disk, "
        "power), then run it again in Prefect: finished stages are reused and nothing is half-written."
    )
    title = f"{line}: run {run} crashed" + (" and was taken up again" if again else " too often")
    body = [reason, "", step, "", f"Line {line}, run {subject}"]
    # What is left to a person is no more of the same: it must not wait until the crashes told before it are old.
    key = ("crash" if again else "left", run)
    return _alert(line, AlertCause.FLOW, subject, title=title, body="\n".join(body), key=key, now=now)


def golden_alert(run: GoldenRun, *, now: datetime) -> Alert:
    """Return the alert of golden parts that are not answered as they were, with the picture.

    Raises:
        ValueError: every part was answered as before.
    """
    if not run.differences:
        message = f"golden run {run.id} found no difference"
        raise ValueError(message)
    kinds = Counter(item.kind.value for item in run.differences)
    touched = len({item.name for item in run.differences})
    held = "the answers sealed" if run.answers_id else "the labels, because no answers of this champion are sealed"
    body = [
        f"{touched} of {run.parts} golden parts differ from {held}: "
        + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        + ".",
        "",
        *(f"- {item.name}: {item.detail}" for item in run.differences[:_LISTED]),
        *([f"- and {len(run.differences) - _LISTED} more"] if len(run.differences) > _LISTED else []),
        "",
        "Next step: the images are the sealed ones, so what changed is the model, its runtime, the machine or a "
        "setting. Hold what was inspected since the last good check, find the change, and run `wafergate golden "
        "check` again. If the new answers are right, seal the set anew with `wafergate golden seal`.",
        "",
        f"Line {run.line}, golden run {run.id}, set {run.set_id}, {run.model_id}",
    ]
    title = f"{run.line}: {touched} of {run.parts} golden parts are answered differently"
    key = ("golden", run.set_id, run.model_id, *sorted(kinds))
    made = _alert(run.line, AlertCause.GOLDEN, run.id, title=title, body="\n".join(body), key=key, now=now)
    return replace(made, attachments=(run.picture,) if run.picture else ())
