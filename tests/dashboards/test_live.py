"""The dashboard of the running services in a real Chromium: what it shows is what the database holds."""

import pytest

from tests.dashboards.browser import find_chromium, read_dashboard
from tests.flows.small import LineRun
from wafergate.adapters.embedded import StackState
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision
from wafergate.domain.training import ModelVersion
from wafergate.ports import FactStore

pytestmark = [
    pytest.mark.browser,
    pytest.mark.services,
    pytest.mark.training,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (package chromium), found none on the path"),
]


def test_the_dashboard_shows_the_champion_and_the_recalls_of_the_database(
    services: StackState, stored: FactStore, line_run: LineRun
) -> None:
    address = next(service.address for service in services.services if service.name == "dashboard")
    shown = read_dashboard(f"http://{address}/?lang=en&line={line_run.name}")
    champion = stored.champion(line_run.name)
    assert champion is not None
    model = stored.get(ModelVersion, champion.model_id)
    judged = stored.get(Evaluation, stored.get(GateDecision, champion.decision_id).evaluation_id)
    assert shown["champion"] == f"{model.candidate.name} v{model.number}"
    assert shown["recalls"] == {item.defect_class: f"{item.recall.value:.3f}" for item in judged.classes}
    assert shown["found"] == {item.defect_class: (item.recall.hits, item.recall.trials) for item in judged.classes}
