"""What the commands print: tables that fit 80 columns, verdicts rule by rule."""

import textwrap
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wafergate.domain.evaluation import Evaluation, Rate
from wafergate.domain.gate import Champion, GateDecision, LedgerEntry, Verdict
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.splits import Split
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.charts import compared_bound
from wafergate.formats.words import Words
from wafergate.ports import FactStore

__all__ = ["approval_command", "console", "pairs", "paragraph", "show_decision", "show_ledger", "spread", "table"]

_WORDS = Words("en")
_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNDECIDED: "yellow"}


def console() -> Console:
    """Return a console for standard output; 80 columns where it is not a terminal."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=80)


def paragraph(text: str, *, indent: int = 0) -> str:
    """Return text wrapped to the terminal's width, every line indented; its own line breaks stay."""
    space = " " * indent
    lines = text.splitlines() or [""]
    width = console().width
    return "\n".join(textwrap.fill(line, width, initial_indent=space, subsequent_indent=space) for line in lines)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()) -> Table:
    """Return a table; the columns in `numbers` are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        # as text, not markup: file names and keys such as [split] must come out as they are
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def pairs(rows: Sequence[tuple[str, object]]) -> Table:
    """Return names in bold, each with what belongs to it."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column()
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(Text(name, style="bold"), Text(str(value)))
    return made


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.value, style=_COLOURS[verdict])


def _point(rate: Rate) -> str:
    return "-" if rate.value is None else f"{rate.value:.2f}"


def spread(counts: Mapping[str, int]) -> str:
    """Return the smallest and the largest count, or the one they share."""
    least, most = min(counts.values()), max(counts.values())
    return str(most) if least == most else f"{least} to {most}"


def show_decision(facts: FactStore, decision_id: str, *, dashboard: str = "") -> None:
    """Print the story of one gate decision: data, split, model, figures, rules, champion, where to look."""
    decision = facts.get(GateDecision, decision_id)
    evaluation = facts.get(Evaluation, decision.evaluation_id)
    model = facts.get(ModelVersion, decision.model_id)
    split = facts.get(Split, model.split_id)
    dataset = facts.get(DatasetVersion, model.dataset_id)
    out = console()
    out.print()
    out.print(_facts_table(decision, dataset, split, model, look=evaluation.look))
    out.print()
    out.print(_class_table(decision, evaluation))
    out.print(_image_sentence(evaluation), markup=False)
    out.print()
    out.print(_rule_table(decision))
    out.print()
    out.print(
        Text("gate: ").append(_verdict(decision.verdict)).append(decision.summary.removeprefix(decision.verdict.value))
    )
    champion = facts.champion(decision.line)
    out.print(_champion_sentence(facts, champion, decision))
    if decision.awaits_approval and (champion is None or champion.model_id != decision.model_id):
        out.print(f"awaiting approval: {approval_command(decision.id)}", markup=False)
    if dashboard:
        out.print(f"dashboard: http://{dashboard}", markup=False)


def approval_command(decision_id: str) -> str:
    """Return the command that releases a model which passed and waits for a person."""
    return f"wafergate approve {decision_id} --as NAME --reason WHY"


def _facts_table(
    decision: GateDecision, dataset: DatasetVersion, split: Split, model: ModelVersion, *, look: int
) -> Table:
    boxes, test = sum(dataset.instances.values()), split.counts["test"]
    rows = [
        ("line", decision.line),
        (
            "dataset",
            f"version {dataset.number}: {dataset.images} images, {dataset.normal_images} without defect, "
            f"{boxes} boxes, {dataset.quarantined} quarantined",
        ),
        (
            "split",
            f"{split.mode.value}: test {split.images['test']} images, {spread(test)} of every class; "
            f"train {split.images['train']}, validation {split.images['validation']}; "
            f"test set {split.test_digest[:12]}, look {look}",
        ),
        (
            "model",
            f"version {model.number}: {model.candidate.name}, {model.image_size} px, {model.epochs} epochs, "
            f"{model.size_mib:.1f} MiB",
        ),
        (
            "serving",
            "; ".join(rule.evidence for rule in decision.rules if rule.rule == "latency") or "not measured",
        ),
    ]
    return pairs(rows)


def _class_table(decision: GateDecision, evaluation: Evaluation) -> Table:
    judged = {rule.subject: rule for rule in decision.rules if rule.rule == "recall"}
    rows = []
    for figures in evaluation.classes:
        rule, recall = judged.get(figures.defect_class), figures.recall
        rows.append(
            (
                figures.defect_class,
                f"{recall.hits} of {recall.trials}",
                _point(recall),
                f"{_WORDS.at_least(compared_bound(figures, rule))} to {_WORDS.at_most(recall.upper)}",
                "-" if rule is None or rule.limit is None else _WORDS.limit(rule.limit),
                _point(figures.precision),
                "-" if figures.f1 is None else f"{figures.f1:.2f}",
                _verdict(rule.verdict) if rule else "-",
            )
        )
    columns = ("class", "found", "recall", "interval", "limit", "prec.", "F1", "verdict")
    return table(columns, rows, numbers=("found", "recall", "limit", "prec.", "F1"))


def _image_sentence(evaluation: Evaluation) -> str:
    escapes, overkill, share = evaluation.escapes, evaluation.overkill, evaluation.real_false_alarm_share
    real = (
        "" if share is None else f"; at the line's real rates {share:.1%} of the parts called defective would be good"
    )
    return (
        f"escapes {escapes.hits} of {escapes.trials} defective images, overkill {overkill.hits} of "
        f"{overkill.trials} normal ones; calling everything normal would be "
        f"{evaluation.baseline_accuracy:.0%} accurate and find nothing{real}"
    )


def _rule_table(decision: GateDecision) -> Table:
    rows = [
        (_verdict(rule.verdict), f"{rule.rule} {rule.subject}".strip(), rule.next_step or rule.evidence)
        for rule in decision.rules
    ]
    return table(("gate", "rule", "evidence, or what would change the verdict"), rows)


def _champion_sentence(facts: FactStore, champion: Champion | None, decision: GateDecision) -> str:
    if champion is None:
        return "champion: none; this line is not covered"
    model = facts.get(ModelVersion, champion.model_id)
    here = "this model" if champion.model_id == decision.model_id else "another model"
    return f"champion: model {model.number} ({here}), since {champion.since:%Y-%m-%d %H:%M} UTC, by {champion.actor}"


def show_ledger(facts: FactStore, entries: Sequence[LedgerEntry]) -> None:
    """Print ledger entries as a story, in the order given."""
    models = {row.id: row for row in facts.find(ModelVersion, id=sorted({entry.subject for entry in entries}))}
    out = console()
    for entry in entries:
        what = f"{entry.kind.value.replace('_', ' ')} by {entry.actor}"
        out.print(
            f"{entry.seq:>4}  {entry.created_at:%Y-%m-%d %H:%M}  {entry.line}: {what}", style="bold", markup=False
        )
        model = models.get(entry.subject)
        about = f"model {model.number}, {model.id}" if model else entry.subject
        for line in (about, entry.reason):
            out.print(paragraph(line, indent=6), markup=False)
    out.print(f"{len(entries)} entries, times in UTC" if entries else "no entry", markup=False)
