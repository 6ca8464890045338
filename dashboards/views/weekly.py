"""Weekly report: the week of a line on one page, to print or to send."""

from dashboards.context import Context
from dashboards.parts import commands

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_weekly", "weekly"


def render(context: Context) -> None:
    """Say what to run: nothing is read here yet."""
    commands("empty_weekly", ["wafergate retrain --line LINE.toml --format coco --source FOLDER"], context.text)
