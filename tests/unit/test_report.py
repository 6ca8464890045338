"""The report of a decision: figures by hand, curves that hang together, pictures, a page that needs nothing else."""

import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import BlindTrainer, Thread, line_of, parts_in, run_thread
from wafergate.adapters.catalogue import load_catalogue
from wafergate.cli.plan import _show
from wafergate.domain.alerts import Alert
from wafergate.domain.cost import CostPolicy, ExpectedCost
from wafergate.domain.evaluation import Detections, Evaluation, Truth
from wafergate.domain.gate import GateDecision
from wafergate.domain.geometry import Box
from wafergate.domain.judging import Judged, judge
from wafergate.domain.report import DecisionReport
from wafergate.errors import NotFoundError
from wafergate.formats.sheet import FOUND_COLOUR, LABELLED_COLOUR, Tile, picture_sheet, tile_png
from wafergate.formats.words import Words
from wafergate.jobs.decide import decide
from wafergate.jobs.parts import Parts
from wafergate.jobs.plan import plan_per_class
from wafergate.jobs.report import line_of as line_kept
from wafergate.jobs.report import report
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.certify import certify
from wafergate.stages.curves import curves, pick_alarms, pick_misses
from wafergate.stages.reimage import REIMAGINGS
from wafergate.terminal import show_decision

pytestmark = pytest.mark.unit

WORDS = Words("en")
HOSTILE = "<script>alert('x')</script>"


def verdicts(text: str) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.array([sign == "x" for sign in text])


# measurement-system analysis


def test_the_analysis_counts_what_the_manual_counts() -> None:
    reference = verdicts("x" * 25 + "." * 25)
    said = verdicts("x" * 20 + "." * 5 + "x" * 10 + "." * 15)
    found = certify(reference, said, [said, said, ~said], ["a", "b"], confidence=0.95)
    told = {item.name: (item.rate.hits, item.rate.trials, item.standing) for item in found.measures}
    assert told == {
        "effectiveness": (35, 50, "unacceptable"),
        "miss rate": (5, 25, "unacceptable"),
        "false-alarm rate": (10, 25, "unacceptable"),
        "repeatability": (0, 50, "unacceptable"),
    }
    assert found.kappa == pytest.approx(0.4)  # the textbook example: 20, 5, 10, 15 in 50


@pytest.mark.parametrize(
    ("missed", "standing"),
    [(0, "acceptable"), (2, "acceptable"), (3, "marginal"), (5, "marginal"), (6, "unacceptable")],
)
def test_a_miss_rate_is_acceptable_to_2_and_marginal_to_5_percent(missed: int, standing: str) -> None:
    found = certify(verdicts("x" * 100), verdicts("." * missed + "x" * (100 - missed)), [], [], confidence=0.95)
    assert found.measures[1].standing == standing
    assert found.measures[2].standing == "not measured"
    assert found.measures[3].standing == "not measured"


def test_parts_that_change_their_verdict_once_are_not_repeatable() -> None:
    said = verdicts("xx....")
    found = certify(said, said, [said, verdicts("x....."), verdicts("xx...x")], ["a", "b"], confidence=0.95)
    assert (found.measures[3].rate.hits, found.measures[3].rate.trials) == (4, 6)


@pytest.mark.parametrize("change", [change for _, change in REIMAGINGS], ids=[words for words, _ in REIMAGINGS])
def test_a_re_imaging_is_small_and_keeps_size_and_type(change: object) -> None:
    ramp = np.broadcast_to(np.linspace(20, 230, 40).astype(np.uint8)[:, None, None], (40, 50, 3)).copy()
    ramp += np.arange(50, dtype=np.uint8)[None, :, None] // 5
    again = change(ramp)  # type: ignore[operator]
    assert (again.shape, again.dtype) == (ramp.shape, ramp.dtype)
    assert 0 < np.abs(again.astype(int) - ramp).max() <= 8


# curves and picks


def scene(scores: list[float], alarms: list[float]) -> Judged:
    """Make an image for each score, with an instance found at it (-1: never), and a normal one for each false alarm."""
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    truth = [Truth(box, np.zeros(1, np.int64))] * len(scores) + [Truth(box[:0], np.zeros(0, np.int64))] * len(alarms)
    said = [
        Detections(box.astype(np.float32), np.array([score], np.float32), np.zeros(1, np.int64))
        if score >= 0
        else Detections.empty()
        for score in (*scores, *alarms)
    ]
    return judge(truth, said, ("open",), thresholds={"open": 0.5}, iou=0.5)


GRID = st.lists(st.integers(1, 16).map(lambda value: value / 16), min_size=1, max_size=20)


@given(GRID, GRID, st.integers(0, 3))
def test_curves_pass_through_the_operating_point(found: list[float], alarms: list[float], missed: int) -> None:
    (curve,) = curves(scene(found + [-1.0] * missed, alarms))
    recalls = [recall for recall, _ in curve.precision_recall]
    assert recalls == sorted(recalls)
    hits = sum(score >= 0.5 for score in found)
    raised = hits + sum(score >= 0.5 for score in alarms)
    if curve.operating is None:
        assert not raised
        return
    assert curve.operating == pytest.approx((hits / (len(found) + missed), hits / raised))
    assert any(np.allclose(point, curve.operating) for point in curve.precision_recall)
    assert dict(curve.missed)[0.5] == pytest.approx(1 - hits / (len(found) + missed))
    assert dict(curve.alarmed)[0.5] == pytest.approx((raised - hits) / len(alarms))


def test_the_cost_curve_is_of_a_thousand_parts_at_the_real_rates() -> None:
    cost = ExpectedCost.at(CostPolicy(40, 2), {"open": 0.01})
    (curve,) = curves(scene([0.9, 0.2], [0.7, 0.1]), cost)
    told = dict(curve.cost)
    assert told[0.5] == pytest.approx(1000 * (40 * 0.01 / 2 + 2 * 0.99 / 2))
    assert told[0.0] == pytest.approx(1000 * 2 * 0.99)


def test_pictures_show_the_surest_false_alarms_and_every_miss_up_to_a_number() -> None:
    judged = scene([0.9, 0.3, -1.0, -1.0], [0.6, 0.8, 0.2])
    assert [spot.score for spot in pick_alarms(judged, 5)] == pytest.approx([0.8, 0.6])
    assert [spot.image for spot in pick_misses(judged, 2)] == [1, 2]
    assert len(pick_misses(judged, 9)) == 3


def test_a_mistake_of_class_names_the_other_class_on_both_sides() -> None:
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    said = Detections(box.astype(np.float32), np.array([0.9], np.float32), np.ones(1, np.int64))
    limits = {"open": 0.5, "short": 0.5}
    judged = judge([Truth(box, np.zeros(1, np.int64))], [said], ("open", "short"), thresholds=limits, iou=0.5)
    assert [(spot.defect_class, spot.other) for spot in pick_misses(judged, 5)] == [("open", "short")]
    assert [(spot.defect_class, spot.other) for spot in pick_alarms(judged, 5)] == [("short", "open")]


# pictures


def tile(width: int = 200, height: int = 120) -> Tile:
    pixels = np.full((height, width, 3), 90, np.uint8)
    return Tile(pixels, Box(20, 20, 60, 60), [Box(20, 20, 60, 60)], [Box(22, 18, 62, 58)], "open: missed", "lot/1.png")


def colours(png: bytes) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3).tolist()}


def test_a_tile_shows_both_kinds_of_box() -> None:
    assert {ImageColor.getrgb(LABELLED_COLOUR), ImageColor.getrgb(FOUND_COLOUR)} <= colours(tile_png(tile()))


@pytest.mark.parametrize("box", [Box(-5, -5, 4, 4), Box(190, 110, 220, 140), Box(0, 0, 200, 120), Box(50, 50, 50, 50)])
def test_a_box_at_or_past_the_border_is_drawn_without_complaint(box: Box) -> None:
    assert Image.open(io.BytesIO(tile_png(replace(tile(), focus=box, labelled=[box])))).size == (216, 216)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 12])
def test_a_sheet_holds_every_tile_and_the_same_tiles_give_the_same_bytes(count: int) -> None:
    sheet = picture_sheet([tile()] * count, "misses " * 60)
    size = Image.open(io.BytesIO(sheet)).size
    rows = math.ceil(count / 4)
    assert size[1] == 62 + rows * 272
    assert sheet == picture_sheet([tile()] * count, "misses " * 60)


# the page


class _Reader(HTMLParser):
    """Collects text, tags and every address; void elements need no end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "data"}]
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: bytes) -> _Reader:
    reader = _Reader()
    reader.feed(page.decode())
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> MemorySource:
    folder = tmp_path_factory.mktemp("dies")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    source = MemorySource(files)
    source.title = HOSTILE
    return source


@pytest.fixture(scope="module")
def done(source: MemorySource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, Thread, DecisionReport]:
    parts = parts_in(tmp_path_factory.mktemp("done"))
    line = line_of(name=f'name = "dies"\nproduct = "{HOSTILE}"')
    thread = run_thread(parts, line, source)
    return parts, thread, parts.facts.get(DecisionReport, report(parts, line, thread.decision.id).id)


def test_the_page_tells_every_rule_and_every_class(done: tuple[Parts, Thread, DecisionReport]) -> None:
    parts, thread, row = done
    text = read(parts.files.get(row.page)).text
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert all(rule.evidence in text and rule.next_step in text for rule in decision.rules)
    for item in parts.facts.get(Evaluation, thread.evaluation.id).classes:
        assert f"{item.recall.hits} of {item.recall.trials}" in text
        assert f"{WORDS.at_least(item.recall.lower)} to {WORDS.at_most(item.recall.upper)}" in text
    assert "Attribute measurement-system analysis" in text


def test_the_bound_that_was_compared_is_told_and_never_rounded_to_the_limit(
    done: tuple[Parts, Thread, DecisionReport], capsys: pytest.CaptureFixture[str]
) -> None:
    parts, thread, _ = done
    decision = parts.facts.get(GateDecision, thread.decision.id)
    near = [replace(rule, bound=0.8996, limit=0.975) if rule.rule == "recall" else rule for rule in decision.rules]
    parts.facts.save(replace(decision, id="near", rules=tuple(near)))
    page = parts.facts.get(DecisionReport, report(parts, line_of(), "near").id).page
    show_decision(parts.facts, "near")
    for text in (read(parts.files.get(page)).text, capsys.readouterr().out):
        assert "0.899 to" in text
        assert "0.975" in text
        assert "0.900 to" not in text


def test_the_page_names_the_licence_of_the_code_that_was_judged(done: tuple[Parts, Thread, DecisionReport]) -> None:
    parts, thread, row = done
    assert "contrast (MIT), " in read(parts.files.get(row.page)).text
    known = replace(load_catalogue()["yolo11n"], backend="contrast", architecture="contrast")
    knowing = replace(parts, catalogue={known.name: known})
    again = decide(knowing, line_of(), thread.evaluation.id, actor="kim")
    page = parts.facts.get(DecisionReport, report(parts, line_of(), again.id).id).page
    assert "contrast (MIT AND AGPL-3.0-only), " in read(parts.files.get(page)).text


def test_a_plan_tells_no_more_than_is_proven(capsys: pytest.CaptureFixture[str]) -> None:
    line = line_of(recall="recall = 0.975")
    _show(plan_per_class(line, 28), line)
    told = capsys.readouterr().out  # 28 of 28 prove 0.05 ** (1 / 28) = 0.89853
    assert "0.898" in told
    assert "0.975" in told


def test_the_page_needs_nothing_else_and_escapes_what_it_is_told(done: tuple[Parts, Thread, DecisionReport]) -> None:
    parts, _, row = done
    page = parts.files.get(row.page)
    reader = read(page)
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    assert all(address.startswith("data:image/png;base64,") for address in reader.addresses)
    assert not re.search(rb"url\(|@import|https?://", page)
    assert reader.text.count(HOSTILE) == 2  # product and source, as text


def test_the_same_decision_has_one_report(done: tuple[Parts, Thread, DecisionReport]) -> None:
    parts, thread, row = done
    assert report(parts, line_of(), thread.decision.id) == (row.id, True)


def test_an_alert_carries_the_picture_sheet_of_the_report(source: MemorySource, tmp_path: Path) -> None:
    parts = parts_in(tmp_path, trainer=BlindTrainer())
    thread = run_thread(parts, line_of(), source)
    row = parts.facts.get(DecisionReport, report(parts, line_of(), thread.decision.id).id)
    (alert,) = parts.facts.find(Alert)
    assert alert.attachments == (row.sheet,)
    assert Image.open(io.BytesIO(parts.files.get(row.sheet))).format == "PNG"


def test_a_decision_nobody_made_or_kept_has_no_report(done: tuple[Parts, Thread, DecisionReport]) -> None:
    parts, thread, _ = done
    with pytest.raises(NotFoundError, match="no gate decision 'decision-none'"):
        report(parts, line_of(), "decision-none")
    with pytest.raises(NotFoundError, match=r"the line file that .* was made under was not kept"):
        line_kept(parts, thread.decision.id)
