"""The models that can be trained, read from `catalogue.toml` beside this module."""

import tomllib
from importlib.resources import files

from pydantic import TypeAdapter

from wafergate.domain.models import Candidate

__all__ = ["load_catalogue"]


def load_catalogue() -> dict[str, Candidate]:
    """Return every candidate of the package, keyed by name, in the order of the file.

    Weights are never part of it: a line says which file it starts from, or starts from random weights.
    """
    text = files("wafergate.adapters").joinpath("catalogue.toml").read_text(encoding="utf-8")
    candidates = TypeAdapter(list[Candidate]).validate_python(tomllib.loads(text)["candidates"])
    return {candidate.name: candidate for candidate in candidates}
