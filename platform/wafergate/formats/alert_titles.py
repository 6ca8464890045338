"""What an alert is about, in the reader's language, from the figures of the row it is about.

Alerts hold their titles in English. Everything here returns plain text: whoever puts it on a page escapes it.
"""

from collections.abc import Mapping

from wafergate.domain.alerts import Alert, AlertCause
from wafergate.domain.drift import DriftReport
from wafergate.domain.golden import GoldenRun
from wafergate.domain.governor import GovernorDecision
from wafergate.domain.weekly import JudgedModel
from wafergate.formats.verdicts import Grounds, say, summary
from wafergate.formats.words import Words

__all__ = ["alert_title"]

_SHOWN = 3  # features that have drifted


def alert_title(alert: Alert, subjects: Mapping[str, object], words: Words) -> str:
    """Return what an alert is about, without the line; its stored title where no row given tells it.

    Args:
        alert: the message.
        subjects: rows by the id that alerts name; gate decisions with what they judged.
        words: the reader's language.
    """
    match subjects.get(alert.subject):
        case JudgedModel() as judged:
            return _judged(alert, judged, words)
        case DriftReport() as report if moved := [words.feature(one.feature) for one in report.features if one.drifted]:
            more = f" +{len(moved) - _SHOWN}" if len(moved) > _SHOWN else ""
            return say(words, "alert_drift", features=", ".join(moved[:_SHOWN]) + more)
        case GovernorDecision() as held:
            lacking = next((rule for rule in held.missing if rule.rule == "new_labels"), None)
            if lacking is not None and lacking.value is not None:
                return say(words, "alert_labels", value=f"{lacking.value:g}", limit=words.limit(lacking.limit))
        case GoldenRun() as run:
            parts = len({item.name for item in run.differences})
            return say(words, "alert_golden", count=words.count(parts), parts=words.count(run.parts))
    title = alert.title.removeprefix(f"{alert.line}: ")
    flow, failed, reason = title.partition(" failed: ")
    if alert.cause == AlertCause.FLOW and failed:
        return say(words, "alert_flow", flow=flow, reason=reason)
    return title


def _judged(alert: Alert, judged: JudgedModel, words: Words) -> str:
    model = f"{judged.model.candidate.name} v{judged.model.number}"
    if alert.cause == AlertCause.APPROVAL:
        return say(words, "alert_approval", model=model)
    told = summary(judged.decision, Grounds(judged.evaluation), words).rstrip(".")
    return say(words, "alert_gate", model=model, verdict=words.word(judged.decision.verdict), summary=told)
