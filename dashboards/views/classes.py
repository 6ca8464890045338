"""Classes: what the model finds of each defect class, and what it misses."""

from dashboards.context import Context
from dashboards.parts import RETRAIN, commands
from dashboards.reading.line import load_view
from dashboards.views import evidence

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_classes", "classes"


def render(context: Context) -> None:
    """Show the figures of every class."""
    view = context.read(load_view, context.line)
    if view.shown is None:
        commands("empty_model", [RETRAIN], context.text)
    else:
        evidence.recall(view.shown, context.text, context.palette)
        evidence.rates(view.shown, view.looks, context.text)
