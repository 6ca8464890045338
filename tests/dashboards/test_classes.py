"""The page Classes: figures over versions, pictures of mistakes, what more labels would buy, and production."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from dashboards.class_charts import learning_curve, rate_history, recall_history
from dashboards.reading.classes import ClassesView, load_classes
from dashboards.reading.mistakes import load_mistakes
from dashboards.tables import production_data, production_table
from dashboards.texts import Text
from tests.dashboards import stories
from tests.dashboards.drawn import Drawn, read_chart
from tests.dashboards.inspected import open_files
from tests.dashboards.judged import ALARMS
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.evaluation import Evaluation
from wafergate.errors import NotFoundError
from wafergate.formats.svg import VERDICT_SHAPES

pytestmark = pytest.mark.unit
TEXT = Text("en")
near = partial(pytest.approx, abs=1e-3)


def _view(story: Callable[[], MemoryFacts] = stories.failed) -> ClassesView:
    return load_classes(story(), "die-a")


def _marks(plot: Drawn) -> dict[str, tuple[float, float, float, str]]:
    """Return each version's mark, the ends of its bar and its shape, found by the name below where it stands."""
    bars = {round(x): (low, high) for x, low, _, high in plot.lines("span")}
    names = [name for _, name in plot.columns]
    return {names[round(mark.x)]: (mark.y, *bars[round(mark.x)], mark.style[1]) for mark in plot.marks()}


def test_every_model_version_stands_at_its_stored_recall_in_the_shape_of_its_verdict() -> None:
    view = _view()
    (plot,) = read_chart(recall_history(view.past, "bridge", TEXT))
    marks = _marks(plot)
    assert list(marks) != []
    for past in view.past:
        recall = past.evaluation.by_class()["bridge"].recall
        rule = next(rule for rule in past.decision.rules if (rule.rule, rule.subject) == ("recall", "bridge"))
        value, low, high, shape = marks[f"v{past.model.number}"]
        assert shape == VERDICT_SHAPES[rule.verdict]
        assert (value, low, high) == near((recall.value, rule.bound, recall.upper))


def test_versions_are_drawn_in_their_order_with_the_limit_of_their_time() -> None:
    (plot,) = read_chart(recall_history(_view().past, "void", TEXT))
    assert [name for _, name in plot.columns] == ["v1", "v2", "v3"]
    assert [limit[1] for limit in plot.lines("limit")] == near([0.90, 0.90, 0.90])
    assert [(limit[0] + limit[2]) / 2 for limit in plot.lines("limit")] == near([0, 1, 2])


def test_escape_and_overkill_rate_of_every_version_are_the_stored_ones() -> None:
    past = _view().past
    first, second = read_chart(rate_history(past, TEXT))
    scale = first.rows
    assert [mark.y for mark in first.marks()] == near([item.evaluation.escapes.value for item in past])
    second.rows = scale  # told once, at the left
    assert [mark.y for mark in second.marks()] == near([item.evaluation.overkill.value for item in past])


def test_of_many_versions_every_one_is_drawn_and_the_newest_is_named() -> None:
    past = _view().past
    many = [replace(past[-1], model=replace(past[-1].model, number=number)) for number in range(1, 61)]
    (plot,) = read_chart(recall_history(many, "bridge", TEXT))
    assert len(plot.marks()) == 60
    assert len(plot.columns) <= 12
    assert plot.columns[-1][1] == "v60"


def test_a_model_judged_twice_is_shown_once_with_its_newest_verdict() -> None:
    facts = stories.failed()
    last = load_classes(facts, "die-a").past[-1].decision
    facts.save(replace(last, id="again", created_at=last.created_at.replace(year=2027)))
    past = load_classes(facts, "die-a").past
    assert [item.model.number for item in past] == [1, 2, 3]
    assert past[-1].decision.id == "again"


def test_the_mistakes_are_as_many_as_the_evaluation_counted() -> None:
    view = _view()
    assert view.shown is not None
    for figures in view.shown.evaluation.classes:
        found = load_mistakes(stories.failed(), open_files("failed"), view.shown.evaluation.id, figures.defect_class, 1)
        assert found.missed == figures.recall.trials - figures.recall.hits
        assert found.alarmed == figures.precision.trials - figures.precision.hits == ALARMS
        assert len(found.misses) == min(1, found.missed)
        assert {item.spot.defect_class for item in found.misses + found.alarms} == {figures.defect_class}


def test_a_picture_of_a_mistake_is_a_picture_with_its_boxes() -> None:
    view = _view()
    assert view.shown is not None
    found = load_mistakes(stories.failed(), open_files("failed"), view.shown.evaluation.id, "bridge", 6)
    picture = Image.open(io.BytesIO(found.misses[0].picture))
    assert picture.size == (216, 216)
    assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 3


def test_predictions_that_are_gone_are_an_error_of_ours() -> None:
    facts = stories.failed()
    evaluation = facts.find(Evaluation)[0]
    facts.save(replace(evaluation, id="gone", predictions="9" * 64))
    with pytest.raises(NotFoundError):
        load_mistakes(facts, open_files("failed"), "gone", "bridge", 6)


def test_the_learning_curve_passes_through_its_law_and_shows_every_measured_point() -> None:
    view = _view()
    assert view.curve is not None
    curve = view.curve.classes[0]
    (plot,) = read_chart(learning_curve(curve, TEXT))
    courses = {style[0]: points for style, points in plot.courses()}
    assert courses["curve"] == [near((item.images, item.recall), abs=0.01) for item in curve.line]
    count = len(curve.line)
    assert courses["band"][:count] == [near((item.images, item.upper), abs=0.01) for item in curve.line]
    assert courses["band"][count:] == [near((item.images, item.lower), abs=0.01) for item in reversed(curve.line)]
    assert [(mark.x, mark.y) for mark in plot.marks()] == [
        near((point.images, point.recall.value), abs=0.01) for point in curve.points
    ]
    assert [line[0] for line in plot.lines("now")] == [near(curve.images, abs=0.01)]


def test_a_class_without_a_law_shows_its_points_alone() -> None:
    view = _view()
    assert view.curve is not None
    bare = next(item for item in view.curve.classes if item.law is None)
    (plot,) = read_chart(learning_curve(bare, TEXT))
    assert plot.courses() == []
    assert plot.marks() != []


def test_production_shows_stored_figures_and_dashes_where_nobody_saw_an_instance() -> None:
    view = _view()
    assert view.production is not None
    table = production_table(view.production, view.shown, TEXT).set_index("Defect class")
    assert (table.loc["bridge", "Recall"], table.loc["bridge", "Found"]) == ("**0.818**", "9 / 11")
    assert (table.loc["void", "Recall"], table.loc["void", "Lower bound"]) == ("**–**", "–")
    stored = production_data(view.production).set_index("defect_class")
    for item in view.production.classes[:3]:
        assert stored.loc[item.defect_class, "recall_lower"] == item.recall.lower
