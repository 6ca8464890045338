"""Candidates that say how much memory they took, for the tests of the choice and of the probe."""

from dataclasses import replace
from typing import Any

from tests.unit.small_line import ContrastTrainer
from wafergate.domain.training import TrainedArtefact

NEEDS = {"contrast": 400.0, "blind": 300.0, "heavy": 9000.0}


class Weighed:
    """A trainer that says how much memory it took."""

    def __init__(self, trainer: ContrastTrainer, mib: float) -> None:
        self.trainer, self.mib = trainer, mib

    def __call__(self, job: Any, **tell: Any) -> TrainedArtefact:
        return replace(self.trainer(job, **tell), peak_memory_mib=self.mib + job.batch)


def candidate(name: str, licence: str = "MIT") -> str:
    fields = f'name = "{name}"\nbackend = "{name}"\narchitecture = "{name}"\ncode_licence = "{licence}"'
    return f"\n[[models.candidates]]\n{fields}\n"
