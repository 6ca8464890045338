"""What the pages read of a line, the state they show for it, and the tables they hand out."""

import csv
import io
from dataclasses import replace
from datetime import UTC, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as hy
from markdown_it import MarkdownIt

from dashboards.charts import recall_intervals
from dashboards.reading.line import Judged, LineView, list_lines, load_view
from dashboards.standing import StandingNote, judge_standing
from dashboards.tables import class_data, class_table, rule_table, to_csv, to_markdown
from dashboards.texts import JOINER, Text, literal
from dashboards.views import today
from tests.dashboards import stories
from tests.dashboards.drawn import read_chart
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.domain.gate import GateDecision, LedgerKind, Verdict
from wafergate.domain.line_state import LineState, weakest_recall
from wafergate.domain.weekly import Week
from wafergate.errors import NotFoundError
from wafergate.jobs.weekly import Inspected, week_of

pytestmark = pytest.mark.unit
TEXT = Text("en")


def _view(story: str, line: str = "die-a") -> LineView:
    return load_view(stories.open_story(story), line)


def _shown(story: str, line: str = "die-a") -> Judged:
    shown = _view(story, line).shown
    assert shown is not None
    return shown


@pytest.mark.parametrize(
    ("story", "state", "sentence", "notes"),
    [
        ("undecided", LineState.BLIND, "sentence_blind_fail", ()),
        ("covered", LineState.COVERED, "sentence_covered", ()),
        (
            "failed",
            LineState.COVERED,
            "sentence_covered",
            (StandingNote.HELD_BACK, StandingNote.NEWER_DATA),
        ),
        ("drifted", LineState.AT_RISK, "sentence_drifted", ()),
        ("few_images", LineState.COVERED, "sentence_covered", (StandingNote.DRIFT_FEW,)),
    ],
)
def test_the_state_follows_from_stored_verdicts(
    story: str, state: LineState, sentence: str, notes: tuple[StandingNote, ...]
) -> None:
    standing = judge_standing(_view(story))
    assert (standing.state, standing.sentence, standing.notes) == (state, sentence, notes)


def test_a_line_without_any_model_is_blind() -> None:
    assert judge_standing(load_view(stories.empty(), "die-a")).sentence == "sentence_blind"


def test_a_model_that_passed_and_was_not_promoted_leaves_the_line_blind() -> None:
    facts = stories.empty()
    stories.tell(facts, stories.Act(1, stories.PROVEN, stories.MORNING), promote=False)
    standing = judge_standing(load_view(facts, "die-a"))
    assert (standing.state, standing.sentence) == (LineState.BLIND, "sentence_blind_unpromoted")


def test_a_champion_whose_stored_verdict_is_no_pass_puts_the_line_at_risk() -> None:
    view = _view("covered")
    assert view.judged is not None
    judged = replace(view.judged, decision=replace(view.judged.decision, verdict=Verdict.UNDECIDED))
    standing = judge_standing(replace(view, judged=judged))
    assert (standing.state, standing.sentence) == (LineState.AT_RISK, "sentence_unproven")


def test_drift_against_other_data_says_nothing_about_the_champion() -> None:
    facts = stories.drifted()
    act = stories.Act(2, stories.PROVEN, stories.MORNING + timedelta(hours=9))
    stories.tell(facts, act, promote=True)
    view = load_view(facts, "die-a")
    assert view.drift is not None
    assert view.drift.verdict is DriftVerdict.DRIFTED
    standing = judge_standing(view)
    assert (standing.state, standing.notes) == (LineState.COVERED, (StandingNote.DRIFT_NONE,))


def test_after_a_rollback_the_champions_own_drift_counts_on_every_page() -> None:
    facts = stories.drifted()
    champion = facts.champion("die-a")
    assert champion is not None
    later = stories.Act(2, stories.PROVEN, stories.MORNING + timedelta(hours=9))
    stories.tell(facts, later, promote=True)
    stories.drift(facts, later, DriftVerdict.STABLE)
    facts.promote(replace(champion, actor="kim", reason="escapes"), kind=LedgerKind.ROLLED_BACK, details={})
    view = load_view(facts, "die-a")
    assert (judge_standing(view).state, judge_standing(view).notes) == (
        LineState.AT_RISK,
        (StandingNote.NEWER_DATA,),
    )
    assert view.drift is not None
    assert view.drift.verdict is DriftVerdict.DRIFTED
    assert _weekly_state(facts) is LineState.AT_RISK


def test_a_window_too_small_to_say_takes_nothing_back() -> None:
    facts = stories.drifted()
    (drifted,) = facts.find(DriftReport)
    few = replace(drifted, id="drift-few", verdict=DriftVerdict.NOT_ENOUGH, features=(), current_images=7)
    facts.save(replace(few, created_at=drifted.created_at + timedelta(hours=1)))
    view = load_view(facts, "die-a")
    standing = judge_standing(view)
    assert (standing.state, standing.sentence) == (LineState.AT_RISK, "sentence_drifted")
    assert standing.notes == (StandingNote.DRIFT_FEW,)
    assert "brightness" in today.sentence(view, standing, TEXT)
    assert _weekly_state(facts) is LineState.AT_RISK


def _weekly_state(facts: MemoryFacts) -> LineState:
    week, now = Week.ending(stories.MORNING.date() + timedelta(days=5), UTC), stories.MORNING + timedelta(days=9)
    return week_of(facts, "die-a", week, Inspected((), ()), now=now).state


def test_the_weakest_class_is_the_one_with_least_room_not_the_lowest_recall() -> None:
    facts = stories.empty()
    # void is critical (limit 0.90): its higher recall leaves less room than that of bridge (limit 0.85).
    decision = stories.tell(
        facts, stories.Act(1, {"bridge": (57, 58), "void": (60, 60)}, stories.MORNING), promote=True
    )
    rules = {rule.subject: rule for rule in decision.rules if rule.rule == "recall"}
    assert rules["void"].value is not None
    assert rules["bridge"].value is not None
    assert rules["void"].value > rules["bridge"].value
    weakest = weakest_recall(decision)
    assert weakest is not None
    assert weakest.subject == "void"


def test_the_page_leads_with_the_champion_and_keeps_the_newest_verdict_apart() -> None:
    view = _view("failed")
    assert view.shown is not None
    assert view.latest is not None
    assert view.challenger is not None
    assert (view.shown.model.number, view.latest.model.number) == (2, 3)
    assert view.challenger.model.number == 3


def test_alerts_stay_open_while_undelivered_or_about_the_newest_verdict() -> None:
    facts = stories.failed()
    third, _, first = (decision.id for decision in facts.find(GateDecision))
    assert [alert.subject for alert in load_view(facts, "die-a").alerts] == [third, first]
    stories.tell(facts, stories.Act(4, stories.PROVEN, stories.MORNING + timedelta(hours=50)), promote=True)
    assert [alert.subject for alert in load_view(facts, "die-a").alerts] == [first]


def test_looks_count_every_use_of_the_shown_test_set() -> None:
    facts = stories.covered()
    shown = load_view(facts, "die-a").shown
    assert shown is not None
    facts.save(replace(shown.evaluation, id="evaluation-later", model_id="model-later", look=7))
    assert load_view(facts, "die-a").looks == 7


def test_a_verdict_whose_report_is_not_written_yet_names_none() -> None:
    facts = stories.failed()
    told = load_view(facts, "die-a")
    assert told.latest is not None
    assert told.report is not None
    assert told.report.decision_id == told.latest.decision.id
    later = replace(told.latest.decision, id="later", created_at=told.latest.decision.created_at + timedelta(days=1))
    facts.save(later)
    assert load_view(facts, "die-a").report is None


def test_lines_are_listed_once_and_sorted() -> None:
    assert list_lines(stories.two_lines()) == ["die-a", "tiles"]
    assert list_lines(stories.empty()) == []


def test_a_missing_row_is_an_error_of_ours() -> None:
    facts = stories.covered()
    decision = replace(load_view(facts, "die-a").judged.decision, id="later", evaluation_id="gone")  # type: ignore[union-attr]
    facts.save(replace(decision, created_at=decision.created_at + timedelta(days=1)))
    with pytest.raises(NotFoundError, match="gone"):
        load_view(facts, "die-a")


def test_the_csv_holds_the_stored_figures_to_the_last_bit() -> None:
    judged = _shown("failed")
    content = to_csv(class_data(judged)).decode("utf-8-sig")
    rows = {row["defect_class"]: row for row in csv.DictReader(io.StringIO(content))}
    for figures in judged.evaluation.classes:
        row = rows[figures.defect_class]
        assert (int(row["found"]), int(row["instances"])) == (figures.recall.hits, figures.recall.trials)
        assert float(row["recall"]) == figures.recall.value
        assert float(row["recall_lower"]) == figures.recall.lower
        assert float(row["precision_upper"]) == figures.precision.upper
    assert rows["void"]["limit"] == "0.9"


def test_a_name_cannot_become_a_formula_in_a_spreadsheet() -> None:
    facts = stories.empty()
    stories.tell(facts, stories.Act(1, {"=1+1": (3, 4)}, stories.MORNING), promote=False)
    shown = load_view(facts, "die-a").shown
    assert shown is not None
    assert ",'=1+1," in to_csv(class_data(shown)).decode("utf-8-sig")


def test_the_class_table_shows_stored_values_and_the_class_with_least_room_first() -> None:
    table = class_table(_shown("undecided"), TEXT)
    first = table.iloc[0]
    assert (first["Defect class"], first["Recall"], first["Found"]) == ("void", "**0.917**", "11 / 12")
    assert (first["Lower bound"], first["Limit"]) == ("0.661", "0.90")
    assert "undecided" in first["Verdict"]


def test_the_bound_shown_is_the_one_the_gate_compared() -> None:
    judged = _shown("covered")
    rules = tuple(
        replace(rule, bound=0.8765) if (rule.rule, rule.subject) == ("recall", "bridge") else rule
        for rule in judged.decision.rules
    )
    judged = replace(judged, decision=replace(judged.decision, rules=rules))
    assert class_table(judged, TEXT).set_index("Defect class").loc["bridge", "Lower bound"] == "0.876"
    (plot,) = read_chart(recall_intervals(judged.evaluation, judged.decision, TEXT))
    assert pytest.approx(0.8765, abs=5e-4) in [line[0] for line in plot.lines("span")]


def test_precision_at_the_lines_rates_appears_only_where_it_is_stored() -> None:
    judged = _shown("covered")
    column = "Precision at the line's rates"
    assert column not in class_table(judged, TEXT)
    weighted = tuple(replace(figures, real_precision=0.42) for figures in judged.evaluation.classes)
    judged = replace(judged, evaluation=replace(judged.evaluation, classes=weighted))
    assert set(class_table(judged, TEXT)[column]) == {"0.420"}


def test_rules_that_did_not_pass_come_first() -> None:
    latest = _view("failed").latest
    assert latest is not None
    table = rule_table(latest, TEXT)
    words = [cell.split(": ")[1].removesuffix("]") for cell in table["Verdict"]]
    assert words[:3] == ["fail", "undecided", "pass"]
    assert set(words[2:]) == {"pass"}


def test_a_class_without_instances_shows_dashes_not_zeros() -> None:
    rows = class_table(_shown("two_lines", "tiles"), TEXT).to_dict("records")
    fray = next(row for row in rows if row["Defect class"] == "Fray")
    assert (fray["Recall"], fray["Lower bound"], fray["F1"], fray["Found"]) == ("**–**", "–", "–", "0 / 0")
    assert "undecided" in fray["Verdict"]


def _parsed(markdown: str) -> tuple[list[list[str]], list[str]]:
    """Return the text of a table's cells and the style of its first row, as another reader of Markdown sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    rows: list[list[str]] = []
    styles: list[str] = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("th_open", "td_open"):
            rows[-1].append("".join(part.content for part in tokens[place + 1].children or ()))
            styles += [str(token.attrs.get("style"))] if len(rows) == 1 else []
    return rows, styles


@given(
    hy.lists(
        hy.lists(hy.text(hy.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=3, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_a_table_of_markdown_shows_what_stands_in_its_cells(rows: list[list[str]]) -> None:
    table = pd.DataFrame([[literal(cell) for cell in row] for row in rows], columns=["a", "b|", "c"])
    shown, _ = _parsed(to_markdown(table))
    told = [[" ".join(cell.split()) for cell in row] for row in rows]
    assert [[cell.replace(JOINER, "") for cell in row] for row in shown] == [
        ["a", "b|", "c"],
        *([cell.replace(JOINER, "") for cell in row] for row in told),
    ]


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["0.966", "–"], True),
        (["**1.000**", "**–**"], True),
        (["56 / 58", "1,024 / 2,048"], True),
        (["0.966 (0.895–0.994)"], True),
        (["–", ""], False),
        (["0.9", "void"], False),
    ],
)
def test_figures_stand_under_figures(cells: list[str], right: bool) -> None:
    _, (style,) = _parsed(to_markdown(pd.DataFrame({"column": cells})))
    assert style == ("text-align:right" if right else "text-align:left")
