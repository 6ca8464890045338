"""What mistakes cost on the line, so that a threshold can be set where the expected cost is lowest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

__all__ = ["CostPolicy", "ExpectedCost"]

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CostPolicy:
    """What one mistake costs, both in the same unit; without them thresholds follow the recall target.

    Attributes:
        escape: a defective part that is let through.
        overkill: a good part that is held back.
        unit: e.g. `EUR`; only shown.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    escape: Annotated[float, Ge(0)] = 0.0
    overkill: Annotated[float, Ge(0)] = 0.0
    unit: str = ""

    def __post_init__(self) -> None:
        if bool(self.escape) != bool(self.overkill):
            message = (
                f"give escape and overkill together, above 0; found escape {self.escape:g}, overkill {self.overkill:g}"
            )
            raise ValueError(message)

    @property
    def known(self) -> bool:
        """Whether the line file says what mistakes cost."""
        return self.escape > 0


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """The cost of a part at the line's real defect rates.

    A part that shows two classes counts once for each, and so does a good part that two classes alarm on: the sum over
    classes is the cost of parts with one defect at most, and never less than the cost of real parts.

    Attributes:
        escape: class to the cost of a part if every defect of the class were missed.
        overkill: cost of a part if every good part were held back.
    """

    escape: Mapping[str, float]
    overkill: float

    @classmethod
    def at(cls, policy: CostPolicy, prevalence: Mapping[str, float]) -> "ExpectedCost | None":
        """Return the costs at the share of parts that show each class; None where the policy gives no cost."""
        if not policy.known:
            return None
        good = max(0.0, 1.0 - sum(prevalence.values()))
        return cls({name: policy.escape * rate for name, rate in prevalence.items()}, policy.overkill * good)

    def over(self, name: str, thresholds: Scores, found: Scores, instances: int, alarms: Scores) -> Scores:
        """Return the expected cost of a part, as far as one class goes, at each threshold.

        Args:
            name: the class.
            thresholds: `(n,)` scores.
            found: score of the detection that found each instance, of those found at any score.
            instances: how many there are, at least 1.
            alarms: `(images,)` highest score of a false alarm of the class on each image without defect, -1 for none.
        """
        hits = len(found) - np.searchsorted(np.sort(found), thresholds, side="left")
        raised = len(alarms) - np.searchsorted(np.sort(alarms), thresholds, side="left")
        escaped = self.escape.get(name, 0.0) * (1.0 - hits / instances)
        cost: Scores = escaped + self.overkill * raised / max(1, len(alarms))
        return cost
