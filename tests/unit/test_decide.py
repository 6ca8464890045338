"""Every rule decides alone, in each of its directions; everything else passes."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from wafergate.domain.bounds import lower_bound
from wafergate.domain.evaluation import ClassFigures, Comparison, Evaluation, Paired, Rate
from wafergate.domain.evidence import Evidence
from wafergate.domain.gate import GateDecision, GatePolicy, RuleResult, Verdict
from wafergate.domain.latency import Latency, ServingFigures
from wafergate.domain.licences import LicencedPart, LicenceException, LicencePolicy, explain_licence, licence_standing
from wafergate.domain.parity import ExportParity
from wafergate.domain.serving import Runtime, ServeProfile
from wafergate.domain.splits import LeakProof, SplitMode
from wafergate.stages.decide import RULES, decide

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLASSES = ("open", "short", "spur")
PARITY = ExportParity(32, 200, 200, 1e-5, dict.fromkeys(CLASSES, (0.9, 0.9)))


def figures_of(name: str, hits: int, trials: int, **more: object) -> ClassFigures:
    recall, precision = Rate.exact(hits, trials, 0.95), Rate.exact(hits, hits + 1, 0.95)
    return replace(ClassFigures(name, recall, precision, 0.9, 0.9, 0.4), **more)  # type: ignore[arg-type]


def evaluation_of(**counts: tuple[int, int]) -> Evaluation:
    known = {"open": (30, 30), "short": (30, 30), "spur": (30, 30)} | counts
    return Evaluation(
        id="evaluation-1",
        model_id="model-1",
        split_id="split-1",
        side="test",
        iou=0.5,
        confidence=0.95,
        images=140,
        classes=tuple(figures_of(name, *pair) for name, pair in known.items() if pair),
        escapes=Rate.exact(0, 90, 0.95),
        overkill=Rate.exact(0, 50, 0.95),
        baseline_accuracy=0.36,
        predictions="0" * 64,
        look=1,
        created_at=NOW,
    )


def serving_of(ms: float) -> ServingFigures:
    """Return figures of a model that takes this long for an image, 1.5 times as long for the slowest and for two."""
    latency = (Latency(1, ms, 1.2 * ms, 1.5 * ms), Latency(2, 1.5 * ms, 1.6 * ms, 1.7 * ms))
    return ServingFigures("latency-1", "model-1", "here", Runtime.OPENVINO, latency, 8, NOW)


def evidence_of(evaluation: Evaluation | None = None, **changes: object) -> Evidence:
    """Return evidence on which every rule passes, with changes."""
    evidence = Evidence(
        evaluation=evaluation or evaluation_of(),
        policy=GatePolicy(),
        classes=CLASSES,
        serve=ServeProfile(latency_ms=50, size_mib=20),
        serving=serving_of(12.0),
        size_mib=4.0,
        licences=(LicencedPart("code of yolox-nano", "MIT"),),
        validation_success=True,
        taxonomy_signed=True,
        leak=LeakProof(100, 0, {}),
        parity=PARITY,
        split_mode=SplitMode.BOTH_EVEN,
    )
    return replace(evidence, **changes)  # type: ignore[arg-type]


def decided(evaluation: Evaluation | None = None, **changes: object) -> GateDecision:
    return decide(evidence_of(evaluation, **changes), line="A", now=NOW)


def alone(decision: GateDecision, rule: str, subject: str = "") -> RuleResult:
    """Return the one result that is no pass, after checking that it decides the verdict alone."""
    against = [result for result in decision.rules if result.verdict is not Verdict.PASS]
    assert [(result.rule, result.subject) for result in against] == [(rule, subject)]
    assert decision.verdict is against[0].verdict
    assert against[0].next_step
    return against[0]


def test_a_model_that_proves_everything_passes() -> None:
    decision = decided()
    assert decision.verdict is Verdict.PASS
    assert decision.summary.startswith("pass: every rule holds; nearest to its limit is open: 30 of 30 found")
    assert {result.rule for result in decision.rules} == {rule.name for rule in RULES}
    assert not any(result.next_step for result in decision.rules)


# recall ----------------------------------------------------------------------------------------------------------


def test_recall_undecided_names_how_many_more_would_prove_it() -> None:
    result = alone(decided(evaluation_of(spur=(18, 20))), "recall", "spur")
    assert result.verdict is Verdict.UNDECIDED
    expected = "spur: 18 of 20 found, lower bound 0.72, limit 0.90: 41 more, all found, would prove it"
    assert result.next_step == expected
    assert decided(evaluation_of(spur=(18, 20))).summary == f"undecided: {expected}"


@pytest.mark.parametrize(("count", "verdict"), [(29, Verdict.PASS), (28, Verdict.UNDECIDED)])
def test_29_of_29_proves_0_90_and_28_of_28_does_not(count: int, verdict: Verdict) -> None:
    decision = decided(evaluation_of(spur=(count, count)))
    assert decision.verdict is verdict
    spur = next(result for result in decision.rules if result.subject == "spur")
    assert (spur.value, spur.limit, spur.verdict) == (1.0, 0.9, verdict)


def test_bound_is_told_apart_from_its_limit() -> None:
    result = alone(decided(evaluation_of(spur=(28, 28))), "recall", "spur")
    assert "lower bound 0.899, limit 0.900" in result.evidence
    assert "1 more, all found" in result.next_step


@pytest.mark.parametrize(("hits", "trials"), [(0, 2), (10, 20), (26, 29), (80, 100)])
def test_recall_fails_when_refuted_or_when_instances_were_enough(hits: int, trials: int) -> None:
    assert alone(decided(evaluation_of(spur=(hits, trials))), "recall", "spur").verdict is Verdict.FAIL


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (25, 28), (27, 29), (92, 100)])
def test_recall_stays_open_while_neither_side_is_shown(hits: int, trials: int) -> None:
    assert alone(decided(evaluation_of(spur=(hits, trials))), "recall", "spur").verdict is Verdict.UNDECIDED


def test_failed_recall_tells_the_kinds_of_misses() -> None:
    evaluation = evaluation_of()
    spur = figures_of("spur", 10, 20, misses={"missed": 7, "wrong_class": 3, "badly_placed": 0})
    decision = decided(replace(evaluation, classes=(*evaluation.classes[:2], spur)))
    assert "10 instances not found (7 missed, 3 wrong class)" in alone(decision, "recall", "spur").next_step
    assert decision.summary == "fail: recall of spur: 10 of 20 found, lower bound 0.30, limit 0.90"


def test_critical_class_must_reach_the_stricter_limit() -> None:
    assert decided(critical=()).verdict is Verdict.PASS
    result = alone(decided(critical=("short",)), "recall", "short")
    assert result.limit == 0.95
    assert "29 more, all found" in result.next_step


def test_several_undecided_classes_are_counted_in_the_summary() -> None:
    decision = decided(evaluation_of(spur=(18, 20), open=(5, 5)))
    assert decision.summary.endswith("; and 1 more undecided")


def test_failed_outweighs_undecided() -> None:
    decision = decided(evaluation_of(spur=(18, 20), open=(5, 20)))
    assert decision.verdict is Verdict.FAIL


def test_a_model_that_calls_everything_normal_fails_however_accurate() -> None:
    evaluation = evaluation_of(open=(0, 30), short=(0, 30), spur=(0, 30))
    decision = decided(replace(evaluation, images=100_000, baseline_accuracy=0.999))
    assert decision.verdict is Verdict.FAIL
    failed = {result.subject for result in decision.rules if result.verdict is Verdict.FAIL}
    assert failed == set(CLASSES)


@given(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted))
def test_a_model_that_finds_nothing_of_a_class_never_passes(counts: list[int]) -> None:
    hits, trials = counts
    assert decided(evaluation_of(spur=(0, trials))).verdict is not Verdict.PASS
    if decided(evaluation_of(spur=(hits, trials))).verdict is Verdict.PASS:
        assert Rate.exact(hits, trials, 0.95).lower >= 0.9


def test_holm_asks_more_of_each_class() -> None:
    holm = GatePolicy(family="holm")
    assert decided(policy=GatePolicy()).verdict is Verdict.PASS
    decision = decided(policy=holm)
    assert decision.verdict is Verdict.UNDECIDED
    open_class = next(result for result in decision.rules if result.subject == "open")
    assert open_class.bound == pytest.approx((0.05 / 3) ** (1 / 30))


def test_holm_asks_least_of_the_class_with_most_doubt() -> None:
    holm = GatePolicy(family="holm")
    steps = evaluation_of(open=(39, 39), short=(36, 36), spur=(29, 29))  # 0.05 / 3, / 2 and / 1
    assert decided(steps, policy=holm).verdict is Verdict.PASS
    one_less = evaluation_of(open=(39, 39), short=(35, 35), spur=(29, 29))
    steps = {rule.subject: rule.next_step for rule in decided(one_less, policy=holm).rules if rule.next_step}
    assert "1 more, all found" in steps["short"]
    assert "7 more, all found" in steps["spur"]  # after the first that is not proven none is


@given(
    st.lists(
        st.integers(20, 60).flatmap(lambda n: st.tuples(st.integers(n - 3, n), st.just(n))), min_size=3, max_size=3
    )
)
def test_holm_proves_what_its_definition_proves(counts: list[tuple[int, int]]) -> None:
    decision = decided(evaluation_of(**dict(zip(CLASSES, counts, strict=True))), policy=GatePolicy(family="holm"))
    chance = [binomtest(hits, trials, 0.9, alternative="greater").pvalue for hits, trials in counts]
    order = sorted(range(3), key=chance.__getitem__)
    stop = next((step for step, place in enumerate(order) if chance[place] > 0.05 / (3 - step)), 3)
    proven = {rule.subject for rule in decision.rules if rule.rule == "recall" and rule.verdict is Verdict.PASS}
    assert proven == {CLASSES[place] for place in order[:stop]}


def test_grouped_bound_holds_a_model_back_when_misses_cluster() -> None:
    def with_groups(lower: float | None) -> GateDecision:
        bound = None if lower is None else Rate(98, 100, lower, 1.0)
        evaluation = evaluation_of()
        classes = [replace(item, grouped_recall=item.recall) for item in evaluation.classes[:2]]
        spur = figures_of("spur", 98, 100, grouped_recall=bound)
        return decided(replace(evaluation, classes=(*classes, spur)), policy=GatePolicy(grouped=True))

    assert with_groups(0.93).verdict is Verdict.PASS
    assert "instances from more groups" in alone(with_groups(0.85), "recall", "spur").next_step
    assert "fewer than 5 groups show it; instances from more" in alone(with_groups(0.0), "recall", "spur").next_step
    assert "evaluate with the groups" in alone(with_groups(None), "recall", "spur").next_step


# the other rules on counts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "needed"), [("each", 29), ("holm", 39)])
def test_class_without_test_instances_is_undecided(family: str, needed: int) -> None:
    evaluation = evaluation_of(open=(99, 99), short=(99, 99), spur=(0, 0))
    result = alone(decided(evaluation, policy=GatePolicy(family=family)), "classes_present", "spur")
    assert result.verdict is Verdict.UNDECIDED
    assert f"{needed}, all found" in result.next_step
    assert lower_bound(needed, needed, 1 - 0.05 / (3 if family == "holm" else 1)) >= 0.9


def test_class_the_model_does_not_know_is_undecided() -> None:
    evaluation = evaluation_of()
    decision = decided(replace(evaluation, classes=evaluation.classes[:2]))
    assert alone(decision, "classes_present", "spur").verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("hits", "trials", "verdict", "step"),
    [
        (3, 50, Verdict.UNDECIDED, "26 more normal images, none alarmed"),
        (0, 10, Verdict.UNDECIDED, "19 more normal images, none alarmed"),
        (0, 0, Verdict.UNDECIDED, "29 normal images in the test set"),
        (4, 30, Verdict.FAIL, "alarms on normal images"),
        (40, 50, Verdict.FAIL, "alarms on normal images"),
        (6, 10, Verdict.FAIL, "alarms on normal images"),
    ],
)
def test_overkill_alone_decides(hits: int, trials: int, verdict: Verdict, step: str) -> None:
    decision = decided(replace(evaluation_of(), overkill=Rate.exact(hits, trials, 0.95)))
    result = alone(decision, "overkill")
    assert result.verdict is verdict
    assert step in result.next_step


def test_overkill_passes_at_29_clean_images_and_when_switched_off() -> None:
    assert decided(replace(evaluation_of(), overkill=Rate.exact(0, 29, 0.95))).verdict is Verdict.PASS
    off = decided(replace(evaluation_of(), overkill=Rate.exact(9, 10, 0.95)), policy=GatePolicy(overkill=1.0))
    assert off.verdict is Verdict.PASS


def beside_champion(*pairs: Paired, left_out: int = 0, reason: str = "") -> Comparison:
    return Comparison("comparison-1", "evaluation-1", "model-0", 140, left_out, pairs, reason, "1" * 64, NOW)


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [(5, 0, Verdict.FAIL), (4, 0, Verdict.PASS), (9, 2, Verdict.FAIL), (8, 2, Verdict.PASS), (0, 9, Verdict.PASS)],
)
def test_significantly_worse_than_the_champion_fails(lost: int, gained: int, verdict: Verdict) -> None:
    decision = decided(comparison=beside_champion(Paired("spur", 20, lost, gained, 1)))
    assert decision.verdict is verdict
    told = next(result for result in decision.rules if (result.rule, result.subject) == ("not_worse", "spur"))
    expected = binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue  # McNemar's exact test, one-sided
    assert told.bound == pytest.approx(expected)
    if verdict is Verdict.FAIL:
        assert alone(decision, "not_worse", "spur").value == pytest.approx((gained - lost) / (21 + lost + gained))


@pytest.mark.parametrize(
    ("upper", "verdict"),
    [(-0.01, Verdict.FAIL), (0.0, Verdict.PASS), (None, Verdict.FAIL), (1.0, Verdict.UNDECIDED)],
)
def test_by_groups_a_loss_must_be_seen_over_groups_as_well(upper: float | None, verdict: Verdict) -> None:
    pair, policy = Paired("spur", 20, 6, 0, 4, upper), GatePolicy(grouped=True)
    grouped = tuple(replace(item, grouped_recall=item.recall) for item in evaluation_of().classes)
    decision = decided(replace(evaluation_of(), classes=grouped), policy=policy, comparison=beside_champion(pair))
    assert decision.verdict is verdict
    if verdict is Verdict.UNDECIDED:
        assert "fewer than 5 groups show it; instances from more" in alone(decision, "not_worse", "spur").next_step


def test_where_too_few_groups_are_left_a_loss_within_chance_still_passes() -> None:
    pair = Paired("spur", 20, 1, 0, 4, 1.0)
    grouped = tuple(replace(item, grouped_recall=item.recall) for item in evaluation_of().classes)
    evaluation = replace(evaluation_of(), classes=grouped)
    decision = decided(evaluation, policy=GatePolicy(grouped=True), comparison=beside_champion(pair))
    assert decision.verdict is Verdict.PASS


def test_a_champion_that_cannot_be_compared_with_leaves_it_open() -> None:
    reason = "the champion learnt from every one of the 140 test images"
    result = alone(decided(comparison=beside_champion(reason=reason)), "not_worse")
    assert result.verdict is Verdict.UNDECIDED
    assert "new test images" in result.next_step


def test_a_class_of_which_no_instance_is_left_to_compare_stays_open() -> None:
    decision = decided(comparison=beside_champion(Paired("spur", 0, 0, 0, 0), left_out=12))
    result = alone(decision, "not_worse", "spur")
    assert result.verdict is Verdict.UNDECIDED
    assert "12 test images the champion learnt from" in result.evidence


def test_a_class_the_champion_does_not_know_has_nothing_to_be_worse_than() -> None:
    decision = decided(comparison=beside_champion(Paired("open", 30, 0, 0, 0)))
    assert decision.verdict is Verdict.PASS


# yes or no -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "changes", "verdict"),
    [
        ("latency", {"serving": serving_of(50.1)}, Verdict.FAIL),
        ("latency", {"serving": None}, Verdict.UNDECIDED),
        ("size", {"size_mib": 20.5}, Verdict.FAIL),
        ("size", {"size_mib": None}, Verdict.UNDECIDED),
        ("export_parity", {"parity": None}, Verdict.UNDECIDED),
        ("export_parity", {"parity": ExportParity(32, 0, 0, 0.0, {})}, Verdict.UNDECIDED),
        ("licence", {"licences": None}, Verdict.UNDECIDED),
        ("licence", {"licences": ()}, Verdict.UNDECIDED),
        ("validation", {"validation_success": False}, Verdict.FAIL),
        ("validation", {"validation_success": None}, Verdict.UNDECIDED),
        ("taxonomy", {"taxonomy_signed": False}, Verdict.FAIL),
        ("taxonomy", {"taxonomy_signed": None}, Verdict.UNDECIDED),
        ("leak", {"leak": LeakProof(100, 2, {"same_group": 2})}, Verdict.FAIL),
        ("leak", {"leak": LeakProof(100, 2, {"same_bytes": 2})}, Verdict.FAIL),
        ("leak", {"leak": None}, Verdict.UNDECIDED),
        ("even_test", {"split_mode": None}, Verdict.UNDECIDED),
    ],
)
def test_rule_alone_decides(rule: str, changes: dict[str, object], verdict: Verdict) -> None:
    assert alone(decided(**changes), rule).verdict is verdict


@pytest.mark.parametrize(
    "changes",
    [
        {"serving": serving_of(50.0), "size_mib": 20.0},
        {"serve": ServeProfile(), "serving": None, "size_mib": None},
        {"split_mode": SplitMode.TEST_EVEN, "split_warnings": ("validation is uneven",)},
    ],
)
def test_what_meets_its_limit_or_has_none_passes(changes: dict[str, object]) -> None:
    assert decided(**changes).verdict is Verdict.PASS


@pytest.mark.parametrize("key", ["latency_p99_ms", "pair_latency_ms"])
def test_the_slowest_answers_and_two_images_have_limits_of_their_own(key: str) -> None:
    serve = ServeProfile(latency_ms=50, **{key: 17.0})
    result = alone(decided(serve=serve), "latency", key)
    assert (result.value, result.limit, result.verdict) == (18.0, 17.0, Verdict.FAIL)
    assert "in openvino: 18.0 ms, limit 17 ms" in result.evidence
    met = decided(serve=ServeProfile(latency_ms=50, **{key: 18.0}))
    assert met.verdict is Verdict.PASS
    assert key in {rule.subject for rule in met.rules}


def test_the_slowest_answers_of_too_few_decide_nothing() -> None:
    few = replace(serving_of(12.0), latency=(Latency(1, 12.0, 13.0, None, 37),))
    result = alone(decided(serve=ServeProfile(latency_p99_ms=17.0), serving=few), "latency", "latency_p99_ms")
    assert (result.value, result.limit, result.verdict) == (None, 17.0, Verdict.UNDECIDED)
    assert "37 answers were timed, 100 are needed" in result.evidence
    assert result.counts == {"timed": 37, "needed": 100}


def test_look_alikes_that_cross_into_test_leave_the_leak_rule_undecided() -> None:
    result = alone(decided(leak=LeakProof(100, 0, {}, look_alikes=13)), "leak")
    assert (result.verdict, result.counts["alike"]) == (Verdict.UNDECIDED, 13)
    assert "13 images in test and on another side" in result.evidence
    assert alone(decided(leak=LeakProof(100, 1, {"same_group": 1}, look_alikes=13)), "leak").verdict is Verdict.FAIL


def test_an_export_that_differs_by_exactly_what_is_allowed_passes() -> None:
    assert 1.0 - 0.99 > 0.01, "in binary numbers"
    decision = decided(parity=replace(PARITY, score_gap=1.0 - 0.99, recall={"open": (1.0, 0.99), "spur": (0.9, 0.9)}))
    parity = [rule.verdict for rule in decision.rules if rule.rule == "export_parity"]
    assert parity == [Verdict.PASS] * 3


@pytest.mark.parametrize(
    ("subject", "changes"),
    [
        ("boxes", {"agreed": 197}),
        ("scores", {"score_gap": 0.011}),
        ("recall", {"recall": {"open": (0.9, 0.9), "spur": (0.9, 0.95)}}),
    ],
)
def test_an_export_that_says_something_else_fails(subject: str, changes: dict[str, object]) -> None:
    result = alone(decided(parity=replace(PARITY, **changes)), "export_parity", subject)  # type: ignore[arg-type]
    assert result.verdict is Verdict.FAIL
    assert result.limit in {0.99, 0.01}


def test_an_export_at_its_limits_passes() -> None:
    at_limit = replace(PARITY, agreed=198, score_gap=0.01, recall={"spur": (0.50, 0.51)})
    assert decided(parity=at_limit, policy=GatePolicy(parity_recall=0.0100001)).verdict is Verdict.PASS


def test_split_warnings_stand_in_the_evidence() -> None:
    decision = decided(split_mode=SplitMode.TEST_EVEN, split_warnings=("validation is uneven",))
    assert "split test-even; validation is uneven" in [result.evidence for result in decision.rules]


TODAY = date(2026, 3, 1)
POLICY = LicencePolicy(
    allowed=("MIT",),
    research_only=("CC-BY-NC-4.0",),
    exceptions={
        "AGPL-3.0-only": LicenceException("Kim", "in-house only", until=TODAY),
        "EPL-2.0": LicenceException("Kim", "for the trial", until=date(2026, 2, 28)),
        "GPL-2.0-only": LicenceException("Lee", "legal agreed"),
    },
)


@pytest.mark.parametrize(
    ("licence", "standing", "verdict"),
    [
        ("MIT", "allowed", Verdict.PASS),
        ("AGPL-3.0-only", "exception", Verdict.PASS),
        ("GPL-2.0-only", "exception", Verdict.PASS),
        ("EPL-2.0", "refused", Verdict.FAIL),  # the exception ended yesterday
        ("MIT AND CC-BY-NC-4.0", "research_only", Verdict.FAIL),
        ("CC-BY-NC-4.0 OR MIT", "allowed", Verdict.PASS),
        ("MIT AND GPL-3.0-only OR AGPL-3.0-only", "exception", Verdict.PASS),
        ("CC-BY-NC-4.0", "research_only", Verdict.FAIL),
        ("GPL-3.0-only", "refused", Verdict.FAIL),
        ("", "refused", Verdict.FAIL),
    ],
)
def test_licence_alone_decides(licence: str, standing: str, verdict: Verdict) -> None:
    assert licence_standing(licence, POLICY, today=TODAY) == standing
    parts = (LicencedPart("code of yolox-nano", "MIT"), LicencedPart("weights", licence))
    decision = decided(licences=parts, licence_policy=POLICY, today=TODAY)
    assert decision.verdict is verdict
    if verdict is Verdict.FAIL:
        assert "weights" in alone(decision, "licence", "weights").next_step


@pytest.mark.parametrize(("look", "limit", "verdict"), [(20, 20, "pass"), (21, 20, "undecided"), (999, 0, "pass")])
def test_worn_out_test_set_no_longer_decides(look: int, limit: int, verdict: str) -> None:
    decision = decided(replace(evaluation_of(), look=look), policy=GatePolicy(max_looks=limit))
    assert decision.verdict == verdict
    if verdict != "pass":
        assert "collect new images" in alone(decision, "test_looks").next_step


# the decision ------------------------------------------------------------------------------------------------------


def test_same_verdicts_give_the_same_id_at_any_time_and_on_a_busier_machine() -> None:
    later = decide(evidence_of(), line="A", now=datetime(2027, 1, 1, tzinfo=UTC))
    assert decided().id == later.id
    assert decided().id == decided(serving=serving_of(13.0)).id
    assert decided().id != decided(taxonomy_signed=False).id
    assert decided().id != decide(evidence_of(), line="B", now=NOW).id


def test_nothing_looked_at_never_passes() -> None:
    bare = Evidence(evaluation=evaluation_of(), policy=GatePolicy(), classes=CLASSES)
    decision = decide(bare, line="A", now=NOW)
    assert decision.verdict is Verdict.UNDECIDED
    open_rules = {result.rule for result in decision.rules if result.verdict is Verdict.UNDECIDED}
    assert open_rules == {"export_parity", "licence", "validation", "taxonomy", "leak", "even_test"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"side": "validation"}, "only the test set judges"),
        ({"iou": 0.33}, "evaluate the model again"),
        ({"confidence": 0.9}, "evaluate the model again"),
    ],
)
def test_evidence_from_elsewhere_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evidence_of(replace(evaluation_of(), **change))  # type: ignore[arg-type]


def test_a_line_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="defect classes"):
        evidence_of(classes=())


def test_accuracy_is_asked_for_by_no_rule() -> None:
    honest, flattering = evaluation_of(), replace(evaluation_of(), baseline_accuracy=0.999)
    assert decided(honest).rules == decided(flattering).rules
    assert not any("accuracy" in rule.question.lower() for rule in RULES)


def test_a_joined_licence_is_refused_by_the_parts_that_are_missing_and_may_be_named_as_a_whole() -> None:
    both = "MIT AND GPL-3.0-only"
    policy = LicencePolicy(allowed=("MIT",))
    assert explain_licence(both, policy, today=TODAY) == (
        "MIT AND GPL-3.0-only is not in [licences] allowed (MIT; without GPL-3.0-only)"
    )
    assert licence_standing(both, LicencePolicy(allowed=("MIT", both)), today=TODAY) == "allowed"
    accepted = LicencePolicy(allowed=("MIT",), exceptions={both: LicenceException("Kim", "on trial")})
    assert licence_standing(both, accepted, today=TODAY) == "exception"
    assert (
        explain_licence(both, accepted, today=TODAY) == f"{both} is accepted in [licences.exceptions] by Kim: on trial"
    )
