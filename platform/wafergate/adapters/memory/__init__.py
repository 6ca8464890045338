"""Stores in memory, for unit tests: they pass the same contract suite as PostgreSQL and S3."""

from wafergate.adapters.memory.facts import MemoryFacts
from wafergate.adapters.memory.files import MemoryFiles
from wafergate.adapters.memory.inspections import MemoryInspections

__all__ = ["MemoryFacts", "MemoryFiles", "MemoryInspections"]
