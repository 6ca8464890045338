"""The page Data: what the test set can prove, what waits for a person, and tables that hold what is stored."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from dashboards.data_tables import findings_table, held_data, held_table, plan_table, review_table, versions_data
from dashboards.reading.datasets import OneVersion, count_held, load_held, load_version, load_versions
from dashboards.texts import Text, literal, phrases
from tests.dashboards import stories
from tests.rows import NOW
from wafergate.domain.bounds import lower_bound
from wafergate.domain.quarantine import QuarantineState
from wafergate.domain.review import ReviewItem, ReviewState, Suspicion
from wafergate.domain.samples import BoxPolicy, QuarantineReason
from wafergate.domain.validation import SEVERITIES
from wafergate.domain.validation_rows import ValidationFinding
from wafergate.stages.expect import checks, suite_limits
from wafergate.stages.review import suspect

pytestmark = pytest.mark.unit
TEXT, KOREAN = Text("en"), Text("ko")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def _newest() -> OneVersion:
    facts = stories.failed()
    return load_version(facts, load_versions(facts, "die-a")[0].id)


def test_every_stored_reason_and_suspicion_has_its_words() -> None:
    words = phrases()["en"].keys()
    assert {f"reason_{reason}" for reason in QuarantineReason} <= words
    assert {f"suspicion_{kind}" for kind in Suspicion} <= words
    assert {f"review_{state}" for state in ReviewState} <= words
    assert {f"figure_{kind}" for kind in Suspicion} <= words
    assert {f"check_{name}" for name in SEVERITIES} <= words


def test_versions_come_newest_first_with_the_instances_of_every_class() -> None:
    versions = load_versions(stories.failed(), "die-a")
    assert [version.number for version in versions] == [3, 2, 1]
    table = versions_data(versions)
    assert table.loc[0, "instances bridge"] == versions[0].instances["bridge"]


def test_the_plan_says_what_finding_every_test_instance_would_prove() -> None:
    chosen = _newest()
    assert chosen.plan is not None
    assert chosen.split is not None
    confidence = 0.95
    for item in chosen.plan.classes:
        instances = chosen.split.counts["test"][item.defect_class]
        assert item.best_provable == pytest.approx(lower_bound(instances, instances, confidence))
    assert set(plan_table(chosen.plan, TEXT)["Collect"]) == {"–"}


def test_a_scarce_class_comes_first_with_what_to_collect() -> None:
    facts = stories.failed()
    first = load_versions(facts, "die-a")[-1]
    plan = load_version(facts, first.id).plan
    assert plan is not None
    top = plan_table(plan, TEXT).iloc[0]
    assert (top["Defect class"], top["In test"]) == ("void", "12")
    assert top["Collect"].startswith("**+")
    assert "lacks" in top["Gate"]


def test_a_class_that_few_groups_show_tells_how_many_it_lacks() -> None:
    plan = _newest().plan
    assert plan is not None
    few = replace(plan, classes=(replace(plan.classes[0], decidable=False, more_test=3, more_groups=2),))
    assert "lacks 3, lacks groups: 2" in plan_table(few, TEXT).loc[0, "Gate"]
    assert "3개 부족, 그룹 2개 부족" in plan_table(few, KOREAN).iloc[0].to_string()


def test_without_a_line_file_nothing_is_planned() -> None:
    facts = stories.covered()
    assert load_version(facts, load_versions(facts, "die-a")[0].id).plan is None


def test_only_checks_that_did_not_hold_are_shown() -> None:
    result = _newest().validation
    assert result is not None
    assert findings_table(result, TEXT)["Check"].tolist() == ["aspect ratio of boxes"]


def test_an_english_page_tells_what_a_check_found_as_it_was_stored_and_a_korean_one_its_figures() -> None:
    stored = _newest().validation
    assert stored is not None
    finding = ValidationFinding(
        "normal_share", "warning", False, 80, 0, (), "5% to 95% show no defect: 2.5%", 0.05, 0.95, 0.025
    )
    unmeasured = replace(
        finding, expectation="class_known", detail="a label is of no class", low=None, high=None, value=None
    )
    result = replace(stored, findings=(finding, unmeasured))
    assert findings_table(result, TEXT)["Detail"].tolist() == [literal(item.detail) for item in result.findings]
    korean = findings_table(result, KOREAN)["설명"].tolist()
    assert korean == [literal("기준 0.05 이상, 기준 0.95 이하, 측정값 0.025"), "–"]


def test_a_korean_page_tells_the_figure_of_every_suspicion() -> None:
    limits = suite_limits(BoxPolicy(), ["bridge"])
    place = {"name": "a.png", "box_index": 0, "raw_label": "bridge", "x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 2.0}
    figures = {check.column: 45.6 for check in checks(limits) if check.table == "boxes"}
    figures |= {"least_extent": -1.0, "shortest_side": 0.5, "image_share": 0.99, "duplicate_iou": 0.97}
    found = suspect(pd.DataFrame([place | figures]), checks(limits))
    assert len(found) == 7
    made = [
        ReviewItem("i", "k", "d", "die-a", one.sample, "0", 0, one.label, one.box, one.kind, one.score, one.detail, NOW)
        for one in found
    ]
    told = review_table([(item, ReviewState.OPEN) for item in made], KOREAN)["설명"]
    for item, sentence in zip(made, told, strict=True):
        assert NUMBER.findall(sentence.replace("\\", "")) == NUMBER.findall(item.detail)


def test_an_answer_closes_its_item_and_no_other() -> None:
    review = _newest().review
    assert [(item.kind, state) for item, state in review] == [
        (Suspicion.DUPLICATE, ReviewState.OPEN),
        (Suspicion.ASPECT, ReviewState.KEPT),
    ]
    assert "to look at" in review_table(review, TEXT).loc[0, "State"]


def test_the_quarantine_counts_what_nobody_has_decided() -> None:
    held = load_held(stories.failed(), "die-a")
    assert {item.entry.id: item.state for item in held}["quarantine-0"] is QuarantineState.RELEASED
    table = held_table(held, TEXT).set_index("Reason")
    assert table.loc["image without label", "Files"] == "2"
    assert table.loc["image without label", "To decide"] == "1"
    assert len(held_data(held)) == 3


def test_the_quarantine_says_how_many_there_are_beyond_those_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = stories.failed()
    monkeypatch.setattr("dashboards.reading.datasets.HELD_READ", 2)
    assert (len(load_held(facts, "die-a")), count_held(facts, "die-a")) == (2, 3)
    assert count_held(facts, "nobody") == 0
