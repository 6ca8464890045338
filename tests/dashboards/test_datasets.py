"""The page Data: what the test set can prove, what waits for a person, and tables that hold what is stored."""

import pytest

from dashboards.data_tables import findings_table, held_data, held_table, plan_table, review_table, versions_data
from dashboards.reading.datasets import OneVersion, load_held, load_version, load_versions
from dashboards.texts import Text, phrases
from tests.dashboards import stories
from wafergate.domain.bounds import lower_bound
from wafergate.domain.quarantine import QuarantineState
from wafergate.domain.review import ReviewState, Suspicion
from wafergate.domain.samples import QuarantineReason

pytestmark = pytest.mark.unit
TEXT = Text("en")


def _newest() -> OneVersion:
    facts = stories.failed()
    return load_version(facts, load_versions(facts, "die-a")[0].id)


def test_every_stored_reason_and_suspicion_has_its_words() -> None:
    words = phrases()["en"].keys()
    assert {f"reason_{reason}" for reason in QuarantineReason} <= words
    assert {f"suspicion_{kind}" for kind in Suspicion} <= words
    assert {f"review_{state}" for state in ReviewState} <= words


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


def test_without_a_line_file_nothing_is_planned() -> None:
    facts = stories.covered()
    assert load_version(facts, load_versions(facts, "die-a")[0].id).plan is None


def test_only_checks_that_did_not_hold_are_shown() -> None:
    result = _newest().validation
    assert result is not None
    assert findings_table(result, TEXT)["Check"].tolist() == [r"box\_aspect"]


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
