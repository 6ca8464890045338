"""Figures place stored values and change none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.charts import drift_distances, instance_counts, recall_intervals
from dashboards.palette import SYMBOLS, load_palette
from dashboards.reading.line import Judged, load_view
from dashboards.texts import Text
from tests.dashboards.stories import MORNING, Act, drifted, empty, failed, tell, two_lines
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.gate import Verdict

pytestmark = pytest.mark.unit
TEXT, LIGHT = Text("en"), load_palette("light")


def _judged(facts: MemoryFacts, line: str = "die-a") -> Judged:
    latest = load_view(facts, line).latest
    assert latest is not None
    return latest


def _recall_figure(judged: Judged) -> go.Figure:
    return recall_intervals(judged.evaluation, judged.decision, TEXT, LIGHT)


def _marks(figure: go.Figure) -> dict[str, tuple[float, str]]:
    """Return each row's mark and symbol, found by the name on the axis."""
    names = figure.layout.yaxis.ticktext
    return {
        names[place]: (value, trace.marker.symbol)
        for trace in figure.data
        if trace.mode == "markers"
        for value, place in zip(trace.x, trace.y, strict=True)
    }


def test_every_mark_stands_at_the_stored_recall_in_the_shape_of_its_verdict() -> None:
    judged = _judged(failed())
    marks = _marks(_recall_figure(judged))
    verdicts = {rule.subject: rule.verdict for rule in judged.decision.rules if rule.rule == "recall"}
    assert marks == {
        figures.defect_class: (figures.recall.value, SYMBOLS[verdicts[figures.defect_class]])
        for figures in judged.evaluation.classes
    }


def test_bars_end_at_the_stored_bounds() -> None:
    judged = _judged(failed())
    figure = _recall_figure(judged)
    ends = {
        (figure.layout.yaxis.ticktext[trace.y[start]], trace.x[start], trace.x[start + 1])
        for trace in figure.data
        if trace.mode == "lines+markers"
        for start in range(0, len(trace.x), 3)
    }
    assert ends == {(item.defect_class, item.recall.lower, item.recall.upper) for item in judged.evaluation.classes}


def test_each_limit_is_the_rules_own_and_shades_what_is_not_enough() -> None:
    judged = _judged(failed())
    figure = _recall_figure(judged)
    limits = {rule.subject: rule.limit for rule in judged.decision.rules if rule.rule == "recall"}
    names = figure.layout.yaxis.ticktext
    assert {names[round((shape.y0 + shape.y1) / 2)]: shape.x1 for shape in figure.layout.shapes} == limits
    assert {shape.x0 for shape in figure.layout.shapes} == {figure.layout.xaxis.range[0]}


def test_the_class_with_least_room_above_its_limit_is_on_top() -> None:
    figure = _recall_figure(_judged(failed()))
    assert figure.layout.yaxis.ticktext[0] == "bridge"
    assert figure.layout.yaxis.range == (3.5, -0.5)


def test_a_class_without_test_instances_has_words_instead_of_a_mark() -> None:
    figure = _recall_figure(_judged(two_lines(), "tiles"))
    assert "Fray" not in _marks(figure)
    place = list(figure.layout.yaxis.ticktext).index("Fray")
    assert figure.layout.annotations[place].text == "no test instances"


def test_class_names_are_shown_to_the_letter() -> None:
    facts = empty()
    tell(facts, Act(1, {"<b>x</b>": (3, 4)}, MORNING), promote=False)
    assert _recall_figure(_judged(facts)).layout.yaxis.ticktext == ("&lt;b&gt;x&lt;/b&gt;",)


@settings(deadline=None)  # a busy machine draws slowly
@given(
    st.lists(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=9)
)
def test_nothing_measured_is_ever_cut_off(found: list[tuple[int, int]]) -> None:
    facts = empty()
    tell(facts, Act(1, {f"class {place}": pair for place, pair in enumerate(found)}, MORNING), promote=False)
    judged = _judged(facts)
    figure = _recall_figure(judged)
    low, high = figure.layout.xaxis.range
    assert len(_marks(figure)) == len(found)
    for item in judged.evaluation.classes:
        assert low <= item.recall.lower <= item.recall.upper <= high


def test_drift_marks_stand_at_the_stored_distances_the_farthest_on_top() -> None:
    report = load_view(drifted(), "die-a").drift
    assert report is not None
    figure = drift_distances(report, TEXT, LIGHT)
    marks = _marks(figure)
    assert {name: value for name, (value, _) in marks.items()} == {
        TEXT.word(feature.feature): feature.distance for feature in report.features
    }
    assert {name for name, (_, symbol) in marks.items() if symbol == "x"} == {"brightness", "contrast", "saturation"}
    assert figure.layout.yaxis.ticktext[0] == "brightness"
    assert figure.layout.xaxis.range[1] > max(feature.distance for feature in report.features)


def test_the_axis_of_a_test_says_that_it_shows_p_values() -> None:
    report = load_view(drifted(), "die-a").drift
    assert report is not None
    assert drift_distances(report, TEXT, LIGHT).layout.xaxis.title.text == "Distance from the reference (wasserstein)"
    tested = replace(
        report,
        policy=replace(report.policy, method="ks", threshold=1e-4),
        features=tuple(replace(feature, threshold=4.0) for feature in report.features),
    )
    assert "−log₁₀ p (ks)" in drift_distances(tested, TEXT, LIGHT).layout.xaxis.title.text


def test_count_bars_are_as_long_as_the_stored_counts() -> None:
    judged = _judged(failed())
    classes = ["bridge", "void", "absent"]
    figure = instance_counts(judged.split, classes, TEXT, LIGHT)
    sides = ["train", "validation", "test"]
    assert [list(trace.x) for trace in figure.data] == [
        [judged.split.counts[side].get(name, 0) for name in classes] for side in sides
    ]


def test_figures_speak_korean() -> None:
    judged = _judged(failed())
    figure = recall_intervals(judged.evaluation, judged.decision, Text("ko"), LIGHT)
    assert figure.layout.xaxis.title.text == "테스트 세트 재현율"
    assert {"불합격", "합격", "기준값"} <= {trace.name for trace in figure.data}


def _linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _luminance(colour: str) -> float:
    return float(_linear(colour) @ [0.2126, 0.7152, 0.0722])


def _lab(linear: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# Dichromats' view in linear RGB: Viénot, Brettel, Mollon 1999 for red and green; Machado et al. 2009 for blue.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array([[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]]),
    "deuteranopia": np.array([[0.2928, 0.7072, 0], [0.2928, 0.7072, 0], [-0.0223, 0.0223, 1]]),
    "tritanopia": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marks_stand_out_from_the_background(theme: str) -> None:
    palette = load_palette(theme)
    for colour in (*palette.verdicts.values(), palette.soft, *palette.lines):
        dark, light = sorted([_luminance(colour), _luminance(palette.background)])
        assert (light + 0.05) / (dark + 0.05) >= 3, colour  # WCAG 2.2, 1.4.11


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_proven_and_unproven_differ_in_colour_for_every_kind_of_sight(theme: str, blindness: str) -> None:
    see: Callable[[Verdict], np.ndarray] = lambda verdict: _lab(  # noqa: E731
        BLINDNESS[blindness] @ _linear(load_palette(theme).verdicts[verdict])
    )
    for other in (Verdict.FAIL, Verdict.UNDECIDED):
        assert np.linalg.norm(see(Verdict.PASS) - see(other)) > 20, other


def test_every_verdict_has_a_shape_of_its_own() -> None:
    assert len({SYMBOLS[verdict] for verdict in Verdict}) == len(Verdict)
