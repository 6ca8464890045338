"""What a plan says before training is what the gate says after it."""

from pathlib import Path

import pytest

from tests.unit.jobs.dies import Files, rule
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, run_thread
from wafergate.cli.plan import _show
from wafergate.domain.gate import GateDecision, Verdict
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import Side, Split, SplitMember
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.plan import plan_per_class, plan_split, plan_version

pytestmark = pytest.mark.unit

# A pass by exact bounds needs 7 instances of a class at this confidence, by groups 7 groups.
GROUPED = line_of(iou="iou = 0.3\ngrouped = true\nconfidence = 0.99")


def test_a_class_that_too_few_groups_show_in_test_is_planned_as_the_gate_will_judge_it(
    files: Files, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = parts.facts.get(DatasetVersion, ingest(parts, GROUPED, MemorySource(files), "coco").id)
    before = plan_version(parts, GROUPED, dataset)
    thread = run_thread(parts, GROUPED, MemorySource(files))
    split = parts.facts.get(Split, thread.split.id)
    plan = plan_split(parts.facts, GROUPED, split)
    assert before.classes == plan.classes == plan_version(parts, GROUPED, dataset).classes

    members = parts.facts.find(SplitMember, split_id=split.id, side=Side.TEST.value)
    group = {member.name: member.group for member in members}
    samples = [item for item in parts.facts.find(Sample, dataset_id=dataset.id) if item.name in group]
    for item in plan.classes:
        shown = {group[sample.name] for sample in samples if item.defect_class in sample.classes}
        assert (item.more_test, item.more_groups) == (0, 7 - len(shown))
        assert not item.decidable
        assert f"{item.more_groups} of {item.defect_class}" in plan.verdict
    assert not plan.decidable
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert {verdict for _, verdict in rule(decision, "recall")} == {Verdict.UNDECIDED}

    _show(plan, GROUPED)
    told = capsys.readouterr().out
    assert f"lacks {plan.classes[0].more_groups} group" in told
    assert "further groups needed in test" in told
    assert plan_split(parts.facts, line_of(), split).decidable, "groups were not asked for"


def test_a_line_that_asks_for_too_few_test_instances_is_told_to_ask_for_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = line_of(recall="recall = 0.9")
    plan = plan_per_class(line, 12)
    assert (plan.test_per_class, {item.collect for item in plan.classes}) == (29, {0})
    assert plan.verdict.endswith("set [split] test_per_class to 29 or more")
    _show(plan, line)
    assert "waits for the others" not in capsys.readouterr().out


def test_a_plan_without_a_split_says_that_groups_are_not_looked_at() -> None:
    plan = plan_per_class(GROUPED, 50)
    assert plan.decidable
    assert "groups are not looked at: [gate] grouped asks for 7" in plan.verdict
    assert "groups" not in plan_per_class(line_of(Path()), 50).verdict
