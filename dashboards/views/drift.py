"""Drift: how far the line's images have moved from those the champion learned from."""

from dashboards.context import Context
from dashboards.reading.line import load_view
from dashboards.views import evidence

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_drift", "drift"


def render(context: Context) -> None:
    """Show the newest drift report."""
    evidence.drift(context.read(load_view, context.line), context.text, context.palette)
