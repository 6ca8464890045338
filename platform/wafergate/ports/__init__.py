"""What the jobs need from the outside world, as small Protocols; wiring.py chooses who fills them."""

from collections.abc import Callable
from datetime import datetime

from wafergate.ports.intake import ImageExaminer, Source, SuiteOutcome, SuiteValidator
from wafergate.ports.models import Detector, DetectorLoader, DriftMeter, LabelScorer, PublishedWeights, Trainer
from wafergate.ports.outside import AlertChannel, Attachment, Download, Retrainings, RunReader
from wafergate.ports.storage import FactStore, FileReader, FileStore, InspectionStore, LedgerDraft

__all__ = [
    "AlertChannel",
    "Attachment",
    "Clock",
    "Detector",
    "DetectorLoader",
    "Download",
    "DriftMeter",
    "FactStore",
    "FileReader",
    "FileStore",
    "ImageExaminer",
    "InspectionStore",
    "LabelScorer",
    "LedgerDraft",
    "Progress",
    "PublishedWeights",
    "Retrainings",
    "RunReader",
    "Source",
    "SuiteOutcome",
    "SuiteValidator",
    "Trainer",
]

Clock = Callable[[], datetime]
Progress = Callable[[str, int, int], None]
"""Told `(stage, done, total)` as work goes on; total 0 while it is not known."""
