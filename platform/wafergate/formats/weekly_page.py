"""Write a line's week as one self-contained HTML page that prints on A4, and as the few lines of a message."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from pathlib import Path

from markupsafe import Markup

from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.domain.gate import LedgerEntry
from wafergate.domain.inspection import InspectionDay
from wafergate.domain.line_state import LineState, weakest_recall
from wafergate.domain.training_rows import ModelVersion
from wafergate.domain.weekly import JudgedModel, WeekContent
from wafergate.formats import svg
from wafergate.formats.alert_titles import alert_title
from wafergate.formats.charts import Column, Mark, class_rules, columns, dot_plot, marks, recall_axis, recall_row
from wafergate.formats.pages import render_page, summary_sentence
from wafergate.formats.verdicts import Grounds, summary
from wafergate.formats.words import Words

__all__ = ["WeeklyWords", "sentences", "weekly_summary", "weekly_words", "write_weekly"]

_MARKS = {DriftVerdict.STABLE: "pass", DriftVerdict.DRIFTED: "fail", DriftVerdict.NOT_ENOUGH: "undecided"}


@cache
def sentences() -> dict[str, dict[str, str]]:
    """Return the report's sentences in every language."""
    return tomllib.loads((Path(__file__).parent / "weekly.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class WeeklyWords(Words):
    """The words of one language for a weekly report; plain text, escaped by the page."""

    def say(self, key: str, **values: object) -> str:
        """Return a sentence."""
        return sentences()[self.language][key].format(**values)

    def name(self, model: ModelVersion) -> str:
        """Return a model's name."""
        return f"{model.candidate.name} v{model.number}"

    def past(self, report: DriftReport) -> str:
        """Return the features that have drifted, by their words."""
        drifted = [self.feature(feature.feature) for feature in report.features if feature.drifted]
        return ", ".join(drifted) or self.say("drift_none")


def weekly_words(language: str, zone: tzinfo | None) -> WeeklyWords:
    """Return the words of a language, with times told in a zone."""
    return WeeklyWords(language, zone or UTC)


def write_weekly(content: WeekContent, words: WeeklyWords) -> bytes:
    """Return the page as UTF-8; the same content gives the same bytes."""
    champion = content.champion
    return render_page(
        "weekly.html.j2",
        {"when": words.when, "word": words.word},
        content=content,
        words=words,
        title=words.say("title", line=content.line, last=_last(content, words)),
        days=words.say("range", since=words.day(content.week.since), last=_last(content, words)),
        sentence=_sentence(content, words),
        classes=Markup(_classes(champion, words)) if champion else None,  # noqa: S704 - escaped by charts
        inspected=Markup(_inspected(content.days, words)),  # noqa: S704
        figures=_figures(content.days, words),
        drift=Markup(_drift(content.drift, words)),  # noqa: S704
        summaries={item.decision.id: _summary(item, words) for item in content.decisions},
        titles={alert.id: alert_title(alert, content.subjects, words) for alert in content.alerts},
        reasons={entry.seq: _reason(entry, content, words) for entry in content.ledger},
        subjects={item.decision.id: words.name(item.model) for item in content.decisions}
        | {model.id: words.name(model) for model in content.models},
    )


def weekly_summary(content: WeekContent, words: WeeklyWords) -> tuple[str, str]:
    """Return title and body of the message that carries the page."""
    state = words.word(content.state)
    drifted = sum(report.verdict is DriftVerdict.DRIFTED for report in content.drift)
    body = [
        _sentence(content, words),
        "",
        words.say("mail_inspected", inspections=words.count(sum(day.images for day in content.days))),
        words.say("mail_decisions", count=len(content.decisions)),
        words.say("mail_drift", count=len(content.drift), drifted=drifted),
        words.say("mail_alerts", count=len(content.alerts)),
        "",
        words.say("mail_page"),
    ]
    return words.say("mail_title", line=content.line, last=_last(content, words), state=state), "\n".join(body)


def _last(content: WeekContent, words: WeeklyWords) -> str:
    last = datetime.combine(content.week.last_day, datetime.min.time(), tzinfo=content.week.until.tzinfo)
    return words.day(last)


def _sentence(content: WeekContent, words: WeeklyWords) -> str:
    """Return the reason of the line's state."""
    champion = content.champion
    if champion is None:
        return words.say("blind")
    if content.state is LineState.AT_RISK:
        drifted = content.drifted_now is not None and content.drifted_now.verdict is DriftVerdict.DRIFTED
        features = words.past(content.drifted_now) if content.drifted_now else ""
        key = "at_risk_drifted" if drifted else "at_risk_unproven"
        return words.say(key, model=words.name(champion.model), features=features)
    weakest = weakest_recall(champion.decision)
    if weakest is None:
        return words.say("covered_plain")
    return words.say(
        "covered",
        weakest=weakest.subject,
        recall=words.value(weakest.value),
        bound=words.at_least(weakest.bound),
        limit=words.limit(weakest.limit),
    )


def _summary(judged: JudgedModel, words: WeeklyWords) -> str:
    """Return a verdict in a sentence: in English the stored one, elsewhere told from its figures."""
    decision = judged.decision
    if words.language == "en":
        return summary_sentence(decision.summary, decision.verdict)
    return summary(decision, Grounds(judged.evaluation), words)


def _reason(entry: LedgerEntry, content: WeekContent, words: WeeklyWords) -> str:
    """Return why it happened: a verdict in the reader's language, else as somebody wrote it."""
    judged = next((item for item in content.decisions if item.decision.id == entry.subject), None)
    if judged is None or words.language == "en" or entry.reason != judged.decision.summary:
        return entry.reason
    return _summary(judged, words)


def _classes(judged: JudgedModel, words: WeeklyWords) -> str:
    rules, rows = class_rules(judged.decision), []
    for figures in judged.evaluation.classes:
        recall = figures.recall
        told = words.say("found", found=words.found(recall)) if recall.trials else words.say("no_instances")
        rows.append(recall_row(figures, rules.get(figures.defect_class), told=(words.value(recall.value), told)))
    return svg.figure(dot_plot(rows, recall_axis(rows)), words.say("classes_alt"))


def _inspected(days: Sequence[InspectionDay], words: WeeklyWords) -> str:
    sums: dict[date, tuple[int, int]] = {}
    for day in days:
        images, defective = sums.get(day.day, (0, 0))
        sums[day.day] = (images + day.images, defective + day.defective)
    items = [
        Column(f"{day:%m-%d}", images, defective, f"{words.count(images)} · {defective / images:.1%}")
        for day, (images, defective) in sorted(sums.items())
    ]
    return columns(items, title=words.say("inspected_alt")) if items else ""


def _figures(days: Sequence[InspectionDay], words: WeeklyWords) -> list[tuple[str, str]]:
    """Return the number of defects found of each class, the most frequent first."""
    counted = sum((Counter(day.instances) for day in days), Counter[str]())
    return [
        (name, words.count(number)) for name, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _drift(reports: Sequence[DriftReport], words: WeeklyWords) -> str:
    items = [
        Mark(
            words.short_day(report.created_at),
            max(feature.distance / feature.threshold for feature in report.features if feature.judged),
            _MARKS[report.verdict],
        )
        for report in reports
        if any(feature.judged for feature in report.features)
    ]
    # One mark shows no course; the table below says the same.
    return marks(items, title=words.say("drift_alt"), limit=1.0) if len(items) > 1 else ""
