"""Lots: which model judged a lot, and with what result."""

from dashboards.context import Context
from dashboards.parts import commands

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_lots", "lots"


def render(context: Context) -> None:
    """Say what to run: nothing is read here yet."""
    commands("empty_lots", ["wafergate inspect --line LINE.toml --source FOLDER"], context.text)
