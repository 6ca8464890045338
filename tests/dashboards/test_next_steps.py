"""Every sentence of the gate on what would change a verdict has its words in every language of the pages."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest

from dashboards import told
from dashboards.texts import Text
from tests.rows import NOW
from tests.unit.test_decide import PARITY, decided, evaluation_of, figures_of, serving_of
from wafergate.domain import proof
from wafergate.domain.evaluation import Comparison, Paired, Rate
from wafergate.domain.gate import GateDecision, GatePolicy, RuleResult, Verdict
from wafergate.domain.latency import Latency
from wafergate.domain.licences import LicencedPart
from wafergate.domain.serving import ServeProfile
from wafergate.domain.splits import LeakProof
from wafergate.stages import decide

pytestmark = pytest.mark.unit
NUMBER = re.compile(r"\d+(?:\.\d+)?")
HANGUL = re.compile(r"[가-힣]")


def _beside(*pairs: Paired, reason: str = "", left_out: int = 0) -> Comparison:
    return Comparison("c", "e", "m", 90, left_out, pairs, reason, "", NOW)


def _spur(
    hits: int, trials: int, *, lower: float = 0.0, comparison: Comparison | None = None, **more: object
) -> GateDecision:
    """Return what the gate says where every class has bounds by groups, one of them this one."""
    evaluation = evaluation_of()
    classes = [replace(item, grouped_recall=item.recall) for item in evaluation.classes[:2]]
    spur = figures_of("spur", hits, trials, **{"grouped_recall": Rate(hits, trials, lower, 1.0)} | more)
    return decided(
        replace(evaluation, classes=(*classes, spur)), policy=GatePolicy(grouped=True), comparison=comparison
    )


CASES = {
    "recall few": decided(evaluation_of(spur=(18, 20))),
    "recall fail": decided(evaluation_of(spur=(10, 20))),
    "recall fail by kind": _spur(10, 20, misses={"missed": 7, "wrong_class": 2, "badly_placed": 1}),
    "recall few of few groups": _spur(93, 100),
    "recall few groups": _spur(98, 100),
    "recall same groups": _spur(98, 100, lower=0.6),
    "recall no groups": _spur(98, 100, grouped_recall=None),
    "classes present": decided(evaluation_of(spur=(0, 0))),
    "overkill few": decided(replace(evaluation_of(), overkill=Rate.exact(5, 60, 0.95))),
    "overkill none": decided(replace(evaluation_of(), overkill=Rate.exact(0, 0, 0.95))),
    "overkill fail": decided(replace(evaluation_of(), overkill=Rate.exact(40, 60, 0.95))),
    "apart in classes": decided(comparison=_beside(reason="the two detect no class in common")),
    "apart as learnt": decided(
        comparison=_beside(reason="the champion learnt from every one of the 90 test images", left_out=90)
    ),
    "apart in references": decided(
        comparison=_beside(
            reason="the champion compares with golden references, which 1,204 test images lack, e.g. a/b: 1.png"
        )
    ),
    "none left": decided(comparison=_beside(Paired("spur", 0, 0, 0, 0))),
    "none left but what was learnt": decided(comparison=_beside(Paired("spur", 0, 0, 0, 0), left_out=31)),
    "worse": decided(comparison=_beside(Paired("spur", 10, 12, 0, 0))),
    "worse in few groups": _spur(100, 100, lower=0.95, comparison=_beside(Paired("spur", 10, 12, 0, 0, 1.0))),
    "slow": decided(serving=serving_of(80.0)),
    "times not measured": decided(serving=None),
    "large": decided(size_mib=40.0),
    "size not measured": decided(size_mib=None),
    "export not compared": decided(parity=None),
    "export differs": decided(parity=replace(PARITY, agreed=20)),
    "licence unknown": decided(licences=()),
    "licence refused": decided(licences=(LicencedPart("code", "GPL-3.0"),)),
    "licence unnamed": decided(licences=(LicencedPart("weights", ""),)),
    "validation failed": decided(validation_success=False),
    "not validated": decided(validation_success=None),
    "nobody signed": decided(taxonomy_signed=False),
    "signature not looked at": decided(taxonomy_signed=None),
    "leaks": decided(leak=LeakProof(51_300, 2, {"same_group": 2})),
    "copies": decided(leak=LeakProof(51_300, 2, {"same_bytes": 2})),
    "look-alikes": decided(leak=LeakProof(51_300, 0, {}, look_alikes=13)),
    "leak not looked at": decided(leak=None),
    "not even": decided(split_mode=None),
    "worn out": decided(replace(evaluation_of(), look=9), policy=GatePolicy(max_looks=3)),
    "few timed": decided(
        serve=ServeProfile(latency_p99_ms=60),
        serving=replace(serving_of(12.0), latency=(Latency(1, 12.0, 13.0, None, 37),)),
    ),
    "no time measured": decided(
        serve=ServeProfile(latency_ms=50, latency_p99_ms=60, pair_latency_ms=70, size_mib=20), serving=None
    ),
}


def _held(decision: GateDecision) -> list[RuleResult]:
    return [rule for rule in decision.rules if rule.verdict is not Verdict.PASS]


@pytest.mark.parametrize("decision", CASES.values(), ids=CASES)
def test_every_step_of_the_gate_is_told_in_the_readers_language_with_its_numbers(decision: GateDecision) -> None:
    for rule in _held(decision):
        korean, english = (told.next_step(rule, Text(language)) for language in ("ko", "en"))
        assert HANGUL.search(korean), rule.next_step
        assert not HANGUL.search(english)
        assert set(NUMBER.findall(korean)) == set(NUMBER.findall(english)) <= set(NUMBER.findall(rule.next_step))


def test_a_step_of_no_known_words_is_told_by_its_rule_and_verdict_where_it_tells_no_figures() -> None:
    later = "spur: another sentence of a later version"
    rule = RuleResult("not_worse", "spur", None, None, None, Verdict.UNDECIDED, "", later)
    assert told.next_step(rule, Text("ko")).startswith("spur: 챔피언 모델과의 비교로는 아직 판정할 수 없습니다")
    assert told.next_step(replace(rule, rule="recall"), Text("ko")) == later


@pytest.mark.parametrize("module", [decide, proof])
def test_every_sentence_the_gate_can_write_is_among_the_cases(module: ModuleType) -> None:
    written = {rule.next_step for decision in CASES.values() for rule in _held(decision)}
    sentences = set(_sentences(ast.parse(inspect.getsource(module))))
    assert len(sentences) > 5
    lacking = [sentence for sentence in sentences if not any(re.fullmatch(sentence, step) for step in written)]
    assert not lacking, "no case here leads to these sentences: add one, and its phrases to told.toml"


def _sentences(tree: ast.AST) -> Iterator[str]:
    """Return a pattern for each sentence that the source writes as a next step."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id="step" | "cure")], value=value):
                yield from _patterns(value)
            case ast.keyword(arg="next_step", value=value):
                yield from _patterns(value)
            case ast.Call(func=ast.Name(id="_answered"), args=[_, _, _, value]):
                yield from _patterns(value)
            case ast.Call(func=ast.Name(id="RuleResult"), args=[*_, value]) if len(node.args) == 8:
                yield from _patterns(value)
            case ast.FunctionDef(name="_cure"):
                yield from (item for end in ast.walk(node) if isinstance(end, ast.Return) for item in _patterns(end))


def _patterns(node: ast.AST | None) -> Iterator[str]:
    match node:
        case ast.JoinedStr(values=parts):
            yield "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in parts)
        case ast.Constant(value=str(text)) if text:
            yield re.escape(text)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_patterns(body), *_patterns(orelse))
        case ast.Return(value=value):
            yield from _patterns(value)
