"""Runs: what the flows did, and what is planned."""

from dashboards.context import Context
from dashboards.parts import commands

__all__ = ["PATH", "TITLE", "render"]

TITLE, PATH = "title_runs", "runs"


def render(context: Context) -> None:
    """Say what to run: nothing is read here yet."""
    commands("empty_runs", ["wafergate retrain --line LINE.toml --format coco --source FOLDER"], context.text)
