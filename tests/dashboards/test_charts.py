"""Figures place stored values and change none."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.charts import drift_distances, instance_counts, recall_intervals
from dashboards.drift_charts import COLOURS
from dashboards.palette import load_palette
from dashboards.reading.line import Judged, load_view
from dashboards.texts import Text
from tests.dashboards.drawn import Drawn, read_chart, signs
from tests.dashboards.stories import HOSTILE, MORNING, Act, drifted, empty, failed, tell, two_lines
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.gate import Verdict
from wafergate.formats.svg import VERDICT_SHAPES, number_axis

pytestmark = pytest.mark.unit
TEXT = Text("en")
near = partial(pytest.approx, abs=1e-3)


def _judged(facts: MemoryFacts, line: str = "die-a") -> Judged:
    latest = load_view(facts, line).latest
    assert latest is not None
    return latest


def _chart(judged: Judged, text: Text = TEXT) -> str:
    return recall_intervals(judged.evaluation, judged.decision, text)


def _recalls(judged: Judged) -> Drawn:
    (plot,) = read_chart(_chart(judged))
    return plot


def _names(plot: Drawn) -> list[str]:
    return [name for _, name in plot.rows]


def _marks(plot: Drawn) -> dict[str, tuple[float, str]]:
    """Return each row's value and shape, found by the name at the left of where the mark stands."""
    return {_names(plot)[round(mark.y)]: (mark.x, mark.style[1]) for mark in plot.marks()}


def test_every_mark_stands_at_the_stored_recall_in_the_shape_of_its_verdict() -> None:
    judged = _judged(failed())
    marks = _marks(_recalls(judged))
    verdicts = {rule.subject: rule.verdict for rule in judged.decision.rules if rule.rule == "recall"}
    assert marks == {
        figures.defect_class: (near(figures.recall.value), VERDICT_SHAPES[verdicts[figures.defect_class]])
        for figures in judged.evaluation.classes
    }


def test_bars_end_at_the_stored_bounds() -> None:
    judged = _judged(failed())
    plot = _recalls(judged)
    ends = {_names(plot)[round(y)]: (low, high) for low, y, high, _ in plot.lines("span")}
    assert ends == {
        item.defect_class: near((item.recall.lower, item.recall.upper)) for item in judged.evaluation.classes
    }


def test_each_limit_is_the_rules_own_and_shades_what_is_not_enough() -> None:
    judged = _judged(failed())
    plot = _recalls(judged)
    limits = {rule.subject: near(rule.limit) for rule in judged.decision.rules if rule.rule == "recall"}
    assert {_names(plot)[round((top + foot) / 2)]: x for x, top, _, foot in plot.lines("limit")} == limits
    assert {_names(plot)[round((top + foot) / 2)]: right for _, top, right, foot, _ in plot.boxes("short")} == limits
    assert {box[0] for box in plot.boxes("short")} == {plot.x("0")}


def test_the_class_with_least_room_above_its_limit_is_on_top() -> None:
    plot = _recalls(_judged(failed()))
    assert _names(plot)[0] == "bridge"
    assert plot.rows == sorted(plot.rows)


def test_a_class_without_test_instances_has_words_instead_of_a_mark() -> None:
    plot = _recalls(_judged(two_lines(), "tiles"))
    assert "Fray" not in _marks(plot)
    assert plot.told()[_names(plot).index("Fray")] == "no test instances"


def test_class_names_are_shown_to_the_letter_and_close_no_block_of_markdown() -> None:
    name = f"a <b>&\n\n# x {HOSTILE}"
    facts = empty()
    tell(facts, Act(1, {name: (3, 4)}, MORNING), promote=False)
    chart = _chart(_judged(facts))
    assert _names(read_chart(chart)[0]) == [name]
    assert "<b>" not in chart
    assert "\n" not in chart
    assert ":red" not in chart


def test_a_long_name_is_cut_and_told_whole_where_it_is_pointed_at() -> None:
    name = "전극 들뜸 " * 30
    facts = empty()
    tell(facts, Act(1, {name: (3, 4)}, MORNING), promote=False)
    chart = _chart(_judged(facts))
    (mark,) = read_chart(chart)[0].marks()
    assert mark.name == name
    assert f"…<title>{name}</title>" in chart


@settings(deadline=None)  # a busy machine draws slowly
@given(
    st.lists(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=9)
)
def test_nothing_measured_is_ever_cut_off(found: list[tuple[int, int]]) -> None:
    facts = empty()
    tell(facts, Act(1, {f"class {place}": pair for place, pair in enumerate(found)}, MORNING), promote=False)
    judged = _judged(facts)
    plot = _recalls(judged)
    low, high = plot.x("0"), plot.x("100")
    assert len(_marks(plot)) == len(found)
    for item in judged.evaluation.classes:
        assert low <= item.recall.lower <= item.recall.upper <= high


def test_drift_marks_stand_at_the_stored_distances_the_farthest_on_top() -> None:
    report = load_view(drifted(), "die-a").drift
    assert report is not None
    (plot,) = read_chart(drift_distances(report, TEXT))
    marks = _marks(plot)
    assert {name: value for name, (value, _) in marks.items()} == {
        TEXT.word(feature.feature): near(feature.distance) for feature in report.features
    }
    assert {name for name, (_, shape) in marks.items() if shape == "cross"} == {"brightness", "contrast", "saturation"}
    assert _names(plot)[0] == "brightness"
    limits = {TEXT.word(feature.feature): near(feature.threshold) for feature in report.features}
    assert {_names(plot)[round((box[1] + box[3]) / 2)]: box[0] for box in plot.boxes("short")} == limits
    assert plot.x("100") > max(feature.distance for feature in report.features)


def test_the_axis_of_a_test_says_that_it_shows_p_values() -> None:
    report = load_view(drifted(), "die-a").drift
    assert report is not None
    assert read_chart(drift_distances(report, TEXT))[0].axes == ["Distance from the reference (wasserstein)"]
    tested = replace(
        report,
        policy=replace(report.policy, method="ks", threshold=1e-4),
        features=tuple(replace(feature, threshold=4.0) for feature in report.features),
    )
    assert "−log₁₀ p (ks)" in read_chart(drift_distances(tested, TEXT))[0].axes[0]


def test_count_bars_are_as_long_as_the_stored_counts() -> None:
    judged = _judged(failed())
    classes = ["bridge", "void", "absent"]
    plots = read_chart(instance_counts(judged.split, classes, TEXT))
    sides = ["train", "validation", "test"]
    assert [name for _, name in plots[0].rows] == classes
    assert [[box[2] - box[0] for box in plot.boxes("bar")] for plot in plots] == [
        [near(judged.split.counts[side].get(name, 0), abs=0.05) for name in classes] for side in sides
    ]


def test_figures_speak_korean() -> None:
    chart = _chart(_judged(failed()), Text("ko"))
    assert read_chart(chart)[0].axes == ["테스트 세트 재현율"]
    assert {"불합격", "합격", "기준값"} <= set(signs(chart))


def test_the_legend_names_each_sign_that_is_drawn_and_no_other() -> None:
    chart = _chart(_judged(failed()))
    drawn = {mark.style[1:] for mark in read_chart(chart)[0].marks()}
    assert {sign[2:] for word, sign in signs(chart).items() if word != TEXT.word("limit")} == drawn


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
    assert len(palette.lines) == COLOURS


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_proven_and_unproven_differ_in_colour_for_every_kind_of_sight(theme: str, blindness: str) -> None:
    see: Callable[[Verdict], np.ndarray] = lambda verdict: _lab(  # noqa: E731
        BLINDNESS[blindness] @ _linear(load_palette(theme).verdicts[verdict])
    )
    for other in (Verdict.FAIL, Verdict.UNDECIDED):
        assert np.linalg.norm(see(Verdict.PASS) - see(other)) > 20, other


def test_every_verdict_has_a_shape_of_its_own() -> None:
    assert len({VERDICT_SHAPES[verdict] for verdict in Verdict}) == len(Verdict)


@pytest.mark.parametrize(("low", "high"), [(0.8, 1.02), (-0.02, 1.03), (0.0, 0.0073), (0.0, 13.0), (0.0, 1.3e6)])
def test_ticks_stand_where_their_words_say(low: float, high: float) -> None:
    axis = number_axis(low, high)
    assert 2 <= len(axis.ticks) <= 8
    assert [float(label.replace(",", "")) for _, label in axis.ticks] == pytest.approx(
        [value for value, _ in axis.ticks]
    )
    assert all(low <= value <= high for value, _ in axis.ticks)
