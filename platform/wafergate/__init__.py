"""Train, judge, promote and watch the defect detectors of a production line."""

__version__ = "0.1.0"
