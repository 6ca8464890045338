"""Tables: pure functions from stored values to data frames, for the page (Markdown cells) and for download (CSV)."""

import re
from collections.abc import Sequence

import pandas as pd

from dashboards.charts import weakest_first
from dashboards.palette import VERDICT_HUES
from dashboards.reading.line import Judged
from dashboards.texts import Text, literal, terms
from wafergate.domain.evaluation import Rate
from wafergate.domain.gate import GateDecision, Verdict
from wafergate.domain.production import ProductionFigures
from wafergate.formats import verdicts
from wafergate.formats.charts import class_rules, compared_bound
from wafergate.formats.spreadsheet import ENCODING, guarded

__all__ = [
    "class_data",
    "class_table",
    "glossary_data",
    "glossary_table",
    "production_data",
    "production_table",
    "rule_data",
    "rule_table",
    "to_csv",
    "to_markdown",
    "verdict_badge",
]

ICONS = {Verdict.PASS: "check_circle", Verdict.UNDECIDED: "help", Verdict.FAIL: "cancel"}
DIGITS = {"latency": 1, "size": 1, "test_looks": 0, "classes_present": 0}
FIGURE = re.compile(r"\**[+\-−–]?(\d[\d,.]*)?( ?%)?( / \d[\d,]*)?( \([\d.–]+\))?\**")
DIGIT = re.compile(r"\d")
BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")


def verdict_badge(verdict: Verdict, text: Text) -> str:
    """Return a verdict as a coloured Markdown badge with an icon and its word."""
    return f":{VERDICT_HUES[verdict]}-badge[:material/{ICONS[verdict]}: {text.term(verdict)}]"


def class_table(judged: Judged, text: Text) -> pd.DataFrame:
    """Return the figures of every class as the page shows them, in the order of the picture above."""
    weighted = any(figures.real_precision is not None for figures in judged.evaluation.classes)
    rows = []
    for figures, rule in weakest_first(judged.evaluation, judged.decision):
        lower = compared_bound(figures, rule) if figures.recall.trials else None
        row = {
            text.title("defect_class"): literal(figures.defect_class),
            text.title("recall"): f"**{text.value(figures.recall.value)}**",
            text.title("lower_bound"): text.at_least(lower),
            text.title("limit"): text.limit(rule.limit if rule else None),
            text.title("found"): text.found(figures.recall),
            text.title("precision"): _with_bounds(figures.precision, text),
            text.title("real_precision"): text.value(figures.real_precision),
            text.title("f1"): text.value(figures.f1),
            text.title("verdict"): verdict_badge(rule.verdict, text) if rule else text.value(None),
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    return table if weighted else table.drop(columns=text.title("real_precision"))


def rule_table(judged: Judged, text: Text) -> pd.DataFrame:
    """Return the rules of a decision as the page shows them, what did not pass first."""
    order, grounds = [Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS], judged.grounds
    rows = [
        {
            text.title("rule"): text.title(rule.rule),
            text.plain("subject"): literal(verdicts.subject(rule, text)) if rule.subject else text.say("whole_model"),
            text.plain("value"): text.value(rule.value, DIGITS.get(rule.rule, 3)),
            text.plain("bound"): verdicts.rule_bound(rule, text, DIGITS.get(rule.rule, 3)),
            text.title("limit"): text.limit(rule.limit),
            text.title("verdict"): verdict_badge(rule.verdict, text),
            text.plain("evidence"): literal(verdicts.evidence(rule, grounds, text)),
        }
        for rule in sorted(judged.decision.rules, key=lambda rule: order.index(rule.verdict))
    ]
    return pd.DataFrame(rows)


def class_data(judged: Judged) -> pd.DataFrame:
    """Return the figures of every class, unrounded."""
    rules = class_rules(judged.decision)
    rows = []
    for figures in judged.evaluation.classes:
        rule = rules.get(figures.defect_class)
        rows.append(
            {
                "line": judged.decision.line,
                "model": f"{judged.model.candidate.name} v{judged.model.number}",
                "evaluation": judged.evaluation.id,
                "defect_class": figures.defect_class,
                "instances": figures.recall.trials,
                "found": figures.recall.hits,
                "recall": figures.recall.value,
                "recall_lower": figures.recall.lower,
                "recall_upper": figures.recall.upper,
                "gate_bound": rule.bound if rule else None,
                "limit": rule.limit if rule else None,
                "verdict": rule.verdict.value if rule else None,
                "detections": figures.precision.trials,
                "precision": figures.precision.value,
                "precision_lower": figures.precision.lower,
                "precision_upper": figures.precision.upper,
                "precision_at_line_rates": figures.real_precision,
                "f1": figures.f1,
                "ap50": figures.ap50,
                "threshold": figures.threshold,
                "confidence": judged.evaluation.confidence,
            }
        )
    return pd.DataFrame(rows)


def production_table(figures: ProductionFigures, shown: Judged | None, text: Text) -> pd.DataFrame:
    """Return what reviewed images say of every class, with the recall on the test set beside it."""
    tested = shown.evaluation.by_class() if shown else {}
    rows = []
    for item in figures.classes:
        on_test = tested.get(item.defect_class)
        rows.append(
            {
                text.title("defect_class"): literal(item.defect_class),
                text.title("recall"): f"**{text.value(item.recall.value)}**",
                text.title("lower_bound"): text.at_least(item.recall.lower if item.recall.trials else None),
                text.title("found"): text.found(item.recall),
                text.plain("test_recall"): text.value(on_test.recall.value if on_test else None),
                text.title("precision"): _with_bounds(item.precision, text),
            }
        )
    return pd.DataFrame(rows)


def production_data(figures: ProductionFigures) -> pd.DataFrame:
    """Return the same as it is stored."""
    rows = [
        {
            "line": figures.line,
            "model": figures.model_id,
            "since": figures.since,
            "until": figures.until,
            "defect_class": item.defect_class,
            "instances": item.recall.trials,
            "found": item.recall.hits,
            "recall": item.recall.value,
            "recall_lower": item.recall.lower,
            "recall_upper": item.recall.upper,
            "precision": item.precision.value,
            "precision_lower": item.precision.lower,
            "precision_upper": item.precision.upper,
            "confidence": figures.confidence,
        }
        for item in figures.classes
    ]
    return pd.DataFrame(rows)


def rule_data(decision: GateDecision) -> pd.DataFrame:
    """Return the rules of a decision as they are stored."""
    fields = ("rule", "subject", "verdict", "value", "bound", "limit", "evidence", "next_step")
    rows = [{field: getattr(rule, field) for field in fields} for rule in decision.rules]
    return pd.DataFrame(rows, columns=list(fields)).assign(line=decision.line, decision=decision.id)


def glossary_table(text: Text) -> pd.DataFrame:
    """Return the terms with their explanations in the reader's language."""
    rows = [
        {text.plain("term"): f"**{text.title(key)}**", text.plain("meaning"): literal(text.explain(key))}
        for key in terms()
    ]
    return pd.DataFrame(rows)


def glossary_data() -> pd.DataFrame:
    """Return the whole glossary, every language beside the others."""
    return pd.DataFrame([{"term": key, **entry} for key, entry in terms().items()])


def to_markdown(table: pd.DataFrame) -> str:
    """Return a table whose cells are Markdown as a table of Markdown; figures stand to the right, digit under digit."""
    rows = [[BAR.sub(r"\1\|", str(cell)) for cell in row] for row in (table.columns, *table.itertuples(index=False))]
    columns = ([row[place] for row in rows[1:]] for place in range(table.shape[1]))
    sides = ["--:" if _are_figures(cells) else ":--" for cells in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (rows[0], sides, *rows[1:]))


def to_csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8 with a byte-order mark; no cell of it can run as a formula in a spreadsheet."""
    safe = table.map(lambda value: guarded(value) if isinstance(value, str) else value)
    return safe.rename(columns=lambda name: guarded(str(name))).to_csv(index=False).encode(ENCODING)


def _with_bounds(rate: Rate, text: Text) -> str:
    """Return a rate with its bounds in brackets."""
    bounds = f" ({text.at_least(rate.lower)}–{text.at_most(rate.upper)})" if rate.trials else ""
    return text.value(rate.value) + bounds


def _are_figures(cells: Sequence[str]) -> bool:
    return all(FIGURE.fullmatch(cell) for cell in cells) and any(DIGIT.search(cell) for cell in cells)
