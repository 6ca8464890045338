"""Decisions: what the gate said of each model, and what people decided."""

from dashboards.context import Context
from dashboards.parts import RETRAIN, commands
from dashboards.reading.line import load_view
from dashboards.views import evidence

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_decisions", "decisions"


def render(context: Context) -> None:
    """Show the newest verdict rule by rule."""
    view = context.read(load_view, context.line)
    if view.latest is None:
        commands("empty_model", [RETRAIN], context.text)
    else:
        evidence.gate(view.latest, view.report, context.text)
