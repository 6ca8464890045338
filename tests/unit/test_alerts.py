"""What an alert says, and that one cause is one alert."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests import rows
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.drift import DriftPolicy, DriftReport, DriftVerdict, FeatureDrift
from wafergate.domain.evaluation import ClassFigures, Rate
from wafergate.domain.gate import GateDecision, GatePolicy, RuleResult, Verdict
from wafergate.stages.alerts import approval_alert, drift_alert, flow_alert, gate_alert

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SPUR = RuleResult(
    "recall", "spur", 0.9, 0.717, 0.9, Verdict.UNDECIDED, "18 of 20 found", "41 more, all found, would prove it"
)
OPEN = RuleResult("recall", "open", 0.5, 0.3, 0.9, Verdict.FAIL, "10 of 20 found", "label more open images")
OVERKILL = RuleResult("overkill", "", 0.01, 0.05, 0.1, Verdict.PASS, "1 of 100 normal images")


FOUND = Rate(29, 30, 0.851, 0.998)
FIGURES = ClassFigures(
    "open", FOUND, FOUND, 0.9, 0.9, 0.25, misses={"missed": 6, "wrong_class": 4}, false_alarms={"background": 3}
)  # fmt: skip
MODEL = replace(rows.model("line-a", "x"), id="model-7", number=7)
EVALUATION = replace(
    rows.evaluation("line-a", "x"), classes=(FIGURES, replace(FIGURES, defect_class="spur", misses={}))
)


def alert_of(judged: GateDecision) -> Alert:
    return gate_alert(judged, MODEL, EVALUATION, now=NOW)


def decision(verdict: Verdict, *rules: RuleResult) -> GateDecision:
    return GateDecision("gate-1", "line-a", "model-7", "eval-3", verdict, rules, GatePolicy(), "One sentence.", NOW)


def test_an_undecided_gate_names_line_class_numbers_limit_and_next_step() -> None:
    alert = alert_of(decision(Verdict.UNDECIDED, SPUR, OVERKILL))
    assert alert.title == "line-a: model 7 (yolox-nano) is undecided at the gate: recall of spur"
    for told in ("18 of 20 found", "value 0.9", "bound 0.717", "limit 0.9", "41 more, all found", "One sentence."):
        assert told in alert.body
    assert "overkill" not in alert.body
    assert (alert.cause, alert.subject, alert.state, alert.attempts) == ("gate", "gate-1", AlertState.WAITING, 0)


def test_what_failed_stands_before_what_is_undecided() -> None:
    alert = alert_of(decision(Verdict.FAIL, SPUR, OPEN, replace(OPEN, subject="short")))
    assert alert.title == "line-a: model 7 (yolox-nano) failed the gate: recall of open and 1 more"
    assert alert.body.index("recall of open") < alert.body.index("recall of short") < alert.body.index("recall of spur")


def test_the_kinds_of_error_stand_beside_the_rule_they_broke() -> None:
    high = replace(OVERKILL, verdict=Verdict.FAIL)
    latency = RuleResult("latency", "", 80.0, None, 50.0, Verdict.FAIL, "80 ms")
    paragraphs = alert_of(decision(Verdict.FAIL, OPEN, SPUR, high, latency)).body
    assert paragraphs.count("Kinds of error:") == 2
    assert "Kinds of error: 6 missed, 4 wrong class\n  Next step: label more open images" in paragraphs
    assert "1 of 100 normal images (value 0.01, bound 0.05, limit 0.1)\n  Kinds of error: 6 background" in paragraphs


def test_the_same_rules_and_classes_are_the_same_cause_whichever_model_broke_them() -> None:
    first = alert_of(decision(Verdict.FAIL, OPEN, SPUR))
    again = alert_of(replace(decision(Verdict.FAIL, replace(OPEN, value=0.6), OVERKILL, SPUR), id="gate-2"))
    assert (first.key, first.id != again.id) == (again.key, True)
    others = [
        alert_of(decision(Verdict.FAIL, replace(OPEN, subject="short"))),
        alert_of(decision(Verdict.UNDECIDED, SPUR)),
        alert_of(replace(decision(Verdict.FAIL, OPEN), line="line-b")),
        drift_alert(report(), now=NOW),
    ]
    assert len({first.key, *(other.key for other in others)}) == 5


def test_a_model_that_waits_for_a_person_is_told_with_the_command_that_releases_it() -> None:
    judged = decision(Verdict.PASS, OVERKILL)
    two = replace(judged, policy=GatePolicy(approval="approval", approver_differs=True))
    alert = approval_alert(two, MODEL, now=NOW)
    assert alert.title == "line-a: model 7 (yolox-nano) passed the gate and awaits approval"
    assert "by another person than the one who trained it: `wafergate approve gate-1 --as NAME" in alert.body
    assert "another person" not in approval_alert(judged, MODEL, now=NOW).body


def test_a_pass_and_a_stable_line_have_no_alert() -> None:
    with pytest.raises(ValueError, match="gate-1"):
        alert_of(decision(Verdict.PASS, OVERKILL))
    for verdict in (DriftVerdict.STABLE, DriftVerdict.NOT_ENOUGH):
        with pytest.raises(ValueError, match="drift-1"):
            drift_alert(replace(report(), verdict=verdict), now=NOW)


def report() -> DriftReport:
    features = (
        FeatureDrift("brightness", 6.0, 4.0, True, 110.0, 88.0),
        FeatureDrift("noise", 1.0, 4.0, False, 3.0, 3.1),
        FeatureDrift("sharpness", 20.0, 4.0, True, 640.0, 200.0),
    )
    policy = DriftPolicy(method="ks", threshold=1e-4, share=0.16)
    return DriftReport(
        "drift-1", "line-a", "data-2", "lot 12", 300, 90, DriftVerdict.DRIFTED, 2 / 3, features, policy, None, NOW
    )


def test_drift_names_the_strongest_feature_first_its_direction_and_where_to_look() -> None:
    alert = drift_alert(report(), now=NOW)
    assert alert.title == "line-a: images have drifted: sharpness, brightness"
    assert "brightness: mean 110 -> 88" in alert.body
    assert "noise:" not in alert.body
    assert "focus or a dirty lens; light or exposure" in alert.body
    assert "90 images of lot 12" in alert.body


def test_a_failed_flow_gives_its_reason_and_keeps_the_title_to_one_line() -> None:
    alert = flow_alert("line-a", "retrain", "run-9", f"{'x' * 300}\nsecond line", now=NOW)
    assert "\n" not in alert.title
    assert len(alert.title) < 160
    assert "second line" in alert.body
    assert "run-9" in alert.body


def test_the_same_cause_is_one_alert_whenever_it_is_told() -> None:
    later = NOW + timedelta(hours=1)
    first = flow_alert("line-a", "retrain", "run-9", "no disk space", now=NOW)
    again = flow_alert("line-a", "retrain", "run-9", "no disk space left", now=later)
    assert first.id == again.id
    others = [
        flow_alert("line-b", "retrain", "run-9", "no disk space", now=NOW),
        flow_alert("line-a", "retrain", "run-10", "no disk space", now=NOW),
        alert_of(replace(decision(Verdict.FAIL, OPEN), id="run-9")),
    ]
    assert len({first.id, *(other.id for other in others)}) == 4
