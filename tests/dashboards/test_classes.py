"""The page Classes: figures over versions, pictures of mistakes, what more labels would buy, and production."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from dashboards.class_charts import learning_curve, rate_history, recall_history
from dashboards.palette import SYMBOLS, load_palette
from dashboards.reading.classes import ClassesView, load_classes
from dashboards.reading.mistakes import load_mistakes
from dashboards.tables import production_data, production_table
from dashboards.texts import Text
from tests.dashboards import stories
from tests.dashboards.inspected import open_files
from tests.dashboards.judged import ALARMS
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.evaluation import Evaluation
from wafergate.errors import NotFoundError

pytestmark = pytest.mark.unit
TEXT, LIGHT = Text("en"), load_palette("light")


def _view(story: Callable[[], MemoryFacts] = stories.failed) -> ClassesView:
    return load_classes(story(), "die-a")


def _marks(figure: go.Figure) -> dict[str, tuple[float, float, float, str]]:
    """Return each version's mark, the ends of its bar and its symbol."""
    return {
        version: (value, value - below, value + above, trace.marker.symbol)
        for trace in figure.data
        if trace.mode == "markers"
        for version, value, above, below in zip(
            trace.x, trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True
        )
    }


def test_every_model_version_stands_at_its_stored_recall_in_the_shape_of_its_verdict() -> None:
    view = _view()
    marks = _marks(recall_history(view.past, "bridge", TEXT, LIGHT))
    assert list(marks) != []
    for past in view.past:
        recall = past.evaluation.by_class()["bridge"].recall
        rule = next(rule for rule in past.decision.rules if (rule.rule, rule.subject) == ("recall", "bridge"))
        value, low, high, symbol = marks[f"v{past.model.number}"]
        assert (value, symbol) == (recall.value, SYMBOLS[rule.verdict])
        assert (low, high) == pytest.approx((rule.bound, recall.upper))


def test_versions_are_drawn_in_their_order_with_the_limit_of_their_time() -> None:
    figure = recall_history(_view().past, "void", TEXT, LIGHT)
    assert list(figure.layout.xaxis.categoryarray) == ["v1", "v2", "v3"]
    limits = next(trace for trace in figure.data if trace.name == TEXT.word("limit"))
    assert list(limits.y) == [0.90, 0.90, 0.90]


def test_escape_and_overkill_rate_of_every_version_are_the_stored_ones() -> None:
    past = _view().past
    escapes, overkill = rate_history(past, TEXT, LIGHT).data
    assert list(escapes.y) == [item.evaluation.escapes.value for item in past]
    assert list(overkill.y) == [item.evaluation.overkill.value for item in past]


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
    figure = learning_curve(curve, TEXT, LIGHT)
    law = next(trace for trace in figure.data if trace.mode == "lines")
    assert [(x, y) for x, y in zip(law.x, law.y, strict=True)] == [(item.images, item.recall) for item in curve.line]
    measured = next(trace for trace in figure.data if trace.mode == "markers")
    assert list(measured.y) == [point.recall.value for point in curve.points]


def test_a_class_without_a_law_shows_its_points_alone() -> None:
    view = _view()
    assert view.curve is not None
    bare = next(item for item in view.curve.classes if item.law is None)
    assert [trace.mode for trace in learning_curve(bare, TEXT, LIGHT).data] == ["markers"]


def test_production_shows_stored_figures_and_dashes_where_nobody_saw_an_instance() -> None:
    view = _view()
    assert view.production is not None
    table = production_table(view.production, view.shown, TEXT).set_index("Defect class")
    assert (table.loc["bridge", "Recall"], table.loc["bridge", "Found"]) == ("**0.818**", "9 / 11")
    assert (table.loc["void", "Recall"], table.loc["void", "Lower bound"]) == ("**–**", "–")
    stored = production_data(view.production).set_index("defect_class")
    for item in view.production.classes[:3]:
        assert stored.loc[item.defect_class, "recall_lower"] == item.recall.lower
