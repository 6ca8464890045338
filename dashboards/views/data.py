"""Data: which images and labels stand behind the line's models."""

from dashboards.context import Context
from dashboards.reading.line import load_view
from dashboards.views import evidence

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_data", "data"


def render(context: Context) -> None:
    """Show the dataset version behind the shown model."""
    evidence.dataset(context.read(load_view, context.line), context.text, context.palette)
